"""Exit codes of the command: one table."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.status import Status
from ansible_env.trials.record import Trial


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
    Exit.FAILED: "failed, be it only the teardown, or Ansible could not be started",
    Exit.USAGE: "usage or configuration: nothing was run",
    Exit.ASSERTION: "it succeeded, but something that was asserted of its metrics does not hold",
    Exit.UNREACHABLE: "every host that failed could not be reached or logged in to",
    Exit.TIMED_OUT: "timed out",
    Exit.CANCELED: "canceled, by Ctrl-C or SIGTERM",
}

EPILOG = "Exit codes: " + "; ".join(f"{int(code)} {meaning}" for code, meaning in EXIT_CODES.items()) + ". "
EPILOG += "Of several trials, the worst one's counts."

_WORST_FIRST = (
    Exit.CANCELED,
    Exit.USAGE,
    Exit.FAILED,
    Exit.TIMED_OUT,
    Exit.UNREACHABLE,
    Exit.ASSERTION,
    Exit.SUCCEEDED,
)


def exit_of(result: PhaseResult) -> Exit:
    """Return the exit code that a phase alone would give."""
    if result.status is Status.SUCCEEDED:
        return Exit.SUCCEEDED
    if result.status is Status.CANCELED:
        return Exit.CANCELED
    if result.status is Status.TIMED_OUT:
        return Exit.TIMED_OUT
    return Exit.UNREACHABLE if result.unreachable else Exit.FAILED


def exit_of_trial(trial: Trial) -> Exit:
    """Return the exit code that a trial alone would give.

    A teardown that failed after everything went well counts too: something may be left on the hosts.
    """
    if trial.error:
        return Exit.FAILED
    if trial.status is Status.CANCELED:
        return Exit.CANCELED
    if trial.deciding is not None and not trial.deciding.status.is_succeeded():
        return exit_of(trial.deciding)
    teardown = trial.phases.get("teardown")
    return Exit.SUCCEEDED if teardown is None or teardown.status.is_succeeded() else Exit.FAILED


def worst_exit(codes: Iterable[Exit]) -> Exit:
    """Return the exit code that speaks for all of them."""
    found = set(codes)
    return next((code for code in _WORST_FIRST if code in found), Exit.SUCCEEDED)
