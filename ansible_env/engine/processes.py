"""The local processes of a run, identified by the marker in their environment."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ansible_env.engine.forkserver.wire import process_name
from ansible_env.supervisor.variables import ENGINE_RUN


def marked(run: str) -> list[int]:
    """Return the pids of the processes that belong to a run; none without /proc."""
    name = process_name(run)
    # A process of the warm engine has the environment of its server in /proc, but its own name.
    return sorted(int(entry.name) for entry in _entries() if _comm(entry) == name or _value(entry, ENGINE_RUN) == run)


def environments(variable: str) -> Iterator[tuple[int, str]]:
    """Yield each process that has an environment variable, and its value; shared ssh connections are left out."""
    for entry in _entries():
        value = _value(entry, variable)
        if value is not None:
            yield int(entry.name), value


def _entries() -> Iterator[Path]:
    return Path("/proc").glob("[0-9]*")


def _comm(entry: Path) -> str:
    with contextlib.suppress(OSError):
        return (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _value(entry: Path, variable: str) -> str | None:
    """Return a variable of a process of this user that is not a shared ssh connection, or None."""
    prefix = f"{variable}=".encode()
    with contextlib.suppress(OSError):
        data = (entry / "environ").read_bytes()
        if prefix in data and not _is_ssh_master(entry):
            for item in data.split(b"\0"):
                if item.startswith(prefix):
                    return item[len(prefix) :].decode("utf-8", "replace")
    return None


def _is_ssh_master(entry: Path) -> bool:
    """Whether this is a shared ssh connection: it serves later runs too, and is ended by the engine's close()."""
    return (entry / "cmdline").read_bytes().rstrip(b"\0").endswith(b"[mux]")


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each process that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def unblocking() -> Callable[[], None] | None:
    """Return the first action of a new process if this thread blocks signals, because the process would inherit that.

    Without SIGCHLD Ansible waits for its workers forever, and without SIGUSR1 and SIGTERM it cannot be ended.
    """
    return unblock if signal.pthread_sigmask(signal.SIG_BLOCK, ()) else None


def unblock() -> None:
    """Block no signal in this thread."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def end(run: str, *, patience: float = 3) -> None:
    """End every process of a run: TERM, and KILL for those that are still there after `patience` seconds."""
    pids = marked(run)
    send(pids, signal.SIGTERM)
    give_up = time.monotonic() + patience
    while pids and time.monotonic() < give_up:
        time.sleep(0.05)
        pids = marked(run)
    for _ in range(20):
        pids = marked(run)
        if not pids:
            return
        send(pids, signal.SIGKILL)
        time.sleep(0.05)
