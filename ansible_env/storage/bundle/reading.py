"""Reading results from a bundle."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_env.errors import ConfigError, Problem
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.status import Status
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.storage.bundle.bundle import Bundle

_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_HOST_FIELDS = frozenset(field.name for field in fields(HostResult))


def read_result(path: Path) -> dict[str, Any]:
    """Read the result file of a trial. Raise ConfigError if there is none, or it cannot be read."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = data["phases"], datetime.fromisoformat(data["started"]), data["status"]
    except FileNotFoundError as error:
        hint = "`ansible-env attach` completes it"
        raise ConfigError(Problem("the trial is not finished", file=path.parent, hint=hint)) from error
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ConfigError(Problem(f"the result cannot be read: {error}", file=path)) from error
    return data


def read_phases(data: Mapping[str, Any], path: Path) -> dict[str, PhaseResult]:
    """Return the results of the phases in a result file. Raise ConfigError if it does not have our format."""
    try:
        return {name: _phase(phase) for name, phase in data["phases"].items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(Problem(f"the result cannot be read: {error}", file=path)) from error


def read_phase(path: Path) -> PhaseResult:
    """Return the result of one phase that is in a file of its own. Raise ConfigError if it cannot be read."""
    try:
        return _phase(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(Problem(f"the result of the phase cannot be read: {error}", file=path)) from error


def _phase(data: Mapping[str, Any]) -> PhaseResult:
    return PhaseResult(
        phase=data["phase"],
        status=Status[data["status"]],
        hosts=_hosts(data["hosts"]),
        metrics=_metrics(data["metrics"]),
        message=data["message"],
        dropped=_hosts(data.get("dropped") or {}),
    )


def _hosts(data: Mapping[str, Any]) -> dict[str, HostResult]:
    return {name: read_host(name, host) for name, host in data.items()}


def read_host(name: str, data: Mapping[str, Any]) -> HostResult:
    """Return the result of a host from what `HostResult.to_dict` returned."""
    values = {key: value for key, value in data.items() if key in _HOST_FIELDS}
    values |= {
        "host": name,
        "kind": Kind(data["kind"]),
        "metrics": _metrics(data.get("metrics") or {}),
        "started": _time(data.get("started")),
        "finished": _time(data.get("finished")),
        "left_running": tuple(data.get("left_running") or ()),
        "leftovers": tuple(data.get("leftovers") or ()),
        "files": tuple(data.get("files") or ()),
        "telemetry": tuple(
            (datetime.fromisoformat(time), name, _metrics({name: value})[name])
            for time, name, value in data.get("telemetry") or ()
        ),
    }
    return HostResult(**values)


def _metrics(data: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the texts that `to_json` writes for NaN and infinity. Parsed metrics never are these texts."""
    return {name: _NUMBERS.get(v, v) if isinstance(v, str) else v for name, v in data.items()}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def read_trial(bundle: Bundle, data: Mapping[str, Any], phases: Mapping[str, PhaseResult]) -> Trial:
    """Return the trial of a bundle out of the document of `read_result`, with these results of its phases."""
    manifest = bundle.manifest
    return Trial(
        str(manifest["environment"]),
        TrialRequest(int(data.get("trial") or manifest["trial"])),
        bundle.experiment,
        bundle.uid,
        params=data.get("params") or manifest["params"],
        phases=phases,
        started=datetime.fromisoformat(data["started"]),
        finished=_time(data.get("finished")),
        duration=data.get("elapsed"),
        directory=bundle.directory,
        versions=manifest["versions"],
        error=str(data.get("error") or ""),
    ).finish(canceled=data["status"] == Status.CANCELED.name)
