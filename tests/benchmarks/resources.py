"""What following a script costs: the controller's CPU, the target's, and memory over many phases."""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from ansible_env import RemoteEnv, WarmEngine
from tests.hosts import Hosts
from tests.soak import Footprint, children, rss

TICK = os.sysconf("SC_CLK_TCK")
SPIN = """
import time
begun = time.perf_counter()
x = 0
for i in range(int({work})):
    x = (x * 1103515245 + 12345) % 2147483648
print("score=%.6f" % (time.perf_counter() - begun))
"""


def descendants(pid: int) -> list[int]:
    """Return the process and all below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += descendants(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and those below it, also of those it has waited for."""
    total = 0.0
    for one in descendants(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(field) for field in fields[11:15]) / TICK
    return total


def idle(hosts: Hosts, seconds: float = 30) -> dict[str, Any]:
    """The controller while all hosts run a quiet script."""
    config = {"name": "idle", "run": f"sleep {seconds + 20}"}
    fleet = set(children(os.getpid()))  # the hosts themselves

    def used() -> float:
        return time.process_time() + sum(cpu_seconds(pid) for pid in children(os.getpid()) if pid not in fleet)

    with RemoteEnv(config=config, inventory=hosts.inventory()) as env:
        thread = threading.Thread(target=env.run_phase, args=("run",))
        thread.start()
        time.sleep(8)  # started everywhere, and past the lively first seconds
        before, begun = used(), time.monotonic()
        time.sleep(seconds)
        spent, passed = used() - before, time.monotonic() - begun
        env.cancel()
        thread.join(60)
    return {"hosts": len(hosts), "seconds": passed, "controller_cpu_percent": 100 * spent / passed}


def followed(hosts: Hosts, pairs: int = 100, work: float = 1.5e7) -> dict[str, Any]:
    """A CPU-bound script, bare over ssh and followed by us, in pairs of alternating order; it takes its own time.

    It begins when the controller, which is on the same machine, has done what it does at the beginning of a phase.
    The machine's own ups and downs are far larger than what is looked for, so there are many pairs, and the interval in
    which the median of their differences lies is told with it.
    """
    script = f"sleep 2; python3 -c '{SPIN.format(work=work)}'"
    host = hosts[0]
    config = {"name": "spin", "run": script, "results_stdout_pattern": r"(score)=([0-9.]+)"}

    def bare() -> float:
        done = subprocess.run([*host.ssh_command(), script], capture_output=True, text=True, check=True)
        return float(done.stdout.partition("=")[2])

    def ours() -> float:
        result = env.run_phase("run").raise_for_status()
        return float(result.hosts[host.name].metrics["score"])

    times: list[tuple[float, float]] = []
    with RemoteEnv(config=config, inventory=hosts.inventory(), limit=host.name) as env:
        for number in range(pairs):
            first = bare() if number % 2 else 0.0
            followed = ours()
            times.append((first or bare(), followed))
    differences = [100 * (followed / alone - 1) for alone, followed in times]
    chance = random.Random(0)
    medians = sorted(statistics.median(chance.choices(differences, k=pairs)) for _ in range(2000))
    return {
        "pairs": pairs,
        "bare": statistics.median(alone for alone, _ in times),
        "followed": statistics.median(followed for _, followed in times),
        "percent": statistics.median(differences),
        "percent_95": [medians[50], medians[-51]],
        "percent_of_best": 100 * (min(followed for _, followed in times) / min(alone for alone, _ in times) - 1),
    }


def on_target(hosts: Hosts, seconds: float = 40) -> dict[str, Any]:
    """The CPU that all of a host's processes use while a quiet script is followed."""
    host = hosts[0]
    config = {"name": "quiet", "run": f"sleep {seconds + 10}"}
    with RemoteEnv(config=config, inventory=hosts.inventory(), limit=host.name) as env:
        thread = threading.Thread(target=env.run_phase, args=("run",))
        thread.start()
        time.sleep(5)
        before, begun = cpu_seconds(host.pid), time.monotonic()
        time.sleep(seconds)
        used, passed = cpu_seconds(host.pid) - before, time.monotonic() - begun
        env.cancel()
        thread.join(60)
    return {"seconds": passed, "target_cpu_percent": 100 * used / passed}


def memory(hosts: Hosts, phases: int = 1000) -> dict[str, Any]:
    """A thousand phases through one warm engine."""
    config = {"name": "many", "run": "echo score=1.0", "results_stdout_pattern": r"(score)=([0-9.]+)"}
    engine = WarmEngine()
    with RemoteEnv(config=config, inventory=hosts.inventory(), limit=hosts[0].name, engine=engine) as env:
        for _ in range(20):
            env.run_phase("run").raise_for_status()
        before, servers = Footprint(), {pid: rss(pid) for pid in descendants(os.getpid())[1:]}
        marks = []
        for number in range(phases):
            env.run_phase("run").raise_for_status()
            if number % 100 == 99:
                marks.append(rss(os.getpid()))
        after, later = Footprint(), {pid: rss(pid) for pid in descendants(os.getpid())[1:]}
    engine.close()
    return {
        "phases": phases,
        "before": vars(before),
        "after": vars(after),
        "rss_each_100": marks,
        "servers": [servers, later],
    }
