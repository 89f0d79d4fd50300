"""`AlikeFailures`: ends a series of trials that all fail for the same reason."""

from __future__ import annotations

from ansible_env.errors import RepeatedFailureError
from ansible_env.results.trial import Trial


class AlikeFailures:
    """Counts the trials in a row that failed with the same outcome kind and the same message."""

    def __init__(self, limit: int | None) -> None:
        """Take the number of failures that is too many; None for no limit."""
        self._limit = limit
        self._failure: tuple[str, str] | None = None
        self._count = 0

    def note(self, trial: Trial) -> None:
        """Count a trial whose last attempt has ended."""
        failure = _failure(trial)
        self._count = self._count + 1 if failure is not None and failure == self._failure else int(failure is not None)
        self._failure = failure

    @property
    def too_many(self) -> bool:
        """Whether no further trial is to be started."""
        return self._limit is not None and self._count >= self._limit

    def check(self) -> None:
        """Raise RepeatedFailureError if there were too many."""
        if self.too_many and self._failure is not None:
            kind, message = self._failure
            raise RepeatedFailureError(f"stopped: {self._count} trials in a row failed alike: {kind}: {message}")


def _failure(trial: Trial) -> tuple[str, str] | None:
    """Return the outcome kind and the message of the first host that failed; None for a success or a cancel."""
    if trial.status.is_succeeded() or trial.status.is_canceled():
        return None
    hosts = trial.deciding.failed_hosts if trial.deciding is not None else ()
    return (str(hosts[0].kind), hosts[0].message) if hosts else (trial.status.name, trial.error)
