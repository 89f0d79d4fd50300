# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that the fork server prepares, each for one request that may come."""

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
class _Prepared:
    connection: socket.socket
    environ: Mapping[str, str]
    is_ready: bool = False


class PreparedProcesses:
    """Up to `wanted` of them. One is forked after the end of each process that was requested.

    After the end, because then nothing is being measured, while at its beginning a script may be about to run on this
    very machine. For phases that follow each other at once there have to be two, as one is not ready in time.
    """

    def __init__(self, wanted: int, leave: Callable[[], None]) -> None:
        self._wanted = wanted
        self._leave = leave
        """What a forked process does first: it closes what only the server needs."""
        self._processes: dict[int, _Prepared] = {}
        self._environ: dict[str, str] | None = None
        """What the latest request had in its environment that the next one is likely to have, too."""
        self._due: float | None = None
        self._is_proven = False

    def sockets(self) -> list[socket.socket]:
        """Return the connections to them: one becomes readable when its process is ready, or has ended."""
        return [process.connection for process in self._processes.values()]

    def take(self, request: Request) -> int | None:
        """Pass a request to a process that is ready for it, and return its pid; None if there is none."""
        if self._wanted == 0 or Path(request.arguments[0]).name != "ansible-playbook":
            return None
        self._environ = {name: value for name, value in request.environ.items() if name not in PER_RUN}
        for pid, process in self._processes.items():
            if process.is_ready and process.environ == self._environ:
                del self._processes[pid]
                variables = {os.fsencode(name): os.fsencode(value) for name, value in request.environ.items()}
                with process.connection, contextlib.suppress(OSError):  # if it has died, its status shows that
                    client.send(process.connection, request.arguments, variables, request.cwd, list(request.fds))
                return pid
        return None

    def expect(self) -> None:
        """Record that a process that was requested has ended: there will be other requests."""
        self._due = time.monotonic() + PAUSE

    def timeout(self) -> float | None:
        """Return the seconds until `replenish` has something to do; None, if nothing is planned."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def replenish(self) -> None:
        """Fork one more, if it is time to and there are too few for requests like the latest."""
        if self._due is None or time.monotonic() < self._due:
            return
        self._due = None
        for pid, process in list(self._processes.items()):
            if process.environ != self._environ:
                self._end(pid)
        if self._environ is None or len(self._processes) >= self._wanted:
            return
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            self._prepare(theirs, ours)
        theirs.close()
        self._processes[pid] = _Prepared(ours, self._environ)

    def listen(self, ready: list[socket.socket]) -> None:
        """Record which processes have become ready."""
        for process in self._processes.values():
            if process.connection in ready:
                with contextlib.suppress(OSError):
                    process.is_ready = process.connection.recv(1) == child.READY
                    self._is_proven = self._is_proven or process.is_ready

    def reap(self, pid: int, status: int) -> None:
        """Record the end of a process. If the empty play fails, no more are prepared."""
        process = self._processes.pop(pid, None)
        if process is not None:
            process.connection.close()
            if not process.is_ready and os.WIFEXITED(status):
                self._wanted = 0

    def close(self) -> None:
        """End them all. A process forked from the server calls `abandon` instead."""
        for pid in list(self._processes):
            self._end(pid)

    def abandon(self) -> None:
        """Close the connections to them, in a process forked from the server."""
        for process in self._processes.values():
            process.connection.close()

    def _end(self, pid: int) -> None:
        self._processes.pop(pid).connection.close()
        for end in (os.kill, os.killpg):  # it has no its own group at once
            with contextlib.suppress(ProcessLookupError, PermissionError):
                end(pid, signal.SIGKILL)

    def _prepare(self, connection: socket.socket, other: socket.socket) -> NoReturn:
        status = 250
        try:
            self._leave()
            other.close()
            # The first of all does it twice: what the empty play leaves would make the second one fail.
            status = child.prepare_and_wait(connection, self._environ or {}, 1 if self._is_proven else 2)
        finally:
            os._exit(status)
