"""The trial: one pass of setup, run and teardown with one set of parameters."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_env.results.assertions import AssertionResult
from ansible_env.results.host_result import HostResult
from ansible_env.results.metrics.parse import Value
from ansible_env.results.phase_result import PhaseResult, deciding_phase
from ansible_env.results.status import Status


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """A trial to run."""

    number: int = 0
    """Number in the experiment; with 0 the store assigns the next one."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Values of tunables."""
    globals: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Parameters from outside, including the number of the trial. They may include secrets."""
    configuration: int = 0
    """The index of this set of values in a plan; repetitions share it."""
    repeat: int = 0
    """The repetition of the configuration, counted from 1; 0 for a trial that is not part of a plan."""
    hosts: frozenset[str] = frozenset()
    """The hosts that the trial may run on; any host if empty."""
    asked: Any = None
    """The value that an optimizer returned for the trial."""
    attempt: int = 1
    """Number of the attempt. A trial whose host is lost is started again on another host."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One attempt at a trial, from its start (`RUNNING`) to its end. A single phase is a trial as well."""

    environment: str
    request: TrialRequest = field(default_factory=TrialRequest)
    experiment: str = ""
    """The name under which the trial is stored; if empty, the name of the environment."""
    uid: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Unique in every store."""
    hosts: tuple[str, ...] = ()
    """The hosts of the trial."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """All parameters, secrets masked."""
    status: Status = Status.RUNNING
    phases: Mapping[str, PhaseResult] = field(default_factory=dict)
    """The results of the phases that have ended, in the order of the phases."""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    """Start by the controller's clock, in UTC."""
    finished: datetime | None = None
    """End by the controller's clock, in UTC; None until then."""
    directory: Path | None = None
    """The bundle of the trial; None if it has none."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """The versions of the programs that ran the trial."""
    fingerprints: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The fingerprints of the hosts, if they were taken."""
    assertions: tuple[AssertionResult, ...] = ()
    """The results of the assertions about this trial alone."""
    error: str = ""
    """The reason why a phase could not be started; empty if there is none."""
    abandoned: str = ""
    """The phase that was running when the wait for the trial was abandoned. It has no result."""
    repeated: bool = False
    """Whether another attempt follows, because a host of this one was lost."""
    waited: Mapping[str, float] = field(default_factory=dict)
    """Seconds that were waited before the trial or in it: `cooldown`, `settle`, `splay`. No phase includes them."""
    begun: float | None = field(default=None, repr=False, compare=False)
    """Start by the monotonic clock of the process that runs the trial."""
    duration: float | None = None
    """Seconds from start to end by a monotonic clock; None if they are not known."""

    def __repr__(self) -> str:
        """Return what a person wants to see of many."""
        values = f" {dict(self.values)}" if self.values else ""
        metrics = f" metrics={dict(self.metrics)}" if self.metrics else ""
        return (
            f"<Trial {self.environment} {self.number} {self.status.name} on {', '.join(self.hosts)}{values}{metrics}>"
        )

    @property
    def number(self) -> int:
        """The number in the experiment."""
        return self.request.number

    @property
    def attempts(self) -> int:
        """How often the trial was started, this attempt included."""
        return self.request.attempt

    @property
    def values(self) -> Mapping[str, Any]:
        """The requested values of tunables."""
        return self.request.values

    @property
    def asked(self) -> Any:
        """The value that an optimizer returned for the trial."""
        return self.request.asked

    @property
    def deciding(self) -> PhaseResult | None:
        """The phase that decides status and metrics; None if there is none, or if it was abandoned."""
        return deciding_phase(self.phases) if self.abandoned in ("", "teardown") else None

    @property
    def metrics(self) -> Mapping[str, Value]:
        """The metrics of the group; empty unless the trial succeeded."""
        return self.deciding.metrics if self.deciding and self.status.is_succeeded() else {}

    @property
    def host_results(self) -> Mapping[str, HostResult]:
        """The results of the hosts in the deciding phase."""
        return self.deciding.hosts if self.deciding else {}

    @property
    def elapsed(self) -> float:
        """Seconds from start to end, or until now."""
        if self.duration is not None:
            return self.duration
        if self.begun is not None and self.finished is None:
            return time.monotonic() - self.begun
        return ((self.finished or datetime.now(UTC)) - self.started).total_seconds()

    @property
    def broken_hosts(self) -> tuple[str, ...]:
        """The hosts with an infrastructure failure before teardown, or with any failure of setup_once."""
        results = [result for phase, result in self.phases.items() if phase != "teardown"]
        return tuple(dict.fromkeys(h.host for r in results for h in r.failed_hosts if _says_nothing(r.phase, h)))

    @property
    def is_lost(self) -> bool:
        """Whether the trial failed, and a host with an infrastructure failure may be the reason."""
        return not self.status.is_succeeded() and not self.status.is_canceled() and bool(self.broken_hosts)

    @property
    def is_infrastructure_failure(self) -> bool:
        """Whether the trial failed in a way that says nothing about its parameters."""
        if self.status not in (Status.FAILED, Status.TIMED_OUT):
            return False
        if self.deciding is None or not (failed := self.deciding.failed_hosts):
            return True
        return any(_says_nothing(self.deciding.phase, host) for host in failed)

    def finish(self, *, canceled: bool = False) -> Trial:
        """Return the finished trial, with the status that follows from its phases and its error.

        With `canceled`, a phase was not started or was abandoned because the end was requested. A failed phase takes
        precedence over that. A failed teardown does not change the status.
        """
        deciding = self.deciding
        status = deciding.status if deciding else Status.READY
        failed = deciding is not None and deciding.phase != "teardown" and not status.is_succeeded()
        if self.error:
            status = Status.FAILED
        elif canceled and self.abandoned != "teardown" and not failed:
            status = Status.CANCELED
        duration = self.elapsed if self.begun is not None else self.duration
        return replace(self, status=status, finished=self.finished or datetime.now(UTC), duration=duration)

    def to_dict(self, *, output: bool) -> dict[str, Any]:
        """Return the trial as plain JSON data. `output` includes the output of the scripts and the versions."""
        phases = {name: result.to_dict() for name, result in self.phases.items()}
        for phase in phases.values() if not output else ():
            for host in phase["hosts"].values():
                del host["stdout"], host["stderr"]
        return {
            "environment": self.environment,
            "trial": self.number,
            "status": self.status.name,
            "started": self.started.isoformat(),
            "finished": self.finished.isoformat() if self.finished else None,
            "elapsed": self.elapsed,
            "params": dict(self.params),
            "metrics": dict(self.deciding.metrics) if self.deciding else {},
            "hosts": {name: _brief(host) for name, host in self.host_results.items()},
            "phases": phases,
            "artifacts": str(self.directory) if self.directory else None,
            **({"versions": dict(self.versions)} if output and self.versions else {}),
            **({"waited": dict(self.waited)} if self.waited else {}),
            **({"error": self.error} if self.error else {}),
            **(self._place() if self.request.repeat else {}),
        }

    def _place(self) -> dict[str, Any]:
        """Return its place in a plan."""
        return {
            "configuration": self.request.configuration,
            "repeat": self.request.repeat,
            "attempts": self.attempts,
            "ran_on": list(self.hosts),
            **({"assertions": [result.to_dict() for result in self.assertions]} if self.assertions else {}),
        }


def _says_nothing(phase: str, host: HostResult) -> bool:
    """Whether the failure of a host says nothing about the parameters. setup_once does not depend on them."""
    return host.is_infrastructure_failure or (phase == "setup_once" and not host.status.is_canceled())


def _brief(host: HostResult) -> dict[str, Any]:
    data = host.to_dict()
    names = ("status", "kind", "message", "rc", "metrics", "metrics_partial", "started", "finished")
    return {name: data[name] for name in names} | {"elapsed": host.elapsed}
