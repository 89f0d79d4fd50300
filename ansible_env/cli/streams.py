"""What the command inherits from whoever started it: descriptors 0 to 2, and signals."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import signal
import sys
from types import FrameType
from typing import Any

CANCELED = 130
"""`Exit.CANCELED`, which is slow to import."""
_STOPPED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGCHLD)


class Lenient(io.FileIO):
    """A descriptor to which writing never fails, so that no trial ends for lack of a reader or of space.

    What cannot be written is discarded, and `error` is the first reason.
    """

    error: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write, and wait if another program made the descriptor non-blocking; return how many bytes are done with."""
        if self.error is None:
            try:
                while (count := super().write(data)) is None:
                    select.select([], [self], [])
            except OSError as error:
                self.error = error
            else:
                return count
        return int(memoryview(data).nbytes)


def open_streams() -> Lenient:
    """Replace stdout and stderr by streams that never fail, and return the descriptor below stdout.

    Descriptors that are closed are opened on /dev/null: else the next file that is opened would get their number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # has the lowest free number, which is this one
            os.set_inheritable(null, True)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    stdout = Lenient(1, "w", closefd=False)
    sys.stdout = _text(stdout, sys.stdout, line_buffering=stdout.isatty())
    sys.stderr = _text(Lenient(2, "w", closefd=False), sys.stderr, line_buffering=True)
    return stdout


def _text(raw: Lenient, former: Any, *, line_buffering: bool) -> io.TextIOWrapper:
    if former is not None:
        with contextlib.suppress(OSError):
            former.flush()
    encoding = getattr(former, "encoding", None) or "utf-8"
    # A character that the terminal's encoding lacks must not end a trial.
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=line_buffering
    )


def lost_output(stdout: Lenient) -> str:
    """Return why output is lost, or an empty string. A reader that is gone (`| head`) wants no more."""
    sys.stdout.flush()
    return "" if stdout.error is None or stdout.error.errno == errno.EPIPE else str(stdout.error.strerror)


def accept_signals() -> None:
    """Accept the signals that end the command, whatever the caller has blocked. Until `loaded`, SIGINT ends it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPED)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def loaded() -> None:
    """Let SIGINT raise KeyboardInterrupt again: all modules are imported."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_number: int, _frame: FrameType | None) -> None:
    """End at once: an import that is interrupted by an exception may report it in its own way."""
    with contextlib.suppress(OSError):
        os.write(2, b"ansible-env: canceled\n")
    os._exit(CANCELED)
