"""What groups are to show on real sshd hosts, and takes longer than a test may. Prints figures.

`python -m tests.tools.groups_at_scale` with one of these arguments:

policies    16 hosts: one down, one failing, one too slow, one without Python; every policy
sweep       96 trials of 2 s on 8 hosts, first undisturbed, then with a host dying
scale       25, 50, 100 and 200 hosts in one phase: wall time and the controller's memory
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.trials.run_trials import run_trials
from tests.hosts import Hosts, HostSpec

SWEEP: dict[str, Any] = {
    "name": "sweep",
    "run": ["sleep 2; echo score=$x"],
    "tunables": {"g": {"cost": 1, "params": {"x": {"type": "int", "range": [0, 99], "default": 5}}}},
    "shell_env_params": ["x"],
    "shell": "sh",
    "results_stdout_pattern": r"^(\w+)=(\d+)$",
}


def sweep() -> None:
    """32 configurations, 3 times each, on 8 hosts."""
    for dying in (False, True):
        with Hosts(8) as hosts, RemoteEnv(config=SWEEP, inventory=hosts.inventory()) as env:
            list(run_trials(env, [{"x": 1}] * 8))  # connections, as after any earlier call
            begun = time.monotonic()
            counted: Counter[Any] = Counter()
            results = []
            for number, result in enumerate(run_trials(env, [{"x": n} for n in range(32)], repeat=3, seed=1)):
                counted[result.values["x"], result.request.repeat, str(result.status.name)] += 1
                results.append(result)
                if dying and number == 30:
                    hosts["h3"].power_off()
            took = time.monotonic() - begun
            spread = [len({r.hosts for r in results if r.values["x"] == n}) for n in range(32)]
            print(
                f"{'one host dies' if dying else 'undisturbed'}: {took:.1f} s, {took / (96 * 2 / 8):.3f} x work/8;"
                f" {len(results)} results, {len(counted)} different, {sum(r.attempts for r in results) - 96} again,"
                f" {sum(r.status.is_succeeded() for r in results)} succeeded,"
                f" hosts per configuration {min(spread)} to {max(spread)}",
                flush=True,
            )


POLICIES: list[dict[str, Any]] = [
    {"success": "all"},
    {"success": "any"},
    {"success": "majority"},
    {"success": {"at_least": 12}},
    {"success": {"at_least": 14}},
    {"success": {"fraction": 0.75}},
    {"success": {"fraction": 0.9}},
    {"success": "majority", "max_unreachable": 1},
    {"success": "majority", "max_unreachable": 0},
    {"success": "all", "on_host_failure": "stop"},
    {"success": "any", "retries": 1, "retry_on": ["unreachable"]},
]


def policies() -> None:
    """16 hosts, four of them in trouble."""
    specs = [HostSpec(f"h{n}", python=n != 16) for n in range(1, 17)]
    config: dict[str, Any] = {
        "name": "policies",
        "run": [
            # The host without Python runs the script all the same: nothing of ours needs one there.
            "case $(hostname) in h2) exit 3 ;; h3) sleep 60 ;; *) sleep 1 ;; esac",
            "hostname | sed 's/h/throughput=10/'; echo latency_p99=$(hostname | tr -d h)",
        ],
        "fail_fast": True,
        "shell": "sh",
        "timeouts": {"run": 6, "grace": 1},
        "results_stdout_pattern": r"^(\w+)=(\d+)$",
        "aggregate": {"throughput": "sum", "latency_p99": "max", "*": "mean"},
    }
    with Hosts(specs) as hosts:
        hosts["h1"].power_off()
        for policy in POLICIES:
            begun = time.monotonic()
            with RemoteEnv(config=config | policy, inventory=hosts.inventory()) as env:
                env.setup()
                status = env.run()[0]
                result = env.results["run"]
            kinds = Counter(str(host.kind) for host in result.hosts.values())
            print(f"{json.dumps(policy):60} {status.name:10} {dict(kinds)} {dict(result.metrics)} "
                  f"{time.monotonic() - begun:.1f} s", flush=True)  # fmt: skip
            print(f"{'':60} h16 (no Python): {result.hosts['h16'].kind}; attempts of h1: {result.hosts['h1'].attempts}")


def scale(real: int) -> None:
    """Aliases of a few real hosts."""
    with Hosts(real) as hosts, tempfile.TemporaryDirectory() as scratch:
        data = hosts.inventory_dict()
        of = list(data["fleet"]["hosts"].values())
        common = {key: value for key, value in data["fleet"].items() if key != "hosts"}
        print("hosts  first phase  a later one  shortest and longest  CPU of all  peak of our processes")
        for count in (25, 50, 100, 200):
            aliases = {f"a{n}": of[n % real] for n in range(count)}
            inventory = Path(scratch, f"{count}.json")
            inventory.write_text(json.dumps({"all": {**common, "hosts": aliases}}))
            config = {
                "name": "scale",
                "run": ["echo score=1"],
                "shell": "sh",
                "results_stdout_pattern": r"^(\w+)=(\d)$",
            }
            before = _cpu()
            with RemoteEnv(config=config, inventory=inventory) as env, Peak() as peak:
                env.setup()
                times = []
                for _ in range(8):
                    begun = time.monotonic()
                    status = env.run()[0]
                    times.append(time.monotonic() - begun)
                    assert status.is_succeeded(), env.results["run"].summary()
            print(
                f"{count:5}  {times[0]:8.2f} s   {statistics.median(times[1:]):8.2f} s   "
                f"{min(times[1:]):8.2f} to {max(times[1:]):5.2f} s   {_cpu() - before:8.1f} s   {peak.mib:6.0f} MiB",
                flush=True,
            )


def _cpu() -> float:
    """Return the CPU time of this process and of those below it that have ended, in seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


class Peak:
    """The most memory (proportional set size) that this process and all below it have at one time."""

    def __init__(self) -> None:
        self.mib = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self.mib = max(self.mib, sum(map(_pss, _tree(os.getpid()))) / 1024)


def _tree(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def _pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["policies", "sweep", "scale"])
    parser.add_argument("--real", type=int, default=8, help="sshd servers behind the aliases of `scale`")
    given = parser.parse_args()
    {"policies": policies, "sweep": sweep, "scale": lambda: scale(given.real)}[given.what]()


if __name__ == "__main__":
    main()
