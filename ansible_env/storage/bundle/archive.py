"""Bundles as single files."""

from __future__ import annotations

import contextlib
import os
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ansible_env.errors import ConfigError, Problem
from ansible_env.storage.bundle.bundle import MANIFEST, Bundle
from ansible_env.storage.bundle.directories import slug

LEFT_OUT = frozenset({"state.json"})
"""Files that only a controller needs: the key with which it finds its scripts on the hosts."""


def export(bundle: Bundle, file: Path | None = None) -> Path:
    """Write a bundle to a .tar.gz for its owner only, and return the path. Raise ConfigError if that fails."""
    name = f"{slug(bundle.experiment)}-trial-{bundle.manifest['trial']}-{bundle.uid[:8]}"
    file = file or Path(f"{name}.tar.gz")
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(Problem("exists already", file=file, hint="-o FILE")) from None
    except OSError as error:
        raise ConfigError(Problem(f"cannot be written: {error.strerror}", file=file)) from error
    with os.fdopen(descriptor, "wb") as stream, tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for path in sorted(bundle.directory.rglob("*")):
            relative = path.relative_to(bundle.directory)
            if path.is_file() and not path.is_symlink() and str(relative) not in LEFT_OUT and path.suffix != ".new":
                archive.add(path, f"{name}/{relative}", filter=_anonymous)
    return file


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """Yield the bundle in a directory, or the one in a file that `export` made. Raise ConfigError if there is none."""
    if not path.is_file():
        yield Bundle.open(path)
        return
    with tempfile.TemporaryDirectory(prefix="ansible-env-bundle.") as directory:
        try:
            with tarfile.open(path) as archive:
                archive.extractall(directory, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise ConfigError(Problem(f"is not an exported bundle: {error}", file=path)) from error
        manifest = next(iter(sorted(Path(directory).glob(f"*/{MANIFEST}"))), None)
        if manifest is None:
            raise ConfigError(Problem("is not an exported bundle: it has no bundle.json", file=path))
        yield Bundle.open(manifest.parent)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove the owner: the file is for others."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member
