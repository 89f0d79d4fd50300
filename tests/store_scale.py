"""10,000 trials in a store: what writing one costs, and how long it takes to find the best. `make store-scale`.

python -m tests.store_scale --trials 10000 --hosts 8 --metrics 6
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import PhaseResult, phase_result
from ansible_env.results.status import Status
from ansible_env.storage.database.records import TrialInfo
from ansible_env.storage.store import Store

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class MadeUp:
    """A trial that nobody ran."""

    status: Status
    phases: Mapping[str, PhaseResult]


def made_up(number: int, hosts: int, metrics: int) -> tuple[MadeUp, TrialInfo]:
    """Return a trial with three phases; its metrics depend on its parameters, with some noise."""
    random = Random(number)
    cache, mode = random.randrange(1, 4096), random.choice(["wal", "delete", "memory"])
    started = BEGIN + timedelta(minutes=number)
    failed = number % 50 == 49

    def host(index: int, phase: str) -> HostResult:
        values = {f"metric_{n}": cache**0.5 * (n + 1) + random.gauss(0, 3) for n in range(metrics)}
        bad = failed and phase == "run" and index == 0
        kind = Kind.EXIT if bad else Kind.OK
        found = values if phase == "run" and not bad else {}
        end = started + timedelta(seconds=30)
        return HostResult(f"host{index}", kind, str(kind), int(bad), found, started=started, finished=end)

    phases = {
        phase: phase_result(phase, [host(index, phase) for index in range(hosts)])
        for phase in ("setup", "run", "teardown")
    }
    info = TrialInfo(number=number + 1, params={"cache": cache, "mode": mode, "rows": 50_000}, started=started)
    return MadeUp(phases["run"].status, phases), info


def fill(store: Store, experiment: str, trials: int, hosts: int, metrics: int) -> list[float]:
    """Write trials; return the seconds that each took."""
    took = []
    for number in range(trials):
        trial, info = made_up(number, hosts, metrics)
        begin = time.perf_counter()
        store.add_trial(experiment, trial, info, finished=(info.started or BEGIN) + timedelta(seconds=40))
        took.append(time.perf_counter() - begin)
    return took


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
