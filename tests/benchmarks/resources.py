"""What following a script costs: the controller's CPU, the target's, and memory over many phases."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Any

from ansible_env import RemoteEnv, WarmEngine
from tests.footprint import Footprint, rss
from tests.hosts import Hosts
from tests.hosts.procs import children

TICK = os.sysconf("SC_CLK_TCK")


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


def masters() -> set[int]:
    """Return the processes that hold ssh's shared connections; nobody's children, they are ours nevertheless."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(b"ssh: ") and b"[mux]" in path.read_bytes():
                found.add(int(path.parent.name))
    return found


def idle(hosts: Hosts, seconds: float = 120) -> dict[str, Any]:
    """The controller while all hosts run a quiet script."""
    config = {"name": "idle", "run": f"sleep {seconds + 20}"}
    others = set(children(os.getpid())) | masters()  # the hosts themselves, and other people's

    def used() -> float:
        below = (set(children(os.getpid())) | masters()) - others
        return time.process_time() + sum(cpu_seconds(pid) for pid in below)

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
