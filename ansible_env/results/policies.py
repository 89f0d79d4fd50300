"""When a group of hosts has succeeded, and what its metrics are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ansible_env.results.outcomes import Kind
from ansible_env.results.status import Status, worst

_UNREACHABLE = (Kind.UNREACHABLE, Kind.AUTH)


@dataclass(frozen=True, slots=True)
class Success:
    """How many hosts must succeed."""

    rule: Literal["all", "any", "majority", "at_least", "fraction"] = "all"
    amount: float = 0
    """A number of hosts for `at_least`, a share of them up to 1 for `fraction`."""

    def needed(self, hosts: int) -> int:
        """Return how many of `hosts` hosts must succeed: at least one."""
        needed = {
            "all": hosts,
            "any": 1,
            "majority": hosts // 2 + 1,
            "at_least": self.amount,
            # Rounded: 0.9 of 10 hosts must be 9 hosts in spite of floating point.
            "fraction": math.ceil(round(self.amount * hosts, 9)),
        }[self.rule]
        return max(1, int(needed))


@dataclass(frozen=True, slots=True)
class GroupPolicy:
    """How the results of hosts become the result of a group, by the environment file."""

    success: Success = Success()
    max_unreachable: int | float | None = None
    """How many hosts, or below 1 what share of them, may be unreachable and do not count then. With more unreachable
    hosts, the group has failed. None: an unreachable host is a failed host."""
    aggregate: Mapping[str, str] = field(default_factory=dict)
    per_host_metrics: bool = False

    def group_status(self, kinds: Sequence[tuple[Kind, Status]], *, stopped: bool = False) -> Status:
        """Return the status of a group.

        A group is CANCELED if a host was, SUCCEEDED if enough hosts succeeded, and else has its worst host's status.

        Args:
            kinds: kind and status of each host, including those left out because an earlier phase failed there.
            stopped: whether hosts were canceled because another host failed, and not by a person or program.
        """
        statuses = [status for _, status in kinds]
        if Status.CANCELED in statuses and not stopped:
            return Status.CANCELED
        unreachable = sum(kind in _UNREACHABLE for kind, _ in kinds)
        counted = len(kinds)
        too_many = False
        if self.max_unreachable is not None:
            too_many = unreachable > self._allowed(len(kinds))
            counted -= unreachable
        succeeded = sum(status.is_succeeded() for status in statuses)
        if counted and not too_many and succeeded >= self.success.needed(counted):
            return Status.SUCCEEDED
        if too_many:
            return Status.FAILED
        # Unreachable hosts that do not count, and hosts that a rule stopped, do not show what went wrong.
        failures = [
            status
            for kind, status in kinds
            if not status.is_succeeded()
            and not (stopped and status.is_canceled())
            and not (self.max_unreachable is not None and kind in _UNREACHABLE)
        ]
        status = worst(failures)
        return Status.FAILED if status is Status.UNKNOWN else status

    def _allowed(self, hosts: int) -> int:
        allowed = self.max_unreachable or 0
        return math.floor(round(allowed * hosts, 9)) if isinstance(allowed, float) and allowed < 1 else int(allowed)


EVERY_HOST = GroupPolicy()
"""Every host must succeed, and the metrics of the group are means."""
