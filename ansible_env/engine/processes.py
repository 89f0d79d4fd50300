"""The local processes of a run, found by the marker in their environment."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ansible_env.engine.environ import MARKER
from ansible_env.forkserver.wire import process_name


def marked(run: str) -> list[int]:
    """Return the pids of the processes that belong to a run; only where /proc is, elsewhere none."""
    found = {pid for pid, value in environments(MARKER) if value == run}
    # A process of the warm engine has the environment of its server in /proc, but a name of its own.
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "comm").read_text(encoding="utf-8", errors="replace").strip() == process_name(run):
                found.add(int(entry.name))
    return sorted(found)


def environments(variable: str) -> Iterator[tuple[int, str]]:
    """Yield each process that has an environment variable, and its value; shared ssh connections are left out."""
    prefix = f"{variable}=".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            data = (entry / "environ").read_bytes()
            if prefix in data and not _is_ssh_master(entry):
                for item in data.split(b"\0"):
                    if item.startswith(prefix):
                        yield int(entry.name), item[len(prefix) :].decode("utf-8", "replace")


def own_uid() -> int:
    """Return the user that we are."""
    return os.geteuid()


def _is_ssh_master(entry: Path) -> bool:
    """Whether this is a shared ssh connection: it serves later runs too, and is ended by the engine's close()."""
    return (entry / "cmdline").read_bytes().rstrip(b"\0").endswith(b"[mux]")


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each process that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


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
