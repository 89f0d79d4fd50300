"""A PostgreSQL server on a loopback port, whose data are in a directory for a while."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

USER = "nobody"


@contextlib.contextmanager
def server_for_a_while() -> Iterator[str]:
    """Start a server, yield its URL, and remove it. Raise FileNotFoundError if a program is missing."""
    initdb, pg_ctl = _program("initdb"), _program("pg_ctl")
    if os.geteuid() == 0:
        _program("runuser")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    directory = Path(tempfile.mkdtemp(prefix="ae-pg-"))
    if os.geteuid() == 0:
        shutil.chown(directory, USER)
    data = str(directory / "data")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={directory} -c fsync=off"
    quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "cwd": "/"}
    try:
        subprocess.run(_as_user(initdb, "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--no-sync"), **quiet)
        log = str(directory / "log")
        subprocess.run(_as_user(pg_ctl, "-D", data, "-w", "-l", log, "-o", options, "start"), **quiet)
        try:
            yield f"postgresql://bench@127.0.0.1:{port}"
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                subprocess.run(_as_user(pg_ctl, "-D", data, "-w", "-m", "immediate", "stop"), **quiet)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _program(name: str) -> str:
    places = [os.environ.get("PATH", ""), *(str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin")))]
    found = shutil.which(name, path=os.pathsep.join(reversed(places)))
    if found is None:
        raise FileNotFoundError(f"there is no {name} here")
    return found


def _as_user(*command: str) -> list[str]:
    """PostgreSQL refuses to be run by root."""
    return ["runuser", "-u", USER, "--", *command] if os.geteuid() == 0 else list(command)
