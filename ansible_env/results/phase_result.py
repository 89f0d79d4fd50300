"""The result of a phase on its hosts, and the errors that carry it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ansible_env.errors import AnsibleEnvError
from ansible_env.results.aggregate import group_metrics, per_host
from ansible_env.results.exports import join_exports
from ansible_env.results.host_result import HostResult
from ansible_env.results.metrics.parse import Value
from ansible_env.results.outcomes import Kind
from ansible_env.results.policies import EVERY_HOST, GroupPolicy
from ansible_env.results.status import Status


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """The result of a phase on all of its hosts."""

    phase: str
    status: Status
    hosts: Mapping[str, HostResult]
    metrics: Mapping[str, Value] = field(default_factory=dict)
    """Those of the only host, or the aggregates over the hosts that succeeded; optionally `metric{host}` as well."""
    message: str = ""
    """What Ansible reported, if it failed as a whole."""
    dropped: Mapping[str, HostResult] = field(default_factory=dict)
    """Hosts that were left out because setup had failed there, with the result of setup. They count for the status."""

    def __repr__(self) -> str:
        """Return what a person wants to see of many."""
        metrics = f" metrics={dict(self.metrics)}" if self.metrics else ""
        failed = f" failed={[host.host for host in self.failed_hosts]}" if self.failed_hosts else ""
        return f"<PhaseResult {self.phase} {self.status.name} hosts={list(self.hosts)}{failed}{metrics}>"

    @property
    def elapsed(self) -> float | None:
        """Seconds from the first start to the last end of a script, by the hosts' clocks; None if none has ended."""
        known = [host for host in self.hosts.values() if host.started and host.finished]
        if len(known) == 1:  # its clock may have been set
            return known[0].elapsed
        starts, ends = [h.started for h in known if h.started], [h.finished for h in known if h.finished]
        return (max(ends) - min(starts)).total_seconds() if known else None

    @property
    def telemetry(self) -> list[tuple[datetime, str, Value]]:
        """The samples of all hosts, ordered by time. With several hosts, names have the form `metric{host}`."""
        several = len(self.hosts) > 1
        samples = [
            (time, f"{name}{{{host.host}}}" if several else name, value)
            for host in self.hosts.values()
            for time, name, value in host.telemetry
        ]
        return sorted(samples, key=lambda sample: sample[0])

    @property
    def finished(self) -> datetime:
        """When the last script ended, by its host's clock; the current time if none has ended."""
        return max((host.finished for host in self.hosts.values() if host.finished), default=datetime.now(UTC))

    @property
    def skew(self) -> float | None:
        """Seconds between the first and the last start, if scripts were to start together; else None.

        Each start is corrected by the estimated offset of its host's clock; `clock_error` bounds the error of that.
        """
        starts = [
            host.started.timestamp() - host.clock_offset
            for host in self.hosts.values()
            if host.started is not None and host.clock_offset is not None
        ]
        return max(starts) - min(starts) if len(starts) > 1 else None

    @property
    def exports(self) -> dict[str, str]:
        """What the hosts export to later phases. Different values of several hosts are separated by spaces."""
        return join_exports(host.exports for host in self.hosts.values())

    @property
    def failed_hosts(self) -> tuple[HostResult, ...]:
        """The hosts that did not succeed."""
        return tuple(host for host in self.hosts.values() if not host.status.is_succeeded())

    def raise_for_status(self) -> PhaseResult:
        """Return this result if the phase succeeded.

        Raises:
            PhaseCanceled, PhaseTimedOut, HostsUnreachable, PhaseFailed: it did not; `.result` is this result.
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
        """Whether every host that failed could not be reached or refused the login."""
        failed = self.failed_hosts
        return bool(failed) and all(host.kind in (Kind.UNREACHABLE, Kind.AUTH) for host in failed)

    def summary(self) -> str:
        """Return a few lines: what failed on which host, and the last lines of its output."""
        lines = [f"{self.phase} {self.status.name}"]
        if self.message:
            lines.append(self.message)
        for host in self.failed_hosts:
            lines.append(f"{host.host}: {host.kind}: {host.message}")
            output = [line for line in (host.stderr or host.stdout).splitlines() if line.strip()]
            lines += [f"    {line}" for line in output[-5:]]
        left_out = self.dropped.items()
        lines += [f"{name}: left out because setup failed there: {host.kind}" for name, host in left_out]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON data."""
        return {
            "phase": self.phase,
            "status": self.status.name,
            "message": self.message,
            "metrics": dict(self.metrics),
            "hosts": {name: host.to_dict() for name, host in self.hosts.items()},
            "elapsed": self.elapsed,
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
    """Combine the results of the hosts into the result of the phase.

    Args:
        phase: its name.
        hosts: the results of the hosts that took part.
        message: what Ansible reported, if it failed as a whole.
        policy: when the group has succeeded, and what its metrics are.
        dropped: the results of setup on hosts that were left out because of them.
        stopped: whether hosts were canceled because another host failed.
    """
    by_name = {host.host: host for host in hosts}
    dropped = dropped or {}
    kinds = [(host.kind, host.status) for host in (*by_name.values(), *dropped.values())]
    good = {name: host.metrics for name, host in by_name.items() if host.status.is_succeeded()}
    metrics = group_metrics(list(good.values()), policy.aggregate)
    if policy.per_host_metrics:
        metrics |= per_host(good)
    status = policy.group_status(kinds, stopped=stopped)
    return PhaseResult(phase, status, by_name, metrics, message, dropped)


def deciding_phase(phases: Mapping[str, PhaseResult]) -> PhaseResult | None:
    """Return the phase that decides the status and the metrics of a trial, or None if no phase was run.

    That is the first phase before teardown that did not succeed, else the last phase before teardown. Teardown decides
    only if it is the only phase.
    """
    before = [result for phase, result in phases.items() if phase != "teardown"]
    failed = next((result for result in before if not result.status.is_succeeded()), None)
    return failed or (before[-1] if before else phases.get("teardown"))


class PhaseError(AnsibleEnvError):
    """A phase did not succeed. Only `raise_for_status()` raises it. `result` is the result of the phase."""

    def __init__(self, message: str, result: PhaseResult) -> None:
        self.result = result
        super().__init__(message)

    def __reduce__(self) -> tuple[type[PhaseError], tuple[str, PhaseResult]]:
        """Return how a copy is made, for pickle: process pools pass errors on by it."""
        return type(self), (str(self), self.result)


class PhaseFailed(PhaseError):
    """At least one host failed."""


class HostsUnreachable(PhaseFailed):
    """Every host that failed could not be reached or refused the login."""


class PhaseTimedOut(PhaseError, TimeoutError):
    """A deadline ended the phase."""


class PhaseCanceled(PhaseError):
    """The phase was canceled."""
