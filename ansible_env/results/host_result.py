"""The result of a phase on one host."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from ansible_env.results.disturbance import used_by, worst_of
from ansible_env.results.masking import Secrets
from ansible_env.results.metrics.parse import Value
from ansible_env.results.outcomes import OUTCOMES, Kind
from ansible_env.results.status import Status


@dataclass(frozen=True, slots=True)
class HostResult:
    """The result of a phase on one host. `combine` needs a rule for each field."""

    host: str
    kind: Kind
    message: str = ""
    """One sentence about the outcome."""
    rc: int | None = None
    """Exit status of the script, as the target's shell reports it: 128 + n for signal n."""
    metrics: Mapping[str, Value] = field(default_factory=dict)
    metrics_partial: bool = False
    """Whether the metrics are from a script that did not complete."""
    started: datetime | None = None
    """Start of the script by the target's clock, in UTC."""
    finished: datetime | None = None
    """End of the script by the target's clock, in UTC."""
    stdout: str = ""
    stderr: str = ""
    truncated: bool = False
    """Whether the middle of stdout or stderr is left out here; the logs are complete."""
    stdout_log: str | None = None
    stderr_log: str | None = None
    task: str | None = None
    """Name of the Ansible task that failed, if it was not a script."""
    reconnects: int = 0
    """How often the connection broke while the controller followed the script."""
    left_running: tuple[int, ...] = ()
    """Ids of processes on the host that could not be ended."""
    leftovers: tuple[str, ...] = ()
    """Processes that had left the session of the script, or that `keep_running` lets live on: pid and name of each.
    Without `keep_running` they were ended."""
    disturbance: Mapping[str, float] = field(default_factory=dict)
    """What else happened on the host while the script ran: see `ansible_env.results.disturbance.LIMITS`."""
    disturbed: str = ""
    """What of it was above its limit; empty if nothing was."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """What the script has used: `cpu_user_s`, `cpu_system_s`, `max_rss_bytes`, `io_read_bytes`, `io_written_bytes`."""
    telemetry: tuple[tuple[datetime, str, Value], ...] = ()
    """Samples taken while the script ran: time by the host's clock, metric and value."""
    clock_offset: float | None = None
    """Seconds by which the host's clock is ahead of the controller's, if scripts were to start together."""
    clock_error: float | None = None
    """Largest error of `clock_offset`, in seconds."""
    clock_step: float | None = None
    """Seconds by which the host's clock was set forward while the script ran, if it was set."""
    exports: Mapping[str, str] = field(default_factory=dict)
    """What the scripts export to later phases, by environment variable."""
    files: tuple[str, ...] = ()
    """Files that were collected from the host: paths below `files_dir`."""
    files_dir: str | None = None
    """The directory of the files on the controller."""
    files_note: str = ""
    """What was not collected, and why; and which files are older than the script."""
    attempts: int = 1
    """How often the phase was tried on the host, by `retries` of the environment file."""

    def __repr__(self) -> str:
        """Return what a person wants to see of many: no output, and no telemetry."""
        details = [repr(self.host), str(self.kind)]
        details += [f"metrics={dict(self.metrics)}"] if self.metrics else []
        details += [f"disturbed: {self.disturbed}"] if self.disturbed else []
        details += [repr(self.message)] if self.kind is not Kind.OK else []
        return f"<HostResult {' '.join(details)}>"

    @property
    def status(self) -> Status:
        """The status of the kind."""
        return OUTCOMES[self.kind].status

    @property
    def is_infrastructure_failure(self) -> bool:
        """Whether the kind is an infrastructure failure, which says nothing about the parameters."""
        return OUTCOMES[self.kind].infrastructure

    @property
    def elapsed(self) -> float | None:
        """Seconds between start and end of the script, whether or not the target's clock was set in between."""
        if self.started is None or self.finished is None:
            return None
        return (self.finished - self.started).total_seconds() - (self.clock_step or 0)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON data."""
        data = asdict(self)
        data |= {
            "status": self.status.name,
            "kind": str(self.kind),
            "started": self.started.isoformat() if self.started else None,
            "finished": self.finished.isoformat() if self.finished else None,
            "elapsed": self.elapsed,
            "left_running": list(self.left_running),
            "files": list(self.files),
            "leftovers": list(self.leftovers),
            "telemetry": [[time.isoformat(), name, value] for time, name, value in self.telemetry],
        }
        return data


_UNDEFINED = re.compile(r"'(\w+)' is undefined")


def explained(result: HostResult, params: Container[str]) -> HostResult:
    """Return a result whose message explains a variable that is undefined, and is one of these parameters."""
    match = _UNDEFINED.search(result.message) if result.kind is Kind.TASK else None
    if match is None or match[1] not in params:
        return result
    name = match[1]
    hint = f"{name} is a parameter: list it in vars_params, or write ansible_env_params.{name}"
    return replace(result, message=f"{result.message} ({hint})")


def without_secrets(result: HostResult, secrets: Secrets) -> HostResult:
    """Return a result whose texts contain no secrets. Exports are kept: later phases need them."""
    if not secrets:
        return result
    return replace(
        result,
        message=secrets.hide(result.message),
        stdout=secrets.hide(result.stdout),
        stderr=secrets.hide(result.stderr),
        task=result.task and secrets.hide(result.task),
        metrics=secrets.hide_in(result.metrics),
        files_note=secrets.hide(result.files_note),
    )


def _first(values: Sequence[Any]) -> Any:
    return next((value for value in values if value is not None), None)


def _union(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for mapping in values for name, value in mapping.items()}


def _concatenated(values: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(item for value in values for item in value)


_OF_DECIDING = frozenset({"host", "kind", "message", "task"})
"""Fields of a combined result that are those of the script that decides: the first that failed, else the last."""
_COMBINED: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "rc": lambda values: _first(values[::-1]),
    "metrics": _union,
    "metrics_partial": any,
    "started": lambda values: min(filter(None, values), default=None),
    "finished": lambda values: max(filter(None, values), default=None),
    "stdout": "".join,
    "stderr": "".join,
    "truncated": any,
    "stdout_log": _first,
    "stderr_log": _first,
    "reconnects": sum,
    "left_running": _concatenated,
    "leftovers": _concatenated,
    "disturbance": worst_of,
    "disturbed": lambda values: ", ".join(dict.fromkeys(filter(None, values))),
    "resources": used_by,
    "telemetry": _concatenated,
    "clock_offset": _first,
    "clock_error": _first,
    "clock_step": lambda values: sum(filter(None, values)) or None,
    "exports": _union,
    "files": lambda values: tuple(dict.fromkeys(_concatenated(values))),
    "files_dir": _first,
    "files_note": lambda values: "; ".join(dict.fromkeys(filter(None, values))),
    "attempts": max,
}
"""How the values of the other fields are combined."""


def combine(results: Sequence[HostResult]) -> HostResult:
    """Combine the results of several scripts that ran one after the other on a host."""
    if len(results) == 1:
        return results[0]
    failed = next((result for result in results if not result.status.is_succeeded()), None)
    decided = _OF_DECIDING | {"rc"} if failed else _OF_DECIDING  # a failure without exit status has none
    values = {
        name: getattr(failed or results[-1], name)
        if name in decided
        else _COMBINED[name]([getattr(result, name) for result in results])
        for name in (field.name for field in fields(HostResult))
    }
    return HostResult(**values)
