"""The rows of the store, as they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from ansible_env.results.metrics.parse import Value
from ansible_env.results.status import Status


@dataclass(frozen=True, slots=True)
class StoredExperiment:
    """All trials under one name."""

    name: str
    created: datetime
    trials: int
    succeeded: int
    last: datetime | None
    """Start of the last trial."""


@dataclass(frozen=True, slots=True)
class StoredTrial:
    """A trial in the store."""

    id: int
    """Its number in the store, by which `results` and `compare` name it."""
    uid: str
    experiment: str
    environment: str
    number: int
    status: Status
    """RUNNING for one that is not finished."""
    interrupted: bool
    """Whether it is not finished, and the process that ran it is gone."""
    infrastructure: bool
    """Whether it had an infrastructure failure, which says nothing about its parameters."""
    phase: str | None
    """The deciding phase."""
    started: datetime
    finished: datetime | None
    elapsed: float | None
    """Seconds, by the controller's clock."""
    error: str
    artifacts: str | None
    controller: str
    """The machine that ran it."""
    versions: Mapping[str, str]
    params: Mapping[str, Any]
    metrics: Mapping[str, Value]
    """Metrics of the group in the deciding phase."""

    @property
    def state(self) -> str:
        """The name of the status, or `INTERRUPTED` if the process that ran the trial is gone."""
        return "INTERRUPTED" if self.interrupted else self.status.name

    def to_dict(self) -> dict[str, Any]:
        """Return the trial as plain JSON data."""
        data = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "interrupted"}
        data |= {"status": self.state, "started": self.started.isoformat()}
        data["finished"] = self.finished.isoformat() if self.finished else None
        return {"trial" if name == "number" else name: value for name, value in data.items()}


@dataclass(frozen=True, slots=True)
class StoredHost:
    """The result of a phase of a trial on one host."""

    trial: int
    """The trial's id in the store."""
    phase: str
    host: str
    status: Status
    kind: str
    message: str
    rc: int | None
    started: datetime | None
    finished: datetime | None
    metrics: Mapping[str, Value]
    metrics_partial: bool
    reconnects: int
    task: str | None
    stdout_log: str | None
    stderr_log: str | None
    last_words: str
    """The end of stderr, or of stdout, if the host did not succeed."""
    disturbed: str | None = None
    """What else happened on the host and was above its limit; None if nothing was."""

    @property
    def elapsed(self) -> float | None:
        """Seconds between start and end of the script, by the target's clock."""
        return (self.finished - self.started).total_seconds() if self.started and self.finished else None


@dataclass(frozen=True, slots=True)
class StoredAssertion:
    """Whether a budget was kept; see `ansible_env.results.assertions`."""

    trial: int
    """The trial's id in the store: of several that were judged together, the last one's."""
    metric: str
    comparison: str
    passed: bool
    value: float | None
    threshold: float | None
    baseline: float | None
    message: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of telemetry."""

    time: datetime
    host: str
    name: str
    value: Value
