"""What a CPU-bound script loses by being followed, measured in the script itself.

A machine's own ups and downs are far larger than what is looked for, and last parts of a second or minutes: two runs
differ by some percent for no reason. So there is one run, and what follows it is stopped and continued, again and
again. The script does pieces of equal work, and notes each one's time and how much of that it had the core. What it
had to wait for the core is told exactly, whatever the machine does. What it lost in all, caches included, is told by
comparing windows side by side, where the machine left it alone in both.
"""

from __future__ import annotations

import bisect
import contextlib
import math
import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ansible_env import PhaseResult, RemoteEnv, WarmEngine
from tests.benchmarks.resources import descendants
from tests.hosts import Host, Hosts

SPIN = """
import time
x, told, end = 0, [], time.time() + {seconds}
while time.time() < end:
    begun, used = time.time(), time.process_time()
    for i in range(50000):
        x = (x * 1103515245 + 12345) % 2147483648
    told.append((begun, time.time(), time.process_time() - used))
with open("/tmp/told", "w") as file:
    file.writelines("%.6f %.6f %.9f\\n" % each for each in told)
"""
BURN = """
import time
while True:
    end = time.process_time() + 0.001
    while time.process_time() < end:
        pass
    time.sleep(0.1)
"""
"""Uses one percent of a core, in bits."""
DISTURBED = 1.2
"""A piece is disturbed by the machine where it takes so many times what a good one takes."""
QUIET = 0.05
"""The part of the pieces that may be disturbed in a window that counts. Followers can't disturb so many."""


class Piece(NamedTuple):
    """A piece of the script's work: its begin and end in seconds since the epoch, and the seconds of CPU it had."""

    begin: float
    end: float
    cpu: float


class Window(NamedTuple):
    """The script's work while it was followed, or not: seconds a piece, of waiting, of all, and the disturbed part."""

    piece: float
    waiting: float
    length: float
    disturbed: float


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


def _turns(host: Host, until: float, length: float) -> list[list[tuple[float, float]]]:
    """Let it be followed, not, not, and followed, again and again; return begin and end of each."""
    turns = []
    while time.time() < until:
        turn = []
        for number in (signal.SIGCONT, signal.SIGSTOP, signal.SIGSTOP, signal.SIGCONT):
            _send(host, number)
            begun = time.time()
            time.sleep(length)
            turn.append((begun, time.time()))
        turns.append(turn)
    return turns


def _window(pieces: Sequence[Piece], good: float, begin: float, end: float) -> Window:
    """Return what the script did from one time to another."""
    first, behind = (bisect.bisect_left(pieces, (at,)) for at in (begin, end))
    inside = pieces[first : behind - 1]  # the last one may end later
    times = [each.end - each.begin for each in inside]
    return Window(
        piece=(pieces[behind - 1].begin - pieces[first].begin) / len(inside),
        waiting=sum(times) - sum(each.cpu for each in inside),
        length=sum(times),
        disturbed=sum(each > DISTURBED * good for each in times) / len(times),
    )


def _waiting(windows: Sequence[Window]) -> float:
    """Return what part of the time, in percent, the script waited for the core."""
    return 100 * sum(each.waiting for each in windows) / sum(each.length for each in windows)


def _differences(pairs: Sequence[tuple[Window, Window]]) -> list[float]:
    """Return how much longer, in percent, a piece took in the first of each pair, where both were quiet."""
    return [100 * math.log(a.piece / b.piece) for a, b in pairs if max(a.disturbed, b.disturbed) <= QUIET]


def _interval(values: Sequence[Any], of: Callable[[Sequence[Any]], float]) -> list[float]:
    """Return where something lies (95 %), by drawing values again and again."""
    chance = random.Random(0)
    drawn = sorted(of(chance.choices(values, k=len(values))) for _ in range(2000))
    return [drawn[50], drawn[-51]]


def losses(pieces: Sequence[Piece], turns: Sequence[Sequence[tuple[float, float]]]) -> dict[str, Any]:
    """Return what the script lost by waiting and in all, in percent, and what the same way tells of no difference."""
    times = sorted(each.end - each.begin for each in pieces)
    good = times[len(times) // 20]
    told = [tuple(_window(pieces, good, *window) for window in turn) for turn in turns]
    pairs = [pair for a, b, c, d in told for pair in ((a, b), (d, c))]
    found, none = _differences(pairs), _differences([(b, c) for _, b, c, _ in told])

    def waiting(turns: Sequence[Any]) -> float:
        return _waiting([turn[n] for turn in turns for n in (0, 3)]) - _waiting(
            [turn[n] for turn in turns for n in (1, 2)]
        )

    return {
        "turns": len(turns),
        "waiting": waiting(told),
        "waiting_95": _interval(told, waiting),
        "pairs": len(found),
        "percent": statistics.fmean(found) if found else None,
        "percent_95": _interval(found, statistics.fmean) if found else None,
        "no_difference": statistics.fmean(none) if none else None,
        "no_difference_95": _interval(none, statistics.fmean) if none else None,
    }


def followed(hosts: Hosts, seconds: float = 480, length: float = 0.5) -> dict[str, Any]:
    """A CPU-bound script, the only work of a host with one core, with and without those who follow it on the host."""
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
    return losses([Piece(*map(float, line.split())) for line in told.splitlines()], turns)


def control(hosts: Hosts, seconds: float = 160) -> dict[str, Any]:
    """What `followed` tells where something else, stopped and continued too, uses one percent of the core."""
    hosts[0].ssh(f"cat >/tmp/burn.py <<'end'\n{BURN}end\nnohup python3 /tmp/burn.py </dev/null >/dev/null 2>&1 &")
    return followed(hosts, seconds)
