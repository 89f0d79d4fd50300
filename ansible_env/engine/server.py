"""A fork server from its owner's side: start, check and end it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ansible_env.engine.ansible_cfg import working_directory
from ansible_env.engine.forkserver import client


class ForkServer:
    """One fork server, owned by this process: it ends when our end of a pipe closes, however we end."""

    def __init__(self, base: Path, env: Mapping[str, str], prepared: int) -> None:
        """Start it, with its directory in `base`; it keeps `prepared` processes ready.

        Raises:
            OSError: it cannot be started.
        """
        self._directory = Path(tempfile.mkdtemp(prefix="server-", dir=base))
        self.socket = self._directory / "s"
        (self._directory / "tmp").mkdir(mode=0o700)
        self._log = self._directory / "log"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        owner, self._owner = os.pipe()
        try:
            listener.bind(str(self.socket))
            # Clients may come while Ansible is still being loaded: they wait.
            listener.listen(64)
            self._process = self._start(listener.fileno(), owner, prepared, env)
        except BaseException:
            os.close(self._owner)
            raise
        finally:
            listener.close()
            os.close(owner)

    def _start(self, listener: int, owner: int, prepared: int, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        numbers = [str(number) for number in (listener, owner, prepared)]
        with self._log.open("wb") as log:
            # -P: the current directory is the caller's, and no place for modules
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "ansible_env.engine.forkserver.server", *numbers],
                env={
                    **{name: value for name, value in env.items() if name != "ANSIBLE_CALLBACK_PLUGINS"},
                    "ANSIBLE_LOCAL_TEMP": str(self._directory / "tmp"),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(listener, owner),
                start_new_session=True,
                cwd=working_directory(),  # what relative paths in Ansible's settings start from
            )

    @property
    def pid(self) -> int:
        """The process of the server."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether the server is still there."""
        return self._process.poll() is None

    def is_usable(self) -> bool:
        """Whether the server is there and can be reached: its socket may have been removed from /tmp."""
        return self.is_alive() and self.socket.exists()

    def last_words(self) -> str:
        """Return the last line that it printed, or how it ended."""
        lines = self._lines()
        if lines:
            return lines[-1]
        return "its socket was removed" if self.is_alive() else f"exit status {self._process.returncode}"

    def complaints(self) -> set[str]:
        """Return the lines by which it reports that it does without a patch, or without prepared processes."""
        return {line for line in self._lines() if line.startswith((client.NOT_PREPARED, client.NOT_PATCHED))}

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            os.write(self._owner, b"-")  # a process forked from ours may hold the pipe open
        self._close_pipe()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def abandon(self) -> None:
        """Leave it to the process that we were forked from."""
        self._close_pipe()
        self._process.returncode = 0  # it is no child of ours that anybody could wait for

    def _close_pipe(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._owner)
        self._owner = -1

    def _lines(self) -> list[str]:
        try:
            return self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return []


def key_of(env: Mapping[str, str]) -> str:
    """Return what distinguishes environments that need a server each; a changed ansible.cfg is another one."""
    state = {**env, "directory": str(working_directory())}
    with contextlib.suppress(OSError, KeyError):
        stat = Path(env["ANSIBLE_CONFIG"]).stat()
        state["ansible.cfg"] = f"{stat.st_mtime_ns} {stat.st_size}"
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
