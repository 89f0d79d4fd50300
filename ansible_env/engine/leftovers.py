"""Ends processes and removes directories of controllers that were killed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ansible_env.common import Owner, get_logger
from ansible_env.engine import processes
from ansible_env.supervisor.variables import OWNER

logger = get_logger(__name__)

PREFIX = "ae-"
SPARE = ("/dev/shm", "/var/tmp", "/tmp")  # noqa: S108 - used as tempfile uses them
"""Directories for temporary files of runs, if the usual one is full: a teardown must be possible."""
ABANDONED = 600
"""Age in seconds from which a directory without an owner is nobody's."""
ROOM, FILES = 4 * 2**20, 200
"""Bytes and files that a run may need."""


def make_base(parent: str | None) -> Path:
    """Create the directory of an engine, with the name of its owner in it."""
    base = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    (base / "owner").write_text(Owner.this().to_text(), encoding="utf-8")
    return base


def usable_temp() -> list[str]:
    """Return directories for temporary files, the usual one first, those with too little room last."""
    try:
        usual = short_temp()
    except FileNotFoundError:  # nothing can be written in any of the usual ones
        usual = SPARE[0]
    return sorted(dict.fromkeys([usual, *SPARE]), key=lambda place: not has_room(place))


def has_room(place: str | Path) -> bool:
    """Whether a run of Ansible can write its files into a directory."""
    try:
        disk = os.statvfs(place)
    except OSError:
        return False
    full = disk.f_blocks and disk.f_bavail * disk.f_frsize < ROOM
    return not full and not (disk.f_files and disk.f_favail < FILES) and os.access(place, os.W_OK | os.X_OK)


def remove_base(base: Path) -> None:
    """End the shared ssh connections of an engine, whose sockets are in `cp`, and remove its directory."""
    for socket in (base / "cp").glob("*"):
        command = ["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "none"]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, timeout=10, check=False)
    shutil.rmtree(base, ignore_errors=True)


def remove_leftovers(parent: str | None) -> None:
    """End local processes and remove directories whose owner is dead.

    With SIGKILL: a worker that got SIGTERM would end its script on the target, and `attach` may still want that.
    """
    orphans = list(_orphans())
    if orphans:
        logger.warning("ending %d processes of a controller that was killed", len(orphans))
        processes.send(orphans, signal.SIGKILL)
    for base in Path(parent or tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            if base.stat().st_uid == os.geteuid() and not base.is_symlink() and _is_left(base):
                remove_base(base)


def _is_left(base: Path) -> bool:
    """Whether nobody uses the directory of an engine any more."""
    try:
        return not Owner.of_text((base / "owner").read_text(encoding="utf-8")).lives()
    except FileNotFoundError:  # it is just being made, or a process that outlived its engine has made it anew
        return time.time() - base.stat().st_mtime > ABANDONED


def _orphans() -> Iterator[int]:
    for pid, variables in processes.environments(OWNER):
        with contextlib.suppress(ValueError):
            if not Owner.of_text(variables).lives():
                yield pid


def short_temp() -> str:
    """Return the usual directory for temporary files, or /tmp where that one's name cannot be that of a socket's.

    It would be too long (a control socket's path may have 104 bytes), or hold what ssh replaces or splits at: `%h`,
    spaces, quotes.
    """
    usual = tempfile.gettempdir()
    return usual if len(usual) < 40 and re.fullmatch(r"[A-Za-z0-9_./+-]+", usual) else "/tmp"  # noqa: S108
