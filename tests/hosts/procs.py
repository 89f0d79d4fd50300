"""Look at processes through the outer /proc."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# OpenSSH 9.8 split sshd: sessions are sshd-session, logins sshd-auth.
SSHD_NAMES = frozenset({"sshd", "sshd-session", "sshd-auth"})


@dataclass(frozen=True)
class Process:
    """A process of a host: `pid` out here, `host_pid` as the host itself sees it."""

    pid: int
    host_pid: int
    name: str
    argv: tuple[str, ...]
    environ: dict[str, str]


def start_time(pid: int) -> int | None:
    """Start time in clock ticks: with the pid it names a process for good. None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def is_alive(pid: int, start: int) -> bool:
    """Whether that very process still runs (a zombie does not)."""
    return start_time(pid) == start


def all_pids() -> Iterator[int]:
    """Every pid in /proc."""
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def pid_namespace(pid: int) -> str | None:
    """The pid namespace a process lives in; None when it is gone or not ours to see."""
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return None


def in_namespace_of(pid: int) -> list[int]:
    """The processes that share a process's pid namespace."""
    namespace = pid_namespace(pid)
    if namespace is None or namespace == pid_namespace(os.getpid()):
        return []  # never our own namespace: callers send signals to these
    return [other for other in all_pids() if pid_namespace(other) == namespace]


def parent(pid: int) -> int | None:
    """The parent's pid."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return None


def children(pid: int) -> list[int]:
    """The children of a process."""
    return [other for other in all_pids() if parent(other) == pid]


def descendants(pid: int) -> list[int]:
    """Every process below one."""
    families: dict[int, list[int]] = {}
    for other in all_pids():
        if (above := parent(other)) is not None:
            families.setdefault(above, []).append(other)
    found: list[int] = []
    queue = [pid]
    while queue:
        below = families.get(queue.pop(), [])
        found += below
        queue += below
    return found


def name_of(pid: int) -> str:
    """The short name of a process, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except OSError:
        return ""


def host_pid(pid: int) -> int:
    """A process's pid as it sees itself, in its innermost pid namespace."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1])


def matching(pids: Iterable[int], marker: str) -> list[Process]:
    """Those processes whose command line or environment contains the marker."""
    found = []
    for pid in pids:
        try:
            argv = Path(f"/proc/{pid}/cmdline").read_bytes()
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            number = host_pid(pid)
        except OSError:
            continue
        if marker.encode() in argv or marker.encode() in environ:
            words = tuple(os.fsdecode(word) for word in argv.rstrip(b"\0").split(b"\0"))
            pairs = (os.fsdecode(pair).partition("=") for pair in environ.split(b"\0") if pair)
            found.append(Process(pid, number, name_of(pid), words, {k: v for k, _, v in pairs}))
    return found


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal processes; those that are gone already are fine."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
