"""Rows of the store from results."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from ansible_env.config.checks import TRIAL_NAMES
from ansible_env.results.assertions import AssertionResult
from ansible_env.results.host_result import HostResult
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.trial import Trial
from ansible_env.storage.database.records import Sample
from ansible_env.storage.database.schema import GROUP
from ansible_env.storage.database.values import clean, encode, short

LAST_WORDS = 2000
"""Characters of a failed host's output in the store. The bundle has all of it."""

Row = dict[str, Any]


def param_rows(trial_id: int, params: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a trial's parameters, without those that are columns of the trial itself."""
    own = {name: value for name, value in params.items() if name not in TRIAL_NAMES}
    return [{"trial_id": trial_id, "name": name, **_value(value)} for name, value in _named(own).items()]


def phase_rows(trial_id: int, phases: Mapping[str, PhaseResult]) -> list[Row]:
    """Return the rows of a trial's phases."""
    return [
        {
            "trial_id": trial_id,
            "phase": phase,
            "position": position,
            "status": result.status.name,
            "message": clean(result.message),
        }
        for position, (phase, result) in enumerate(phases.items())
    ]


def host_rows(trial_id: int, phases: Mapping[str, PhaseResult]) -> list[Row]:
    """Return the rows of a trial's hosts in each phase."""
    return [
        {
            "trial_id": trial_id,
            "phase": phase,
            "host": short(host.host),
            "position": position,
            "kind": str(host.kind),
            "status": host.status.name,
            "message": clean(host.message),
            "rc": host.rc,
            "started": host.started,
            # Readers subtract the two times: a change of the host's clock must not appear as a duration.
            "finished": host.finished and host.finished - timedelta(seconds=host.clock_step or 0),
            "metrics_partial": host.metrics_partial,
            "reconnects": host.reconnects,
            "task": host.task and clean(host.task),
            "stdout_log": host.stdout_log,
            "stderr_log": host.stderr_log,
            "last_words": _last_words(host),
        }
        for phase, result in phases.items()
        for position, host in enumerate(result.hosts.values())
    ]


def metric_rows(trial_id: int, phases: Mapping[str, PhaseResult]) -> list[Row]:
    """Return the rows of a trial's metrics, of the group and of each host."""
    return [
        {"trial_id": trial_id, "phase": phase, "host": host, "name": name, **_value(value)}
        for phase, result in phases.items()
        for host, metrics in _sets(result)
        for name, value in _named(metrics).items()
    ]


def samples_of(trial: Trial) -> list[Sample]:
    """Return the telemetry in the results of a trial's hosts."""
    return [
        Sample(time, host.host, name, value)
        for result in trial.phases.values()
        for host in result.hosts.values()
        for time, name, value in host.telemetry
    ]


def telemetry_rows(trial_id: int, samples: Iterable[Sample]) -> list[Row]:
    """Return the rows of telemetry."""
    return [
        {
            "trial_id": trial_id,
            "time": sample.time,
            "host": short(sample.host),
            "name": short(sample.name),
            **_value(sample.value),
        }
        for sample in samples
    ]


def fingerprint_rows(trial_id: int, fingerprints: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    """Return the rows of the hosts' fingerprints."""
    return [
        {"trial_id": trial_id, "host": short(host), "facts": clean(json.dumps(dict(facts)))}
        for host, facts in fingerprints.items()
    ]


def assertion_rows(trial_id: int, results: Iterable[AssertionResult]) -> list[Row]:
    """Return the rows of results of assertions."""
    return [
        {
            "trial_id": trial_id,
            "position": position,
            "metric": short(result.assertion.metric),
            "comparison": result.assertion.text,
            "passed": result.passed,
            "value": _finite(result.value),
            "threshold": _finite(result.limit),
            "baseline": _finite(result.baseline),
            "message": clean(result.message),
        }
        for position, result in enumerate(results)
    ]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _sets(result: PhaseResult) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield GROUP, result.metrics
    for host in result.hosts.values():
        yield short(host.host), host.metrics


def _named(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Two names may become one when they are cleaned."""
    return {short(name): value for name, value in metrics.items()}


def _value(value: Any) -> Row:
    kind, number, text = encode(value)
    return {"type": kind, "number": number, "text": text}


def _last_words(host: HostResult) -> str:
    if host.status.is_succeeded():
        return ""
    words = host.stderr if host.stderr.strip() else host.stdout
    return clean(words[-LAST_WORDS:])
