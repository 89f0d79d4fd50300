"""The result of a phase on one host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from ansible_env.results.metrics.parse import Value
from ansible_env.results.outcomes import OUTCOMES, Kind
from ansible_env.results.status import Status


@dataclass(frozen=True, slots=True)
class HostResult:
    """What came of a phase on one host."""

    host: str
    kind: Kind
    message: str = ""
    """One sentence about it, for a person."""
    rc: int | None = None
    """Exit status of the script, as the target's shell gave it: 128 + n for signal n."""
    metrics: Mapping[str, Value] = field(default_factory=dict)
    metrics_partial: bool = False
    """Whether the metrics are from a script that did not get to its end."""
    started: datetime | None = None
    """Start of the script by the target's own clock, in UTC."""
    finished: datetime | None = None
    stdout: str = ""
    stderr: str = ""
    truncated: bool = False
    """Whether stdout or stderr have their middle left out here; the logs are complete."""
    stdout_log: str | None = None
    stderr_log: str | None = None
    task: str | None = None
    """Name of the Ansible task that failed, where it was not a script."""
    reconnects: int = 0
    """How often the connection broke while the script was followed."""
    left_running: tuple[int, ...] = ()
    """Processes on the host that could not be ended."""
    telemetry: tuple[tuple[datetime, str, Value], ...] = ()
    """Samples from the time of the script: when by the host's clock, the metric, and its value."""
    clock_offset: float | None = None
    """Seconds by which the host's clock is ahead of the controller's, where scripts were to start together."""
    clock_error: float | None = None
    """By how much that may be wrong, in seconds."""
    exports: Mapping[str, str] = field(default_factory=dict)
    """What its scripts found out for later phases, by environment variable."""
    attempts: int = 1
    """How often the phase was tried on the host, by `retries` of the environment file."""

    @property
    def status(self) -> Status:
        """The status that the kind stands for."""
        return OUTCOMES[self.kind].status

    @property
    def is_infrastructure_failure(self) -> bool:
        """Whether the machinery failed rather than the benchmark."""
        return OUTCOMES[self.kind].infrastructure

    @property
    def elapsed(self) -> float | None:
        """Seconds between start and end of the script, by the target's clock."""
        return (self.finished - self.started).total_seconds() if self.started and self.finished else None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON data."""
        data = asdict(self)
        data |= {
            "status": self.status.name,
            "kind": str(self.kind),
            "started": self.started.isoformat() if self.started else None,
            "finished": self.finished.isoformat() if self.finished else None,
            "left_running": list(self.left_running),
            "telemetry": [[time.isoformat(), name, value] for time, name, value in self.telemetry],
        }
        return data


def combine(results: Sequence[HostResult]) -> HostResult:
    """Make one result of those of several scripts that ran one after the other on a host."""
    if len(results) == 1:
        return results[0]
    last = results[-1]
    bad = next((result for result in results if not result.status.is_succeeded()), None)
    told = bad or last
    metrics: dict[str, Value] = {}
    for result in results:
        metrics |= result.metrics
    starts = [result.started for result in results if result.started]
    ends = [result.finished for result in results if result.finished]
    return HostResult(
        host=last.host,
        kind=told.kind,
        message=told.message,
        rc=told.rc if bad else next((r.rc for r in reversed(results) if r.rc is not None), None),
        metrics=metrics,
        metrics_partial=any(result.metrics_partial for result in results),
        started=min(starts, default=None),
        finished=max(ends, default=None),
        stdout="".join(result.stdout for result in results),
        stderr="".join(result.stderr for result in results),
        truncated=any(result.truncated for result in results),
        stdout_log=next((r.stdout_log for r in results if r.stdout_log), None),
        stderr_log=next((r.stderr_log for r in results if r.stderr_log), None),
        task=told.task,
        reconnects=sum(result.reconnects for result in results),
        clock_offset=next((r.clock_offset for r in results if r.clock_offset is not None), None),
        clock_error=next((r.clock_error for r in results if r.clock_error is not None), None),
        exports={name: value for result in results for name, value in result.exports.items()},
        left_running=tuple(pid for result in results for pid in result.left_running),
        telemetry=tuple(sample for result in results for sample in result.telemetry),
    )
