"""Signals and time limits while a process waits for a target. They interrupt it only between two complete steps."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from ansible_env.supervisor.transport import HUNG, Disconnected, Stop

CANCEL_SIGNAL = signal.SIGUSR1
"""The engine sends it to a waiting worker, which then ends its script."""
_CANCELING = (CANCEL_SIGNAL, signal.SIGTERM, signal.SIGINT)


class _Hung(BaseException):
    """Raised by the alarm. Not an `Exception`: connection plugins catch and retry those."""


class Interrupts:
    """Raises `Stop` for SIGUSR1, SIGTERM and SIGINT, and `Disconnected` for a time limit.

    Outside the main thread, where Python handles no signals, it does nothing.
    """

    def __init__(self, deadline: float | None = None, reason: Callable[[], str] = lambda: "canceled") -> None:
        """Use the seconds after which this process ends the script, and a function that returns a signal's reason."""
        self._reason = reason
        self._deadline = math.inf if deadline is None else time.monotonic() + deadline
        self._exposed = False
        self._pending = ""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in _CANCELING:
                self._before[number] = signal.signal(number, self._cancel)
            if signal.getitimer(signal.ITIMER_REAL)[0] == 0:  # else a task `timeout` of Ansible's has it
                self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._alarm)
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def exposed(self, limit: float) -> Iterator[None]:
        """Allow signals and the limit (seconds) to interrupt the body.

        Raises:
            Stop: a signal came, now or earlier, or the deadline passed.
            Disconnected: the limit passed.
        """
        if self._pending:
            self._raise_pending()
        timed = signal.SIGALRM in self._before
        self._exposed = True
        try:
            if self._pending:  # came between the two lines above
                self._raise_pending()
            if timed:
                signal.setitimer(signal.ITIMER_REAL, max(0.001, min(limit, self._deadline - time.monotonic())))
            yield
        except _Hung:
            if time.monotonic() >= self._deadline:
                self._deadline = math.inf
                raise Stop("timeout") from None
            raise Disconnected(f"{HUNG} {limit:g} s") from None
        finally:
            self._exposed = False
            if timed:
                signal.setitimer(signal.ITIMER_REAL, 0)

    def extend(self, seconds: float) -> None:
        """Let the deadline be no earlier than in so many seconds."""
        self._deadline = max(self._deadline, time.monotonic() + seconds)

    def _cancel(self, _number: int, _frame: FrameType | None) -> None:
        self._pending = self._reason()
        if self._exposed:
            self._raise_pending()

    def _alarm(self, _number: int, _frame: FrameType | None) -> None:
        if self._exposed:
            self._exposed = False
            raise _Hung

    def _raise_pending(self) -> None:
        self._exposed = False
        reason, self._pending = self._pending, ""
        raise Stop(reason)
