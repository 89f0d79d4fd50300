"""When a group of hosts has succeeded, and what its metrics are. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ansible_env.results.outcomes import Kind
from ansible_env.results.status import Status, worst

__all__ = ["EVERY_HOST", "GroupPolicy", "Success"]

_UNREACHABLE = (Kind.UNREACHABLE, Kind.AUTH)


@dataclass(frozen=True, slots=True)
class Success:
    """How many hosts have to succeed."""

    rule: Literal["all", "any", "majority", "at_least", "fraction"] = "all"
    amount: float = 0
    """For `at_least` a number of hosts, for `fraction` a share of them, up to 1."""

    def needed(self, hosts: int) -> int:
        """Return how many of so many hosts have to succeed; at least one in any case."""
        needed = {
            "all": hosts,
            "any": 1,
            "majority": hosts // 2 + 1,
            "at_least": self.amount,
            # 0.9 of 10 hosts are 9, whatever the floating point says.
            "fraction": math.ceil(round(self.amount * hosts, 9)),
        }[self.rule]
        return max(1, int(needed))


@dataclass(frozen=True, slots=True)
class GroupPolicy:
    """What is expected of a group, as the environment file says."""

    success: Success = Success()
    max_unreachable: int | float | None = None
    """Hosts, or below 1 a share of them, that may be out of reach and do not count then; with more of them, the group
    has failed. None: a host out of reach is one that failed."""
    aggregate: Mapping[str, str] = field(default_factory=dict)
    per_host_metrics: bool = False

    def judge(self, kinds: Sequence[tuple[Kind, Status]], *, stopped: bool = False) -> Status:
        """Return the status of a group for those of its hosts.

        A group that was canceled is CANCELED. One with enough successes has SUCCEEDED; else it is as its worst host.

        Args:
            kinds: kind and status of each host, with those that dropped out in an earlier phase.
            stopped: whether hosts were canceled because another one had failed, and not by somebody.
        """
        statuses = [status for _, status in kinds]
        if Status.CANCELED in statuses and not stopped:
            return Status.CANCELED
        away = sum(kind in _UNREACHABLE for kind, _ in kinds)
        counted = len(kinds)
        too_many = False
        if self.max_unreachable is not None:
            too_many = away > self._allowed(len(kinds))
            counted -= away
        good = sum(status.is_succeeded() for status in statuses)
        if counted and not too_many and good >= self.success.needed(counted):
            return Status.SUCCEEDED
        if too_many:
            return Status.FAILED
        # Hosts out of reach that do not count, and hosts that we ended ourselves, say nothing of what went wrong.
        telling = [
            status
            for kind, status in kinds
            if not status.is_succeeded()
            and not (stopped and status.is_canceled())
            and not (self.max_unreachable is not None and kind in _UNREACHABLE)
        ]
        found = worst(telling)
        return Status.FAILED if found is Status.UNKNOWN else found

    def _allowed(self, hosts: int) -> int:
        allowed = self.max_unreachable or 0
        return math.floor(round(allowed * hosts, 9)) if isinstance(allowed, float) and allowed < 1 else int(allowed)


EVERY_HOST = GroupPolicy()
"""Every host has to succeed, and the group's metrics are means."""
