"""What a CPU-bound script loses by being followed, measured in the script itself.

A machine's own ups and downs are far larger than what is looked for, and last seconds or minutes: two runs differ by
some percent for no reason. So there is one run, and what follows it is stopped and continued, again and again.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible_env import PhaseResult, RemoteEnv, WarmEngine
from tests.benchmarks.resources import descendants
from tests.hosts import Host, Hosts

SPIN = """
import time
x, told, end = 0, [], time.time() + {seconds}
while time.time() < end:
    begun = time.time()
    for i in range(50000):
        x = (x * 1103515245 + 12345) % 2147483648
    told.append((begun, time.time()))
with open("/tmp/told", "w") as file:
    file.writelines("%.6f %.6f\\n" % each for each in told)
"""
Window = tuple[float, float]
"""Begin and end, in seconds since the epoch."""


@contextlib.contextmanager
def apart(host: Host) -> Iterator[None]:
    """Give a host one core of this machine, and the controller the others."""
    cores = os.sched_getaffinity(0)
    theirs = {min(cores)}
    for pid in descendants(host.pid):
        os.sched_setaffinity(pid, theirs)
    os.sched_setaffinity(0, cores - theirs or cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _send(host: Host, number: signal.Signals) -> None:
    """Stop or continue all processes of a host but its first and the script."""
    for pid in descendants(host.pid)[1:]:
        with contextlib.suppress(OSError):
            if b"/tmp/spin.py" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, number)


def _turns(host: Host, until: float, length: float) -> list[tuple[Window, Window, Window, Window]]:
    """Let it be followed, not, not, and followed, again and again; return the windows."""
    turns = []
    while time.time() < until:
        windows = []
        for number in (signal.SIGCONT, signal.SIGSTOP, signal.SIGSTOP, signal.SIGCONT):
            _send(host, number)
            begun = time.time()
            time.sleep(length)
            windows.append((begun, time.time()))
        turns.append((windows[0], windows[1], windows[2], windows[3]))
    return turns


def _piece(pieces: Sequence[Window], window: Window) -> float:
    """Return the seconds that a piece of the work took in a window, on average."""
    first = bisect.bisect_left(pieces, window)
    last = bisect.bisect_left(pieces, (window[1],)) - 1  # the last one may end after it
    return (pieces[last][0] - pieces[first][0]) / (last - first)


def followed(hosts: Hosts, seconds: float = 480, length: float = 0.5) -> dict[str, Any]:
    """A CPU-bound script, the only work of a host with one core, with and without those who follow it on the host.

    Told are the median of the differences of all turns, and the interval in which it lies (95 %, by drawing turns).
    """
    host = hosts[0]
    script = f"cat >/tmp/spin.py <<'end'\n{SPIN.format(seconds=seconds)}end\nexec python3 /tmp/spin.py"
    results: list[PhaseResult] = []
    with (
        apart(host),
        contextlib.closing(WarmEngine()) as engine,
        RemoteEnv(
            config={"name": "spin", "run": script}, inventory=hosts.inventory(), limit=host.name, engine=engine
        ) as env,
    ):
        thread = threading.Thread(target=lambda: results.append(env.run_phase("run")))
        thread.start()
        time.sleep(4)  # started, and past the first round trip
        try:
            turns = _turns(host, time.time() + seconds - 10, length)
        finally:
            _send(host, signal.SIGCONT)
            thread.join()
    results[0].raise_for_status()
    told = Path(f"/proc/{descendants(host.pid)[1]}/root/tmp/told").read_text()
    pieces = [(float(begin), float(end)) for begin, end in (line.split() for line in told.splitlines())]
    differences = []
    for turn in turns:
        a, b, c, d = (_piece(pieces, window) for window in turn)
        differences.append(100 * ((a + d) / (b + c) - 1))
    chance = random.Random(0)
    medians = sorted(statistics.median(chance.choices(differences, k=len(differences))) for _ in range(2000))
    return {
        "turns": len(turns),
        "percent": statistics.median(differences),
        "percent_95": [medians[50], medians[-51]],
        "spread": statistics.stdev(differences),
    }
