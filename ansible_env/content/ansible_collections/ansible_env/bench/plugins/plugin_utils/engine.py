# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a phase task and the engine that runs its play exchange: files in the engine's private directory."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

with contextlib.suppress(ImportError):  # without the library: the action plugin reports that
    from ansible_env.supervisor.variables import LOG_DIR, PRIVATE_DIR


class EngineDirectory:
    """The private directory of the engine's run; None in a play that no engine runs."""

    def __init__(self):
        directory = os.environ.get(PRIVATE_DIR)
        self._path = Path(directory) if directory else None
        self.unfinished = False
        """Whether the script may run on although nobody follows it: the engine has to end it."""

    def __bool__(self):
        return self._path is not None

    @property
    def is_stopped(self):
        """Whether the engine ends the run."""
        return self._path is not None and (self._path / "cancel").exists()

    def reason(self):
        """Return why the engine ends the run. A signal from elsewhere is a Ctrl-C of the user."""
        text = ""
        if self._path is not None:
            with contextlib.suppress(FileNotFoundError):
                text = (self._path / "cancel").read_text(encoding="utf-8")
        return text or "canceled"

    def logs(self):
        """Return the directory for what the script prints, if it is kept or followed."""
        kept = os.environ.get(LOG_DIR)
        if kept:
            Path(kept).mkdir(mode=0o700, exist_ok=True)
            return Path(kept)
        followed = self._path / "logs" if self._path else None
        return followed if followed and followed.is_dir() else None

    @contextlib.contextmanager
    def waiting(self, host):
        """Record that this process waits for a script on a host: whom to signal, and what to end if it is killed."""
        self._record(f"+{os.getpid()} {host}\n")
        try:
            yield
        finally:
            if not self.unfinished:
                with contextlib.suppress(FileNotFoundError):  # the run has been given up
                    self._record(f"-{os.getpid()} {host}\n")

    def _record(self, line):
        if self._path is not None:
            file = os.open(self._path / "workers", os.O_WRONLY | os.O_APPEND)
            try:
                os.write(file, line.encode())  # in one write, so that no other process's line mixes with it
            finally:
                os.close(file)
