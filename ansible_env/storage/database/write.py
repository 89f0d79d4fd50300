"""Rows of the store from results. Those of experiments and trials are inserted on first use."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select
from sqlalchemy.exc import IntegrityError

from ansible_env.common import Owner
from ansible_env.config.checks import TRIAL_NAMES
from ansible_env.results.assertions import AssertionResult
from ansible_env.results.host_result import HostResult
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.status import Status
from ansible_env.results.trial import Trial
from ansible_env.storage.database import schema
from ansible_env.storage.database.records import Sample
from ansible_env.storage.database.schema import GROUP, experiments, host_results, params, trials
from ansible_env.storage.database.values import clean, encode, short

LAST_WORDS = 2000
"""Characters of a failed host's output in the store. The bundle has all of it."""

_HOST_COLUMNS = [field.name for field in fields(HostResult) if field.name in host_results.c]

Row = dict[str, Any]


def trial_row(connection: Connection, trial: Trial) -> int:
    """Return the id of a trial, and insert its row if there is none."""
    existing = connection.execute(select(trials.c.id).where(trials.c.uid == trial.uid)).scalar()
    if existing is not None:
        return int(existing)
    of = experiment_id(connection, trial.experiment or trial.environment)
    number = trial.number
    if not number:
        last = connection.execute(select(func.max(trials.c.number)).where(trials.c.experiment_id == of)).scalar()
        number = (last or 0) + 1
    row = {
        "uid": trial.uid,
        "experiment_id": of,
        "number": number,
        "environment": clean(trial.environment),
        "status": Status.RUNNING.name,
        "infrastructure": False,
        "started": trial.started,
        "error": "",
        "artifacts": str(trial.directory) if trial.directory else None,
        "controller": socket.gethostname(),
        "owner": Owner.this().to_text(),
        "versions": json.dumps(dict(trial.versions)),
    }
    key = connection.execute(insert(trials).values(row)).inserted_primary_key
    assert key is not None  # noqa: S101 - for mypy
    if rows := _param_rows(key[0], trial.params):
        connection.execute(insert(params), rows)
    return int(key[0])


def experiment_id(connection: Connection, name: str) -> int:
    """Return the id of an experiment. Create its row if there is none."""
    wanted = select(experiments.c.id).where(experiments.c.name == short(name))
    existing = connection.execute(wanted).scalar()
    if existing is not None:
        return int(existing)
    try:
        with connection.begin_nested():
            row = {"name": short(name), "created": datetime.now(UTC)}
            key = connection.execute(insert(experiments).values(row)).inserted_primary_key
            assert key is not None  # noqa: S101 - for mypy
            return int(key[0])
    except IntegrityError:  # another process was faster
        return int(connection.execute(wanted).scalar_one())


def part_rows(trial_id: int, trial: Trial, samples: Iterable[Sample]) -> dict[Table, list[Row]]:
    """Return the rows that belong to a trial, by their table."""
    return {
        schema.params: _param_rows(trial_id, trial.params),
        schema.phases: _phase_rows(trial_id, trial.phases),
        schema.host_results: _host_rows(trial_id, trial.phases),
        schema.metrics: _metric_rows(trial_id, trial.phases),
        schema.telemetry: telemetry_rows(trial_id, samples),
        schema.fingerprints: [
            {"trial_id": trial_id, "host": short(host), "facts": clean(json.dumps(dict(facts)))}
            for host, facts in trial.fingerprints.items()
        ],
    }


def _param_rows(trial_id: int, params: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a trial's parameters, without those that are columns of the trial itself."""
    own = {name: value for name, value in params.items() if name not in TRIAL_NAMES}
    return [{"trial_id": trial_id, "name": name, **_value(value)} for name, value in _named(own).items()]


def _phase_rows(trial_id: int, phases: Mapping[str, PhaseResult]) -> list[Row]:
    return [
        {"trial_id": trial_id, "phase": phase, "position": position}
        | {"status": result.status.name, "message": clean(result.message)}
        for position, (phase, result) in enumerate(phases.items())
    ]


def _host_rows(trial_id: int, phases: Mapping[str, PhaseResult]) -> list[Row]:
    return [
        {name: getattr(host, name) for name in _HOST_COLUMNS}
        | {
            "trial_id": trial_id,
            "phase": phase,
            "host": short(host.host),
            "position": position,
            "kind": str(host.kind),
            "status": host.status.name,
            "message": clean(host.message),
            # Readers subtract the two times: a change of the host's clock must not appear as a duration.
            "finished": host.finished and host.finished - timedelta(seconds=host.clock_step or 0),
            "task": host.task and clean(host.task),
            "last_words": _last_words(host),
            "disturbed": clean(host.disturbed) or None,
        }
        for phase, result in phases.items()
        for position, host in enumerate(result.hosts.values())
    ]


def _metric_rows(trial_id: int, phases: Mapping[str, PhaseResult]) -> list[Row]:
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
        {"trial_id": trial_id, "time": sample.time, "host": short(sample.host), "name": short(sample.name)}
        | _value(sample.value)
        for sample in samples
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
    return dict(zip(("type", "number", "text"), encode(value), strict=True))


def _last_words(host: HostResult) -> str:
    if host.status.is_succeeded():
        return ""
    words = host.stderr if host.stderr.strip() else host.stdout
    return clean(words[-LAST_WORDS:])
