"""The directory for a host's files on the controller. No name of a file leads out of it."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import IO

from ansible_env.common import reason

_UNFINISHED = ".unfinished"
"""The file that is being written. It has its own name when it is complete."""


class KeptFiles:
    """Writes files, one after the other, which only their owner can read. It writes no more when it cannot."""

    def __init__(self, directory: Path) -> None:
        """Use a directory, which is made when it is needed."""
        self.directory = directory
        self.problem = ""
        """Why nothing more is written."""
        self._taken: set[str] = set()
        self._file: IO[bytes] | None = None

    def claim(self, path: str) -> bool:
        """Make the place for a file, and return whether there is one: another file may be there, or above it."""
        *above, _ = itertools.accumulate(path.split("/"), "{}/{}".format)
        if path == _UNFINISHED or not self._taken.isdisjoint((path, *above)):
            return False
        self._taken.add(path)
        place = self.directory
        try:
            for part in ("", *path.split("/")[:-1]):
                place = place / part
                if place.is_symlink():
                    return False
                place.mkdir(mode=0o700, exist_ok=True)
            return not (self.directory / path).is_dir()
        except (FileExistsError, NotADirectoryError):
            return False
        except OSError as error:
            self.problem = reason(error)
            return True

    def write(self, data: bytes) -> None:
        """Write the next piece of a file."""
        if self.problem:
            return
        try:
            if self._file is None:
                path = self.directory / _UNFINISHED
                path.unlink(missing_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                self._file = os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self.problem = reason(error)

    def finish(self, path: str) -> bool:
        """Give a complete file its name, and return whether it is there."""
        self.write(b"")  # there may be nothing in it
        if self._file is not None and not self.problem:
            self._file.close()
            self._file = None
            try:
                (self.directory / _UNFINISHED).replace(self.directory / path)
                return True
            except OSError as error:
                self.problem = reason(error)
        return False

    def drop(self) -> None:
        """Remove a file that is not complete."""
        if self._file is not None:
            self._file.close()
            self._file = None
            (self.directory / _UNFINISHED).unlink(missing_ok=True)
