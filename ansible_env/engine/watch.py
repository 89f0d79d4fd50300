"""Watches a running job: its deadline, its cancellation, and what its scripts print."""

from __future__ import annotations

import codecs
import contextlib
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from ansible_env.engine import processes
from ansible_env.engine.private import PrivateDir
from ansible_env.engine.protocol import Cancellation, Job, Listener
from ansible_env.supervisor.capture import log_path
from ansible_env.supervisor.interrupts import CANCEL_SIGNAL

CHUNK = 256 * 1024


class Watch:
    """Ends a job in three steps: ask the waiting workers, who end their scripts; then TERM; then KILL."""

    def __init__(self, job: Job, run: str, private: PrivateDir, cancel: Cancellation) -> None:
        self._job = job
        self._run = run
        self._private = private
        self._cancel = cancel
        self._deadline = None if job.timeout is None else time.monotonic() + job.timeout
        self._next = 0.0
        self._step = 0
        self._ending = False
        self.stopped = ""
        """`canceled` or `timeout`, once the job was canceled or its deadline passed."""
        self.pid: int | None = None
        """The process of ansible-playbook, once it is known."""
        self._tail: Tail | None = None

    def follow(self, logs: Path | None, listener: Listener | None) -> None:
        """Pass the text that scripts write to their logs to a listener."""
        if listener is not None and logs is not None:
            self._tail = Tail(logs, self._job.hosts, listener)

    def poll(self, now: float) -> None:
        """Do what is due. Called a few times a second."""
        if self._tail is not None:
            self._tail.poll()
        if not self._ending:
            if self._cancel.requested:
                self.stopped = self._cancel.reason
            elif self._deadline is not None and now >= self._deadline:
                self.stopped = "timeout"
            self._ending = bool(self.stopped)
        if self._ending and now >= self._next:
            self._escalate(now)

    def stop(self, *, asked: bool = False) -> None:
        """End the job at the next poll, for another reason than a cancellation or deadline.

        With `asked`, the workers have got a signal already. A second one would mean: do not wait for your script's end.
        """
        if asked and not self._ending:
            self._step = 1
            self._next = time.monotonic() + self._job.grace + 6
        self._ending = True

    def drain(self) -> None:
        """Pass on the last output."""
        if self._tail is not None:
            self._tail.poll(last=True)

    def _escalate(self, now: float) -> None:
        self._step += 1
        if self._step == 1:
            with contextlib.suppress(OSError):  # the disk is full: the signal says enough
                self._private.write("cancel", self.stopped or self._cancel.reason)
            workers = list(self._private.waiting())
            self._ask(workers)
            # Without a script to end there is nothing to wait for.
            self._next = now + (self._job.grace + 6 if workers else 0.3)
        elif self._step == 2:
            self._terminate()
            self._next = now + 3
        else:
            self._kill()
            self._next = now + 1

    def _ask(self, workers: Sequence[int]) -> None:
        processes.send(workers, CANCEL_SIGNAL)

    def _terminate(self) -> None:
        # To the parent alone: it passes the signal on to its workers (ansible/executor/task_queue_manager.py).
        marked = processes.marked(self._run)
        processes.send([self.pid] if self.pid in marked else marked, signal.SIGTERM)

    def _kill(self) -> None:
        processes.send(processes.marked(self._run), signal.SIGKILL)


class Tail:
    """Follows the log files of the hosts."""

    def __init__(self, logs: Path, hosts: tuple[str, ...], listener: Listener) -> None:
        self._listener = listener
        self._files = {
            log_path(logs, host, stream): _Followed(host, stream) for host in hosts for stream in ("stdout", "stderr")
        }
        for path, followed in self._files.items():
            with contextlib.suppress(OSError):
                followed.offset = path.stat().st_size

    def poll(self, *, last: bool = False) -> None:
        """Pass on new output."""
        for path, followed in self._files.items():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size == followed.offset:
                    continue
                with path.open("rb") as file:
                    file.seek(followed.offset)
                    while data := file.read(CHUNK):
                        followed.offset += len(data)
                        text = followed.decoder.decode(data)
                        if text:
                            self._listener.on_output(followed.host, followed.stream, text)
                        if not last:
                            break


class _Followed:
    __slots__ = ("decoder", "host", "offset", "stream")

    def __init__(self, host: str, stream: str) -> None:
        self.host = host
        self.stream = stream
        self.offset = 0
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
