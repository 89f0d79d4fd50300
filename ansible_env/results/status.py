"""The status of an environment, a phase or a host.

Values, names and methods are those of `mlos_bench.environments.status.Status` (mlos_bench main), so that a status can
be passed to mlos_bench by value or by name.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Status(enum.Enum):
    """The state of a phase, or how it ended."""

    UNKNOWN = 0
    """Nothing is known: the host did not take part, or its result was lost."""
    PENDING = 1
    """Not started, or submitted and not running yet."""
    READY = 2
    """Set up; there may be nothing to run."""
    RUNNING = 3
    """The script is running."""
    SUCCEEDED = 4
    """Every script ended with exit status 0 and printed its required metrics."""
    CANCELED = 5
    """A person or program canceled it."""
    FAILED = 6
    """Failed, or could not be run."""
    TIMED_OUT = 7
    """A deadline ended it."""

    @staticmethod
    def parse(status: Status | str | int | None) -> Status:
        """Return the status of a value, name or number, or UNKNOWN if there is none.

        Names may have any case and surrounding white space; numbers may be text, as in
        `mlos_bench/environments/status.py`.
        """
        if isinstance(status, Status):
            return status
        if status is None or isinstance(status, bool):
            return Status.UNKNOWN
        if isinstance(status, str):
            name = status.strip()
            if not name.lstrip("-").isdecimal():
                return Status.__members__.get(name.upper(), Status.UNKNOWN)
        try:
            return Status(int(status) if isinstance(status, str) else status)
        except ValueError:
            return Status.UNKNOWN

    @staticmethod
    def completed_statuses() -> frozenset[Status]:
        """Return the statuses that no longer change."""
        return COMPLETED_STATUSES

    def is_good(self) -> bool:
        """Whether nothing has gone wrong so far."""
        return self in {Status.PENDING, Status.READY, Status.RUNNING, Status.SUCCEEDED}

    def is_completed(self) -> bool:
        """Whether the status is final."""
        return self in COMPLETED_STATUSES

    def is_pending(self) -> bool:
        """Whether the status is PENDING."""
        return self is Status.PENDING

    def is_ready(self) -> bool:
        """Whether the status is READY."""
        return self is Status.READY

    def is_running(self) -> bool:
        """Whether the status is RUNNING."""
        return self is Status.RUNNING

    def is_succeeded(self) -> bool:
        """Whether the status is SUCCEEDED."""
        return self is Status.SUCCEEDED

    def is_canceled(self) -> bool:
        """Whether the status is CANCELED."""
        return self is Status.CANCELED

    def is_failed(self) -> bool:
        """Whether the status is FAILED."""
        return self is Status.FAILED

    def is_timed_out(self) -> bool:
        """Whether the status is TIMED_OUT (mlos_bench 0.6.2 compares with FAILED here; its main is right)."""
        return self is Status.TIMED_OUT


COMPLETED_STATUSES = frozenset({Status.SUCCEEDED, Status.CANCELED, Status.FAILED, Status.TIMED_OUT})

_WORST_FIRST = (
    Status.FAILED,
    Status.TIMED_OUT,
    Status.CANCELED,
    Status.UNKNOWN,
    Status.PENDING,
    Status.RUNNING,
    Status.READY,
    Status.SUCCEEDED,
)


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst of the statuses, or UNKNOWN if there are none."""
    present = set(statuses)
    return next((status for status in _WORST_FIRST if status in present), Status.UNKNOWN)
