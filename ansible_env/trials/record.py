"""What came of one trial, and its documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_env.config.checks import TRIAL_NAMES
from ansible_env.results.host_result import HostResult
from ansible_env.results.phase_result import PhaseResult, deciding_phase
from ansible_env.results.status import Status
from ansible_env.storage.bundle.bundle import Bundle
from ansible_env.storage.database.records import TrialInfo


@dataclass
class Trial:
    """One trial, or one phase that was run alone."""

    environment: str
    number: int
    params: Mapping[str, Any]
    """Secrets masked."""
    begin: datetime = field(default_factory=lambda: datetime.now(UTC))
    end: datetime | None = None
    phases: dict[str, PhaseResult] = field(default_factory=dict)
    """In the order in which they were run."""
    artifacts: Path | None = None
    bundle: Bundle | None = None
    fingerprints: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    error: str = ""
    """Why a phase could not even be tried."""
    canceled: bool = False
    """Whether somebody asked for the end before the last phase had begun, or did not wait for it."""
    abandoned: str = ""
    """The phase that nobody waited for, and of which there is no result."""

    @property
    def deciding(self) -> PhaseResult | None:
        """The phase that decides status and metrics; none where nobody waited for it."""
        return None if self.abandoned in ("setup", "run") else deciding_phase(self.phases)

    @property
    def status(self) -> Status:
        """The status of the deciding phase. A teardown changes nothing of it."""
        if self.error:
            return Status.FAILED
        deciding = self.deciding
        status = deciding.status if deciding else Status.READY
        failed = deciding is not None and deciding.phase != "teardown" and not status.is_succeeded()
        if self.canceled and self.abandoned != "teardown" and not failed:
            return Status.CANCELED
        return status

    @property
    def hosts(self) -> Mapping[str, HostResult]:
        """What the deciding phase gave for each host."""
        return self.deciding.hosts if self.deciding else {}

    @property
    def elapsed(self) -> float:
        """Seconds that the trial took, by this machine's clock."""
        return ((self.end or datetime.now(UTC)) - self.begin).total_seconds()

    def to_dict(self, *, output: bool) -> dict[str, Any]:
        """Return the trial as plain data; `output` says whether with what the scripts printed."""
        phases = {name: result.to_dict() for name, result in self.phases.items()}
        if not output:
            for phase in phases.values():
                for host in phase["hosts"].values():
                    for key in ("stdout", "stderr"):
                        host.pop(key, None)
        deciding = self.deciding
        return {
            "environment": self.environment,
            "trial": self.number,
            "status": self.status.name,
            "started": self.begin.isoformat(),
            "finished": self.end.isoformat() if self.end else None,
            "elapsed": self.elapsed,
            "params": dict(self.params),
            "metrics": dict(deciding.metrics) if deciding else {},
            "hosts": {name: _brief(host) for name, host in self.hosts.items()},
            "phases": phases,
            "artifacts": str(self.artifacts) if self.artifacts else None,
            **({"versions": dict(self.bundle.manifest["versions"])} if output and self.bundle else {}),
            **({"error": self.error} if self.error else {}),
        }


def trial_info(trial: Trial, bundle: Bundle) -> TrialInfo:
    """Return what the store is told about a trial."""
    return TrialInfo(
        uid=bundle.uid,
        number=trial.number or int(bundle.manifest["trial"]),
        environment=trial.environment,
        params={name: value for name, value in trial.params.items() if name not in TRIAL_NAMES},
        started=trial.begin,
        artifacts=str(bundle.directory),
        versions=bundle.manifest["versions"],
    )


def _brief(host: HostResult) -> dict[str, Any]:
    data = host.to_dict()
    names = ("status", "kind", "message", "rc", "metrics", "metrics_partial", "started", "finished")
    return {name: data[name] for name in names} | {"elapsed": host.elapsed}
