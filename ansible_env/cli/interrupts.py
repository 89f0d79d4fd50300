"""Ctrl-C, SIGTERM and a closed terminal: end in good order, and at the second time at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from ansible_env.cli import screen

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopWaiting(KeyboardInterrupt):
    """Somebody does not want to wait for the end."""


class Interrupts:
    """Handles the signals while it is entered, and puts the former handlers back.

    Until `steps` is set there is nothing to end in good order, and a signal raises StopWaiting. Then the first one
    calls the first step and the second one the second, and raises.
    """

    def __init__(self) -> None:
        self.steps: tuple[Callable[[], str], Callable[[], str]] | None = None
        """What to do; each returns what to say."""
        self.count = 0
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                # Ignored by whoever started us (nohup, `&` in a script): leave it so.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.steps = None
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 2:
            return  # what is left to do is short, and leaves nothing behind only if it gets to its end
        if self.steps is None:
            self.count = 2
            raise StopWaiting
        self._say(self.steps[self.count - 1]())
        if self.count == 2:
            raise StopWaiting

    def _say(self, text: str) -> None:
        # Not through a buffered stream: the signal may have come while that one was being written to.
        lines = [f"{screen.PROGRAM}: {line}" for line in text.split("\n")]
        if text and not screen.notify("\n".join(lines)):
            with contextlib.suppress(OSError):
                os.write(2, "".join(f"\n{line}" for line in lines).encode() + b"\n")
