"""Facts about a script that survive the controller: the boot on which it was started, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Record:
    """Two small files in the trial's directory; without a directory, nothing is kept."""

    def __init__(self, directory: str | None, run_id: str) -> None:
        self._base = Path(directory) / run_id if directory else None

    def result(self) -> dict[str, Any] | None:
        """Return the task result of the script, None if it is not known."""
        text = self._read(".json")
        return json.loads(text) if text else None

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Keep the task result of the script. A script that was not started may start later."""
        if result.get("run_id"):
            self._write(".json", json.dumps(result))

    def boot_id(self) -> str:
        """Return the boot of the host on which the script was started; empty if that is not known."""
        return self._read(".boot")

    def write_boot_id(self, boot_id: str) -> None:
        """Keep the boot of the host on which the script was started."""
        self._write(".boot", boot_id)

    def _read(self, suffix: str) -> str:
        path = self._base.with_suffix(suffix) if self._base else None
        return path.read_text(encoding="utf-8") if path and path.is_file() else ""

    def _write(self, suffix: str, text: str) -> None:
        if self._base is not None:
            new = self._base.with_suffix(suffix + ".new")
            new.touch(mode=0o600)
            new.write_text(text, encoding="utf-8")
            new.replace(self._base.with_suffix(suffix))
