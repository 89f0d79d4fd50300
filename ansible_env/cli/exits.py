"""How a command ends: exit codes, errors, and signals (Ctrl-C, SIGTERM, a closed terminal)."""

from __future__ import annotations

import contextlib
import enum
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Self

import typer

from ansible_env.cli import console
from ansible_env.cli.options import Common
from ansible_env.common import reason
from ansible_env.errors import AnsibleEnvError, ConfigError, Problem
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.status import Status
from ansible_env.results.trial import Trial


class Exit(enum.IntEnum):
    """How the command ends."""

    SUCCEEDED = 0
    FAILED = 1
    USAGE = 2
    ASSERTION = 3
    UNREACHABLE = 4
    TIMED_OUT = 124
    CANCELED = 130


EXIT_CODES: dict[Exit, str] = {
    Exit.SUCCEEDED: "succeeded",
    Exit.FAILED: "a phase failed, teardown included, or Ansible could not be started",
    Exit.USAGE: "wrong usage or configuration: nothing was run",
    Exit.ASSERTION: "succeeded, but an assertion about the metrics does not hold",
    Exit.UNREACHABLE: "every host that failed could not be reached or logged in to",
    Exit.TIMED_OUT: "timed out",
    Exit.CANCELED: "canceled, by Ctrl-C or SIGTERM",
}

EPILOG = "Exit codes: " + "; ".join(f"{int(code)} {meaning}" for code, meaning in EXIT_CODES.items()) + ". "
EPILOG += "If there are several trials, the worst one decides."

_WORST_LAST = (Exit.SUCCEEDED, Exit.ASSERTION, Exit.UNREACHABLE, Exit.TIMED_OUT, Exit.FAILED, Exit.USAGE, Exit.CANCELED)
_BY_STATUS = {Status.SUCCEEDED: Exit.SUCCEEDED, Status.CANCELED: Exit.CANCELED, Status.TIMED_OUT: Exit.TIMED_OUT}


def exit_of(result: PhaseResult) -> Exit:
    """Return the exit code that a phase alone would give."""
    return _BY_STATUS.get(result.status, Exit.UNREACHABLE if result.unreachable else Exit.FAILED)


def exit_of_trial(trial: Trial) -> Exit:
    """Return the exit code that a trial alone would give.

    A teardown that failed after everything went well counts too: processes or files may remain on the hosts.
    """
    if trial.error:
        return Exit.FAILED
    if trial.status is Status.CANCELED:
        return Exit.CANCELED
    if trial.deciding is not None and not trial.deciding.status.is_succeeded():
        return exit_of(trial.deciding)
    teardown = trial.phases.get("teardown")
    if teardown is not None and not teardown.status.is_succeeded():
        return Exit.FAILED
    return Exit.SUCCEEDED if all(result.passed for result in trial.assertions) else Exit.ASSERTION


def worst_exit(codes: Iterable[Exit]) -> Exit:
    """Return the worst of several exit codes."""
    return max(codes, key=_WORST_LAST.index, default=Exit.SUCCEEDED)


@contextlib.contextmanager
def guarded(options: Common) -> Iterator[None]:
    """Turn errors into a line each and an exit code, and show what the library logs."""
    console.show_log_records(options.verbose)
    try:
        _check_directory()
        yield
    except AnsibleEnvError as error:
        console.say_exception(error, debug=options.debug)
        raise typer.Exit(Exit.USAGE if isinstance(error, ConfigError) else Exit.FAILED) from None
    except OSError as error:
        refused = AnsibleEnvError(reason(error))
        refused.__cause__ = error
        console.say_exception(refused, debug=options.debug)
        raise typer.Exit(Exit.FAILED) from None
    except (StopWaiting, KeyboardInterrupt):
        console.say_error("canceled")
        raise typer.Exit(Exit.CANCELED) from None


def _check_directory() -> None:
    """Raise ConfigError if the working directory was removed: Ansible does not start without one."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise ConfigError(
            Problem("the working directory does not exist any more", hint="change to another one")
        ) from None


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
"""SIGALRM: the caller may have set an alarm before it started the command, as a limit of time."""


class StopWaiting(KeyboardInterrupt):
    """The user stopped waiting for the end."""


class StopSignals:
    """Handles the signals while it is entered, and restores the former handlers.

    Until `steps` is set there is nothing to end in good order, and a signal raises StopWaiting. After that the first
    signal calls the first step; the second signal calls the second step and raises StopWaiting.
    """

    def __init__(self) -> None:
        self.steps: tuple[Callable[[], str], Callable[[], str]] | None = None
        """Each returns a message for the user."""
        self.count = 0
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                # Ignored by the parent process (nohup, `&` in a script): keep that.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
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
        lines = [f"{console.PROGRAM}: {line}" for line in text.split("\n")]
        if text and not console.notify("\n".join(lines)):
            with contextlib.suppress(OSError):
                os.write(2, "".join(f"\n{line}" for line in lines).encode() + b"\n")
