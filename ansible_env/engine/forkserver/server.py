# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fork server: a separate process that has ansible-core loaded and forks an ansible-playbook on request.

Run as `python -m ansible_env.engine.forkserver.server SOCKET_FD OWNER_FD PREPARED`. It ends when its owner writes to
the other end of OWNER_FD, or closes it, which also happens when the owner is killed. Each request is one process in a
its own session, which reads its inventory, playbook and variables afresh: what is shared is code, plugin classes and
their documentation.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
from typing import Any

from ansible_env.engine.forkserver import child
from ansible_env.engine.forkserver.prefork import PreparedProcesses
from ansible_env.engine.forkserver.wire import Request, RequestError, receive


class Server:
    """Accepts requests, forks, and reports to each client how its process ended."""

    def __init__(self, listener: socket.socket, owner: int, prepared: int) -> None:
        self._listener = listener
        self._owner = owner
        self._clients: dict[int, socket.socket] = {}
        self._prepared = PreparedProcesses(prepared, self._leave)
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self, timeout: float | None = None) -> bool:
        """Wait for something to do, at most `timeout` seconds, and do it; False when the owner is gone."""
        sources: list[Any] = [
            self._listener,
            self._owner,
            self._wake,
            *self._clients.values(),
            *self._prepared.sockets(),
        ]
        ready, _, _ = select.select(sources, [], [], self._prepared.timeout() if timeout is None else timeout)
        if self._wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 4096)
        self._prepared.listen(ready)
        self._reap()
        if self._owner in ready:
            self._end()
            return False
        if self._listener in ready:
            self._accept()
        for pid, client in list(self._clients.items()):
            if client in ready:  # a client sends nothing after its request: it has gone
                self._kill(pid)
        if timeout is None:  # while Ansible is being loaded, they would not have all of it
            self._prepared.replenish()
        return True

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            request = receive(client)
        except (RequestError, OSError):
            client.close()
            return
        pid = self._prepared.take(request)
        if pid is None:
            pid = os.fork()
            if pid == 0:
                self._run(request)
        for fd in request.fds:
            os.close(fd)
        self._clients[pid] = client
        with contextlib.suppress(OSError):
            client.sendall(pid.to_bytes(4, "big"))

    def _run(self, request: Request) -> None:
        """Run the program that was requested. Does not return."""
        status = 250
        try:
            self._leave()
            status = child.run(request)
        finally:
            os._exit(status)

    def _leave(self) -> None:
        """Close, in a forked process, what belongs to the server."""
        os.close(signal.set_wakeup_fd(-1))
        os.close(self._wake)
        os.close(self._owner)
        self._listener.close()
        for client in self._clients.values():
            client.close()
        self._prepared.abandon()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            client = self._clients.pop(pid, None)
            if client is None:
                self._prepared.reap(pid, status)
                continue
            with contextlib.suppress(OSError):
                client.sendall(status.to_bytes(4, "big"))
            client.close()
            self._prepared.expect()

    def _kill(self, pid: int) -> None:
        """End a process without a client, as a killed controller leaves it.

        Not by SIGTERM, which cancels the scripts: `attach` may still resume them.
        """
        self._clients.pop(pid).close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)

    def _end(self) -> None:
        """End all processes, as their owner has gone. Scripts have watchdogs on their hosts."""
        for pid in list(self._clients):
            self._kill(pid)
        self._prepared.close()


def main() -> None:
    """Load Ansible, then serve."""
    # Of the owner: Ansible would wait for workers for ever without SIGCHLD, and nobody could end it without SIGTERM.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    listener = socket.socket(fileno=int(sys.argv[1]))
    owner = int(sys.argv[2])
    # Relative paths in Ansible's settings were meant from the caller's directory, and have been read by now. An empty
    # path of plugins means the current one: nothing may lie there.
    os.chdir(os.environ["ANSIBLE_LOCAL_TEMP"])
    os.set_inheritable(listener.fileno(), False)
    os.set_inheritable(owner, False)
    server = Server(listener, owner, int(sys.argv[3]))
    for _ in child.load():  # a first request does not wait for what its process may load by itself
        if not server.serve(timeout=0):
            return
    gc.collect()
    gc.freeze()  # keeps the garbage collector of a child from touching, and so copying, what it shares with us
    while server.serve():
        pass


if __name__ == "__main__":
    main()
