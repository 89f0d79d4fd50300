"""The outcome of an environment, a phase or a host.

The values, names and methods are those of `mlos_bench.environments.status.Status` (mlos_bench main), so that a
status may be passed on to mlos_bench by value or by name.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Status(enum.Enum):
    """Where a phase stands, or how it ended."""

    UNKNOWN = 0
    """Nothing is known: the host was never asked, or its answer was lost."""
    PENDING = 1
    """Not started, or submitted and not running yet."""
    READY = 2
    """Set up; there may be nothing to run."""
    RUNNING = 3
    """The script is running."""
    SUCCEEDED = 4
    """Every script ended with exit status 0, and gave the metrics it owed."""
    CANCELED = 5
    """Ended because somebody asked for it."""
    FAILED = 6
    """Ended badly, or could not be run."""
    TIMED_OUT = 7
    """Ended at its deadline."""

    @staticmethod
    def parse(status: Status | str | int | None) -> Status:
        """Return the status that a value, name or number stands for; UNKNOWN if it stands for none.

        Names are taken in any case and with surrounding white space, numbers also as text,
        as `mlos_bench/environments/status.py` does.
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
    """Return the status that speaks for all of them, worst first; UNKNOWN for none at all."""
    found = set(statuses)
    return next((status for status in _WORST_FIRST if status in found), Status.UNKNOWN)
