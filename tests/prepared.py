"""The processes that a session engine keeps ready, as /proc shows them."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from ansible_env import Engine, SessionEngine
from tests.hosts.procs import children


def prepared(engine: Engine) -> set[int]:
    """Return the pids of those that have run the empty play: they have left its directory for the root."""
    assert isinstance(engine, SessionEngine)
    found = set()
    for server in engine._servers.values():
        for pid in children(server.pid):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/cwd").readlink() == Path("/") and not _name(pid).startswith("ae-"):
                    found.add(pid)
    return found


def ready(engine: Engine, timeout: float = 30) -> set[int]:
    """Wait for one that is ready, and return the pids of all that are."""
    give_up = time.monotonic() + timeout
    while not (found := prepared(engine)):
        assert time.monotonic() < give_up, "no process was kept ready"
        time.sleep(0.02)
    time.sleep(0.2)  # until it has said so
    return found


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()
