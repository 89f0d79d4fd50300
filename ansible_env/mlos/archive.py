"""Directories as single files, to transfer them over any connection."""

from __future__ import annotations

import logging
import os
import shutil
import tarfile
from pathlib import Path, PurePosixPath

logger = logging.getLogger(__name__)


def pack(source: Path, archive: Path, *, recursive: bool) -> None:
    """Write the content of a directory to a tar archive, without subdirectories unless `recursive`."""
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(source.iterdir()):
            if recursive or not path.is_dir():
                tar.add(path, arcname=path.name, filter=_nobody)


def _nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove the owner, who does not exist on the host."""
    return member.replace(uid=0, gid=0, uname="", gname="", deep=False)


def unpack(archive: Path, target: Path) -> list[Path]:
    """Extract a tar archive from a host into a directory, and return the files.

    The host is not trusted: members that would leave the directory are skipped (tarfile.data_filter).
    """
    target.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    with tarfile.open(archive) as tar:
        for member in tar:
            if PurePosixPath(member.name) == PurePosixPath("."):
                continue  # the directory itself already has its mode
            _forget_link(target, PurePosixPath(member.name))
            try:
                safe = tarfile.data_filter(member, os.fspath(target)).replace(mode=member.mode & 0o777, deep=False)
            except tarfile.FilterError as error:
                logger.warning("a download skips a member: %s", error)
                continue
            path = target / safe.name
            if not safe.isdir() and path.is_file():
                path.unlink()  # never write into a file that has another name
            tar.extract(safe, target, filter="fully_trusted")
            if not safe.isdir():
                written.append(path)
    return written


def _forget_link(target: Path, name: PurePosixPath) -> None:
    """Remove a link in the place of a member: never write through it."""
    path = target / name
    inside = not name.is_absolute() and ".." not in name.parts
    if inside and path.is_symlink() and path.parent.resolve().is_relative_to(target.resolve()):
        path.unlink()


def install(file: Path, target: Path, mode: int) -> Path:
    """Move a fetched file to its target atomically."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.ansible_env-part")
    try:
        shutil.move(file, new)  # possibly from another file system
        new.chmod(mode)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
    return target
