"""How often a disturbed run is flagged, and how often one that was not: with a hog beside some trials.

python -m tests.tools.hogs --trials 100 --hogs 20 --kind cpu

A CPU-bound script runs on a real host. Beside some trials, a hog begins and ends with it: a loop, or a copy to disk
that goes around the page cache. The machine must be quiet otherwise. Exit status 0 if at most one of the
hogs was missed, and at most one of 80 other trials was flagged.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from ansible_env import RemoteEnv, WarmEngine
from ansible_env.results.host_result import HostResult
from tests.hosts import Hosts

SECONDS = 2
SCRIPT = f"e=$(($(date +%s%3N) + {SECONDS}000)); i=0\n" + (
    "while [ $(date +%s%3N) -lt $e ]; do j=0; while [ $j -lt 5000 ]; do j=$((j+1)); done; i=$((i+1)); done\n"
    "echo score=$i\n"
)
CONFIG: dict[str, Any] = {"name": "hogs", "run": SCRIPT, "results_stdout_pattern": r"^(score)=(\d+)$"}
CONFIG["disturbed_if"] = {"steal_percent": False}  # of a virtual machine: no hog of ours


def main() -> int:
    """Run the trials and print what was flagged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--hogs", type=int, default=20)
    parser.add_argument("--kind", choices=("cpu", "io"), default="cpu")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    chosen = set(random.Random(options.seed).sample(range(options.trials), options.hogs))
    missed, false = 0, 0
    engine = WarmEngine()
    with Hosts(1) as hosts, contextlib.closing(engine):
        for number in range(options.trials):
            with hog(options.kind) if number in chosen else contextlib.nullcontext():
                host = _measured(hosts, engine)
            wrong = bool(host.disturbed) != (number in chosen)
            missed += wrong and number in chosen
            false += wrong and number not in chosen
            shown = {name: value for name, value in host.disturbance.items() if value}
            print(number, "hog" if number in chosen else "-", "WRONG" if wrong else "right", shown, flush=True)
    others = options.trials - options.hogs
    print(f"{options.kind}: {missed} of {options.hogs} hogs missed; {false} of {others} false alarms")
    return int(missed > 1 or false > 1)


def _measured(hosts: Hosts, engine: WarmEngine) -> HostResult:
    with RemoteEnv(config=CONFIG, inventory=hosts.inventory(), engine=engine) as env:
        if not env.setup() or not env.run()[0].is_succeeded():
            raise SystemExit(str(env.results))
        return env.results["run"].hosts["h1"]


@contextlib.contextmanager
def hog(kind: str) -> Iterator[None]:
    """Run a hog for a while."""
    with tempfile.NamedTemporaryFile(dir=".", prefix=".hog-") as file:
        copy = f"while dd if=/dev/zero of={file.name} bs=1M count=256 oflag=direct conv=notrunc; do :; done"
        command = "while :; do :; done" if kind == "cpu" else f"trap 'kill $!; exit' TERM; ({copy}) 2>/dev/null & wait"
        with subprocess.Popen(["sh", "-c", command], start_new_session=True) as process:
            try:
                yield
            finally:
                subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)


if __name__ == "__main__":
    sys.exit(main())
