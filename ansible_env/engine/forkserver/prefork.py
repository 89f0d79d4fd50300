# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that the fork server keeps ready, each for one request that may come."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ansible_env.engine.forkserver import child, client
from ansible_env.engine.forkserver.wire import Request
from ansible_env.supervisor.variables import PER_RUN

PAUSE = 0.02
"""Seconds from the end of a process to the next fork: what the engine has to do at the end of a phase comes first."""


@dataclass
class _Spare:
    connection: socket.socket
    environ: Mapping[str, str]
    is_ready: bool = False


class Spares:
    """Up to `wanted` of them. One is forked after the end of each process that was asked for.

    After the end, because then nothing is being measured, while at its beginning a script may be about to run on this
    very machine. For phases that follow each other at once there have to be two, as one is not ready in time.
    """

    def __init__(self, wanted: int, leave: Callable[[], None]) -> None:
        self._wanted = wanted
        self._leave = leave
        """What a forked process does first: it closes what only the server needs."""
        self._spares: dict[int, _Spare] = {}
        self._environ: dict[str, str] | None = None
        """What the latest request had in its environment that the next one is likely to have, too."""
        self._due: float | None = None
        self._is_proven = False

    def sockets(self) -> list[socket.socket]:
        """What is to be watched for news of them."""
        return [spare.connection for spare in self._spares.values()]

    def take(self, request: Request) -> int | None:
        """Hand a request to a process that is ready for it, and return its pid; None if there is no such one."""
        if self._wanted == 0 or Path(request.arguments[0]).name != "ansible-playbook":
            return None
        self._environ = _lasting(request.environ)
        for pid, spare in self._spares.items():
            if spare.is_ready and spare.environ == self._environ:
                del self._spares[pid]
                variables = {os.fsencode(name): os.fsencode(value) for name, value in request.environ.items()}
                with spare.connection, contextlib.suppress(OSError):  # if it has died: its status will tell
                    client.send(spare.connection, request.arguments, variables, request.cwd, list(request.fds))
                return pid
        return None

    def expect(self) -> None:
        """Take note that a process has ended for which somebody had asked: there will be others."""
        self._due = time.monotonic() + PAUSE

    def timeout(self) -> float | None:
        """Return the seconds until `replenish` has something to do, None where nothing is known."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def replenish(self) -> None:
        """Fork one more, when it is time to, if there are too few for requests like the latest."""
        if self._due is None or time.monotonic() < self._due:
            return
        self._due = None
        for pid, spare in list(self._spares.items()):
            if spare.environ != self._environ:
                self._end(pid)
        if self._environ is None or len(self._spares) >= self._wanted:
            return
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            self._stand_by(theirs, ours)
        theirs.close()
        self._spares[pid] = _Spare(ours, self._environ)

    def listen(self, ready: list[socket.socket]) -> None:
        """Take note of those that have become ready."""
        for spare in self._spares.values():
            if spare.connection in ready:
                with contextlib.suppress(OSError):
                    spare.is_ready = spare.connection.recv(1) == child.READY
                    self._is_proven = self._is_proven or spare.is_ready

    def reap(self, pid: int, status: int) -> None:
        """Take note of the end of one; where rehearsing fails, it is not tried again."""
        spare = self._spares.pop(pid, None)
        if spare is not None:
            spare.connection.close()
            if not spare.is_ready and os.WIFEXITED(status):
                self._wanted = 0

    def close(self) -> None:
        """End them all. In a process forked from the server's, `abandon`."""
        for pid in list(self._spares):
            self._end(pid)

    def abandon(self) -> None:
        """Close our copies of what the server has of them."""
        for spare in self._spares.values():
            spare.connection.close()

    def _end(self, pid: int) -> None:
        self._spares.pop(pid).connection.close()
        for end in (os.kill, os.killpg):  # it has no group of its own at once
            with contextlib.suppress(ProcessLookupError, PermissionError):
                end(pid, signal.SIGKILL)

    def _stand_by(self, connection: socket.socket, other: socket.socket) -> NoReturn:
        status = 250
        try:
            self._leave()
            other.close()
            # The first of all does it twice: what a rehearsal leaves would be in the way of the second.
            status = child.stand_by(connection, self._environ or {}, 1 if self._is_proven else 2)
        finally:
            os._exit(status)


def _lasting(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in PER_RUN}
