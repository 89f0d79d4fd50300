"""Writing files as a whole; those of a bundle are readable by their owner only."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_env.common import reason
from ansible_env.errors import ConfigError, Problem


def make_private(path: Path) -> None:
    """Create a directory and its parents, regardless of the umask. Only the owner can read a directory created here."""
    missing = [path, *itertools.takewhile(lambda parent: not parent.exists(), path.parents)]
    for directory in reversed(missing):
        directory.mkdir(mode=0o700, exist_ok=True)


class Tolerant:
    """Reports once that something cannot be written, and lets the trial go on: `with tolerant(): …`."""

    def __init__(self, what: str, report: Callable[[str], object]) -> None:
        self._what = what
        self._report = report
        self._reported = False

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Suppress an error of the system in a block."""
        try:
            yield
        except OSError as error:
            if not self._reported:
                self._reported = True
                self._report(f"{self._what}: {reason(error)}")


def write_private(path: Path, text: str, *, sync: bool = False) -> None:
    """Replace a file that only its owner can read, as a whole. With `sync`, it survives a power failure."""
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".new", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def write_whole(path: Path, text: str, option: str) -> None:
    """Write the file that an option names, as a whole or not at all. Raise ConfigError if that fails."""
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as file:
            temporary = Path(file.name)
            try:
                file.write(text)
            except BaseException:
                temporary.unlink()
                raise
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(Problem(f"cannot be written: {error.strerror}", option, path)) from error


def to_json(data: Any, *, indent: int | None = None) -> str:
    """Return JSON that any reader accepts and any terminal may show: ASCII without NaN and infinity."""
    return json.dumps(_finite(data), indent=indent, allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
