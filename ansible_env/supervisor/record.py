"""Facts about a script that survive the controller: the boot on which it was started, and how it ended."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COMPLETE = "complete"
"""The file that is removed when a record cannot be written. That takes no space."""
_BOOT_ID = 36
"""Characters of a boot id."""


class Record:
    """Two small files in the trial's directory; without a directory, nothing is kept."""

    def __init__(self, directory: str | None, run_id: str) -> None:
        self._base = Path(directory) / run_id if directory else None
        self._is_new = False

    def result(self) -> dict[str, Any] | None:
        """Return the task result of the script, None if it is not known."""
        text = self._read(".json")
        result: dict[str, Any] | None = json.loads(text) if text else None
        return None if result is None or result.get("may_run") else result

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Keep the task result of the script. A script that was not started may start later."""
        if result.get("run_id"):
            self._write(".json", json.dumps(result))

    def begin(self) -> None:
        """Record that the script is about to be sent to the host, and reserve space for the boot id."""
        self._is_new = not self.has_begun
        if self._is_new:
            self._write(".boot", " " * _BOOT_ID + "\n")

    @property
    def has_begun(self) -> bool:
        """Whether the script was sent to the host, or was about to be."""
        return self._base is not None and self._base.with_suffix(".boot").is_file()

    @property
    def may_have_begun(self) -> bool:
        """Whether the script was sent to the host for all that is known: not every record could be written."""
        return self.has_begun or (self._base is not None and not self._complete.exists())

    def withdraw(self) -> None:
        """Record that the script was not sent after all: there is no connection to the host."""
        if self._base is not None and self._is_new:
            self._base.with_suffix(".boot").unlink(missing_ok=True)

    def boot_id(self) -> str:
        """Return the boot of the host on which the script was started; empty if that is not known."""
        return self._read(".boot").strip()

    def write_boot_id(self, boot_id: str) -> None:
        """Keep the boot of the host on which the script was started."""
        if self.has_begun and self._base is not None and len(boot_id) <= _BOOT_ID:
            with self._base.with_suffix(".boot").open("r+b", buffering=0) as file:
                file.write(boot_id.ljust(_BOOT_ID).encode())
        else:
            self._write(".boot", boot_id)

    @property
    def _complete(self) -> Path:
        assert self._base is not None  # noqa: S101 - for mypy
        return self._base.parent.parent / COMPLETE

    def _read(self, suffix: str) -> str:
        path = self._base.with_suffix(suffix) if self._base else None
        return path.read_text(encoding="utf-8") if path and path.is_file() else ""

    def _write(self, suffix: str, text: str) -> None:
        if self._base is not None:
            new = self._base.with_suffix(f"{suffix}.{os.getpid()}.new")
            try:
                new.touch(mode=0o600)
                new.write_text(text, encoding="utf-8")
                new.replace(self._base.with_suffix(suffix))
            except OSError:  # the controller's disk is full: the script has its result all the same
                for path in (new, self._complete):
                    with contextlib.suppress(OSError):
                        path.unlink()
