"""The pseudo-terminal that ansible-runner reads from.

It differs from pexpect's own in four things. It has no user, so a program on it has an empty standard input and no
controlling terminal, and Ansible takes its defaults instead of asking. It does not sleep for a tenth of a second after
each run. It sends the request of a client of the fork server itself, which saves starting that client. A process that
it starts blocks no signals.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import select
import signal
import struct
import termios
import time
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ansible_runner.runner
import pexpect
import ptyprocess

from ansible_env.engine import processes
from ansible_env.engine.forkserver import client

GRACE = 0.1
"""Seconds that ptyprocess waits for a process to end after its output has: always, while most need a millisecond."""
START_TIMEOUT = 60.0
"""Seconds for the fork server to load Ansible and fork."""
SERVER_GONE = 250
"""Exit status of a process whose fork server has ended."""


class _Spawn(pexpect.spawn):  # type: ignore[misc]
    """`pexpect.spawn`, but `close()` polls instead of sleeping once (ptyprocess `delayafterclose`)."""

    def _spawnpty(self, args: Sequence[bytes], **options: Any) -> Any:
        request = client.parse([os.fsdecode(arg) for arg in args])
        if request is not None:
            socket_path, arguments = request
            forked = _fork(socket_path, arguments, options["env"] or os.environ, options["cwd"] or os.getcwd())  # noqa: PTH109
            if forked is not None:
                return forked
        before: Callable[[], None] | None = options.get("preexec_fn")

        def prepare() -> None:
            processes.unblock()
            if before is not None:
                before()
            _give_up_input()

        return super()._spawnpty(args, **{**options, "preexec_fn": prepare})

    def close(self, force: bool = True) -> None:
        """Close the terminal as soon as the process has ended."""
        give_up = time.monotonic() + GRACE
        while self.isalive() and time.monotonic() < give_up:
            time.sleep(0.001)
        self.ptyproc.delayafterclose = 0 if not self.isalive() else GRACE
        super().close(force)


class _Forked(ptyprocess.PtyProcess):  # type: ignore[misc]
    """A process on a terminal of ours whose parent is the fork server, which reports when and how it ended."""

    terminated: bool

    def __init__(self, pid: int, fd: int, connection: _socket.socket) -> None:
        self._connection = connection
        super().__init__(pid, fd)

    def isalive(self) -> bool:
        """Whether the process has not ended; at the end of its output, wait for its end (as ptyprocess does)."""
        if self.terminated:
            return False
        if not select.select([self._connection], [], [], None if self.flag_eof else 0)[0]:
            return True
        status = client.receive(self._connection)
        self.terminated = True
        if status < 0:
            self.exitstatus = SERVER_GONE
        elif os.WIFSIGNALED(status):
            self.signalstatus = os.WTERMSIG(status)
        else:
            self.exitstatus = os.WEXITSTATUS(status)
        self.status = status
        return False

    def close(self, force: bool = True) -> None:
        """Close the terminal and the connection; the server ends a process that is still there."""
        super().close(force)
        self._connection.close()


def _give_up_input() -> None:
    """Leave a process a terminal to print to, but none to read from.

    Ansible and ssh ask on the controlling terminal, too. The question is invisible, and they would wait forever.
    """
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the kernel sends it to the leader of the session
    fcntl.ioctl(0, termios.TIOCNOTTY)
    signal.signal(signal.SIGHUP, former)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _fork(path: str, arguments: list[str], environ: Mapping[str, str], cwd: str) -> _Forked | None:
    """Return a process that the fork server has forked on a new terminal, or None if it does not answer."""
    master, slave = os.openpty()
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        attributes = termios.tcgetattr(slave)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        variables = {os.fsencode(name): os.fsencode(value) for name, value in environ.items()}
        connection = client.request(path, arguments, variables, cwd, [nothing, slave, slave])
        if not select.select([connection], [], [], START_TIMEOUT)[0] or (pid := client.receive(connection)) < 0:
            connection.close()
            os.close(master)
            return None
    except OSError:
        os.close(master)
        return None
    finally:
        os.close(slave)
        os.close(nothing)
    return _Forked(pid, master, connection)


def install() -> None:
    """Make ansible-runner, and no other user of pexpect, start its processes with it."""
    if getattr(ansible_runner.runner.pexpect, "spawn", None) is _Spawn:
        return
    names: dict[str, Any] = {**vars(pexpect), "spawn": _Spawn}
    ansible_runner.runner.pexpect = types.SimpleNamespace(**names)
