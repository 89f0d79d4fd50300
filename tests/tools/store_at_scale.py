"""10,000 trials in a store: what writing one costs, and how long it takes to find the best. `make store-scale`.

python -m tests.tools.store_at_scale --trials 10000 --hosts 8 --metrics 6
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ansible_env.storage.store import Store
from tests.made_up import fill


def timed(what: str, function: Callable[[], object]) -> None:
    """Say how long something takes, three times."""
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    print(f"{what:60} {min(times):8.3f} s  ({', '.join(f'{t:.3f}' for t in times)})", flush=True)


def main() -> None:
    """Fill a store and ask it."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("trials", 10_000), ("hosts", 8), ("metrics", 6)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--store", help="a URL; default: a new SQLite file, removed at the end")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        url = args.store or str(Path(directory) / "store.sqlite")
        store = Store(url)
        took = fill(store, "scale", args.trials, args.hosts, args.metrics)
        quantiles = statistics.quantiles(took, n=100)
        print(f"a trial written: median {statistics.median(took) * 1e3:.2f} ms, p99 {quantiles[98] * 1e3:.2f} ms")
        size = sum(path.stat().st_size for path in Path(directory).glob("store.sqlite*"))
        print(f"{args.trials} trials x {args.hosts} hosts x {args.metrics} metrics: {size / 2**20:.1f} MiB")
        timed("Store.trials(best=..., limit=10)", lambda: store.trials("scale", best="metric_0:max", limit=10))
        timed("Store.trials()", lambda: store.trials("scale"))
        timed("Store.rows(level='host')", lambda: store.rows("scale", level="host"))
        program = [sys.executable, "-m", "ansible_env"]
        best = ["--best", "metric_0:max"]
        for arguments in (
            ["results", "scale", *best, "-n", "10"],
            ["results", "scale", "-o", "csv"],
            ["results", "scale", "--hosts", "-o", "csv"],
            ["report", "scale", *best, "-o", str(Path(directory) / "report.html")],
            ["compare", "scale:mode=wal", "scale:mode=delete"],
        ):
            call = [*program, *arguments, "--store", url]
            timed(
                f"ansible-env {' '.join(arguments).replace(directory + '/', '')}",
                lambda call=call: subprocess.run(call, check=True, stdout=subprocess.DEVNULL),  # type: ignore[misc]
            )


if __name__ == "__main__":
    main()
