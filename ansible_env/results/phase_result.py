"""What came of a phase, per host and for the group. `fold` makes it from Ansible's events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_env.errors import AnsibleEnvError
from ansible_env.results.aggregate import group_metrics, per_host
from ansible_env.results.exports import in_a_row
from ansible_env.results.host_result import HostResult
from ansible_env.results.metrics.parse import Value
from ansible_env.results.outcomes import Kind
from ansible_env.results.policies import EVERY_HOST, GroupPolicy
from ansible_env.results.status import Status


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """What came of a phase on all of its hosts."""

    phase: str
    status: Status
    hosts: Mapping[str, HostResult]
    metrics: Mapping[str, Value] = field(default_factory=dict)
    """Those of the one host, or the aggregates over the hosts that succeeded; by request `metric{host}`, too."""
    message: str = ""
    """What Ansible said, where it failed as a whole."""
    dropped: Mapping[str, HostResult] = field(default_factory=dict)
    """Hosts that were not asked, since setup had failed there, with what had come of it. They count for the status."""

    @property
    def telemetry(self) -> list[tuple[datetime, str, Value]]:
        """The samples of all hosts, in time; of several hosts, under the names `metric{host}`."""
        several = len(self.hosts) > 1
        found = [
            (time, f"{name}{{{host.host}}}" if several else name, value)
            for host in self.hosts.values()
            for time, name, value in host.telemetry
        ]
        return sorted(found, key=lambda sample: sample[0])

    @property
    def finished(self) -> datetime:
        """When the last script ended, by its host's clock; now, where none has ended."""
        return max((host.finished for host in self.hosts.values() if host.finished), default=datetime.now(UTC))

    @property
    def skew(self) -> float | None:
        """Seconds between the first and the last start, where scripts were to start together, by one clock.

        Each start is that of the host's clock less its estimated offset; `clock_error` says how good that is.
        """
        starts = [
            host.started.timestamp() - host.clock_offset
            for host in self.hosts.values()
            if host.started is not None and host.clock_offset is not None
        ]
        return max(starts) - min(starts) if len(starts) > 1 else None

    @property
    def exports(self) -> dict[str, str]:
        """What the hosts found out for later phases; different values of several hosts in a row, as a shell's words."""
        return in_a_row(host.exports for host in self.hosts.values())

    @property
    def failed_hosts(self) -> tuple[HostResult, ...]:
        """The hosts that did not succeed."""
        return tuple(host for host in self.hosts.values() if not host.status.is_succeeded())

    def raise_for_status(self) -> PhaseResult:
        """Return this result if it is a success.

        Raises:
            PhaseCanceled, PhaseTimedOut, HostsUnreachable, PhaseFailed: it is not; `.result` is this.
        """
        if self.status.is_succeeded():
            return self
        error: type[PhaseError] = PhaseFailed
        if self.status.is_canceled():
            error = PhaseCanceled
        elif self.status.is_timed_out():
            error = PhaseTimedOut
        elif self.unreachable:
            error = HostsUnreachable
        raise error(self.summary(), self)

    @property
    def unreachable(self) -> bool:
        """Whether all that failed is hosts that could not be reached or logged in to."""
        failed = self.failed_hosts
        return bool(failed) and all(host.kind in (Kind.UNREACHABLE, Kind.AUTH) for host in failed)

    def summary(self) -> str:
        """Return a few lines: what failed where, and the last words of it."""
        lines = [f"{self.phase} {self.status.name}"]
        if self.message:
            lines.append(self.message)
        for host in self.failed_hosts:
            lines.append(f"{host.host}: {host.kind}: {host.message}")
            words = [line for line in (host.stderr or host.stdout).splitlines() if line.strip()]
            lines += [f"    {line}" for line in words[-5:]]
        lines += [f"{name}: left out, since setup had failed there: {host.kind}" for name, host in self.dropped.items()]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON data."""
        return {
            "phase": self.phase,
            "status": self.status.name,
            "message": self.message,
            "metrics": dict(self.metrics),
            "hosts": {name: host.to_dict() for name, host in self.hosts.items()},
            "skew": self.skew,
            "dropped": {name: str(host.kind) for name, host in self.dropped.items()},
        }


def phase_result(
    phase: str,
    hosts: Iterable[HostResult],
    message: str = "",
    *,
    policy: GroupPolicy = EVERY_HOST,
    dropped: Mapping[str, HostResult] | None = None,
    stopped: bool = False,
) -> PhaseResult:
    """Put the results of the hosts together.

    Args:
        phase: its name.
        hosts: the results of those that were asked.
        message: what Ansible said, where it failed as a whole.
        policy: when a group has succeeded, and what its metrics are.
        dropped: the results of setup on hosts that were left out because of them.
        stopped: whether hosts were canceled because another one had failed.
    """
    by_name = {host.host: host for host in hosts}
    dropped = dropped or {}
    kinds = [(host.kind, host.status) for host in (*by_name.values(), *dropped.values())]
    good = {name: host.metrics for name, host in by_name.items() if host.status.is_succeeded()}
    metrics = group_metrics(list(good.values()), policy.aggregate)
    if policy.per_host_metrics:
        metrics |= per_host(good)
    return PhaseResult(phase, policy.judge(kinds, stopped=stopped), by_name, metrics, message, dropped)


def deciding_phase(phases: Mapping[str, PhaseResult]) -> PhaseResult | None:
    """Return the phase that decides the status and the metrics of a trial, None where no phase was run.

    It is the first phase before teardown that did not succeed, else the last phase before teardown. Teardown decides
    only where it was run alone.
    """
    before = [result for phase, result in phases.items() if phase != "teardown"]
    bad = next((result for result in before if not result.status.is_succeeded()), None)
    return bad or (before[-1] if before else phases.get("teardown"))


class PhaseError(AnsibleEnvError):
    """A phase did not succeed. Raised only by `raise_for_status()`; `result` has everything that is known."""

    def __init__(self, message: str, result: PhaseResult) -> None:
        self.result = result
        super().__init__(message)


class PhaseFailed(PhaseError):
    """At least one host failed."""


class HostsUnreachable(PhaseFailed):
    """Every host that failed could not be reached or logged in to."""


class PhaseTimedOut(PhaseError, TimeoutError):
    """A deadline ended the phase."""


class PhaseCanceled(PhaseError):
    """The phase was canceled."""
