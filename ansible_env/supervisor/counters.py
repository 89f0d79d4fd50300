"""What a host and a script use while the script runs, from counters of the kernel that the supervisor reads twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_env.results.disturbance import SHORTEST

TICKS = 100
"""Units of /proc/stat in a second (USER_HZ), which is the same on every platform of Linux that Ansible reaches."""
PAGE_KIB = 4


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters of a host and of a script at one time; None for one that the host does not have.

    The order is that of `counters` in supervisor.pl and `count` in supervisor.sh.
    """

    uptime: float | None = None
    """Seconds."""
    busy: float | None = None
    """CPU time of all processes in ticks: user, nice and system of /proc/stat. Interrupts belong to no process."""
    total: float | None = None
    """CPU time, idle or not, in ticks."""
    steal: float | None = None
    """CPU time that the hypervisor gave to others, in ticks."""
    pressure_cpu: float | None = None
    """Microseconds in which some process waited for a CPU (/proc/pressure)."""
    pressure_io: float | None = None
    pressure_memory: float | None = None
    read: float | None = None
    """KiB read from disks (pgpgin of /proc/vmstat)."""
    written: float | None = None
    swapped_in: float | None = None
    """Pages."""
    oom_kills: float | None = None
    throttled: float | None = None
    """How often the first CPU's package was throttled for its temperature."""
    own_user: float | None = None
    """CPU time of the script and all its descendants that have ended, in microseconds."""
    own_system: float | None = None
    own_read: float | None = None
    """Bytes that these have read from disks (/proc/PID/io)."""
    own_written: float | None = None
    max_rss: float | None = None
    """KiB of the largest of these (getrusage)."""

    @classmethod
    def of_text(cls, text: str) -> Counters | None:
        """Read what the supervisor wrote. None if it is nothing, or not in that form."""
        words = text.split(",")
        if len(words) != len(dataclasses.fields(cls)):
            return None
        try:
            return cls(*(None if word == "-" else float(word) for word in words))
        except ValueError:
            return None


def disturbance(before: Counters | None, after: Counters | None, clock_step: float | None = None) -> dict[str, float]:
    """Return what else happened on a host while a script ran, by the names of `results.disturbance.LIMITS`.

    Nothing is returned for a script of less than `SHORTEST` seconds: the kernel counts CPU time in hundredths.
    """
    if before is None or after is None:
        return {}
    return {name: round(value, 3) for name, value in _disturbance(before, after, clock_step)}


def resources(before: Counters | None, after: Counters | None) -> dict[str, float]:
    """Return what a script has used: seconds of CPU, and bytes."""
    if before is None or after is None:
        return {}
    found = {
        "cpu_user_s": _spent(before.own_user, after.own_user, 1e-6),
        "cpu_system_s": _spent(before.own_system, after.own_system, 1e-6),
        "max_rss_bytes": _spent(0, after.max_rss, 1024),
        "io_read_bytes": _spent(before.own_read, after.own_read),
        "io_written_bytes": _spent(before.own_written, after.own_written),
    }
    return {name: round(value, 6) for name, value in found.items() if value is not None}


def _disturbance(before: Counters, after: Counters, clock_step: float | None) -> Iterator[tuple[str, float]]:
    if before.uptime is None or after.uptime is None or (seconds := after.uptime - before.uptime) < SHORTEST:
        return
    busy, total = _spent(before.busy, after.busy), _spent(before.total, after.total)
    own = _sum(_spent(before.own_user, after.own_user, 1e-6), _spent(before.own_system, after.own_system, 1e-6))
    if busy is not None and own is not None:
        yield "foreign_cpu_percent", 100 * max(0.0, busy / TICKS - own) / seconds
    if total and (steal := _spent(before.steal, after.steal)) is not None:
        yield "steal_percent", 100 * steal / total
    all_io = _sum(_spent(before.read, after.read, 1024), _spent(before.written, after.written, 1024))
    own_io = _sum(_spent(before.own_read, after.own_read), _spent(before.own_written, after.own_written))
    if all_io is not None and own_io is not None:
        yield "foreign_io_mib_per_s", max(0.0, all_io - own_io) / 2**20 / seconds
    for name in ("cpu", "io", "memory"):
        waited = _spent(getattr(before, f"pressure_{name}"), getattr(after, f"pressure_{name}"), 1e-6)
        if waited is not None:
            yield f"pressure_{name}_percent", min(100.0, 100 * waited / seconds)
    counts = {
        "swapped_in_mib": _spent(before.swapped_in, after.swapped_in, PAGE_KIB / 1024),
        "oom_kills": _spent(before.oom_kills, after.oom_kills),
        "throttled": _spent(before.throttled, after.throttled),
    }
    yield from ((name, value) for name, value in counts.items() if value is not None)
    if clock_step:
        yield "clock_step_s", abs(clock_step)


def _spent(before: float | None, after: float | None, unit: float = 1) -> float | None:
    return None if before is None or after is None else max(0.0, after - before) * unit


def _sum(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
