"""What goes to stdout, and messages for people on stderr: errors, warnings, and what the library logs."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from ansible_env.errors import AnsibleEnvError, ConfigError, Problem
from ansible_env.report.formatting import visible

if TYPE_CHECKING:
    from rich.console import Console

PROGRAM = "ansible-env"


_write_above: Callable[[str], object] | None = None


def set_display(write_above: Callable[[str], object] | None) -> None:
    """Set how any thread or signal handler writes lines above the part of the terminal that is redrawn, if any."""
    global _write_above
    _write_above = write_above


def notify(text: str) -> bool:
    """Write lines above the part of the terminal that is redrawn; return False if there is none."""
    write_above = _write_above
    if write_above is not None:
        write_above(text)
    return write_above is not None


def say(text: str) -> None:
    """Write lines for people to stderr."""
    if not notify(text):
        sys.stderr.write(f"{text}\n")


def say_error(text: str) -> None:
    """Write a line about a problem."""
    say(f"{PROGRAM}: {visible(text)}")


def say_warning(text: str) -> None:
    """Write a line about a problem that changes no result."""
    say_error(f"warning: {text}")


def say_problem(problem: Problem | str) -> None:
    """Write a line about an error."""
    say_error(f"error: {' '.join(str(problem).split())}")


def say_exception(error: AnsibleEnvError, *, debug: bool) -> None:
    """Write a line for each problem; before them the traceback, for those who debug."""
    if debug:
        sys.stderr.write("".join(traceback.format_exception(error)))
    for problem in error.problems if isinstance(error, ConfigError) else [str(error)]:
        say_problem(problem)


def write(data: str | bytes, stream: TextIO | None = None) -> None:
    """Write to stdout, or another stream, whose reader may be gone (`| head`)."""
    stream = stream or sys.stdout
    target: Any = stream if isinstance(data, str) else stream.buffer
    try:
        target.write(data)
        target.flush()
    except BrokenPipeError:  # discard everything that is written to stdout from now on
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def errors_console() -> Console:
    """Return a console on stderr that does not interpret markup."""
    from rich.console import Console  # few messages need it, and it is slow to load

    return Console(file=sys.stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def show_log_records(verbosity: int) -> None:
    """Show the library's log records from now on: warnings, or with a verbosity also information."""
    sys.unraisablehook = _unraisable
    logger = logging.getLogger("ansible_env")
    handler = _Handler()
    handler.setFormatter(_Formatter(f"{PROGRAM}: %(levelname)s: %(about)s%(message)s"))
    for former in [h for h in logger.handlers if isinstance(h, _Handler)]:
        logger.removeHandler(former)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbosity else logging.WARNING)


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Show no traceback for a file that is closed on a full disk: who wrote it has reported that."""
    if not isinstance(unraisable.exc_value, OSError):
        sys.__unraisablehook__(unraisable)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            say(self.format(record))
        except Exception:
            self.handleError(record)


class _Formatter(logging.Formatter):
    """A log message may quote a host."""

    def format(self, record: logging.LogRecord) -> str:
        about = [f"trial {trial}" if (trial := getattr(record, "trial", "")) else "", getattr(record, "host", "")]
        record.about = "".join(f"{text}: " for text in about if text)
        return "\n".join(map(visible, super().format(record).split("\n")))
