"""Queries of the store: SQL from a query, results from rows."""

from __future__ import annotations

import functools
import json
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, and_, exists, func, or_, select

from ansible_env.common import Owner
from ansible_env.errors import ConfigError, Problem
from ansible_env.results.status import Status
from ansible_env.storage.database import schema
from ansible_env.storage.database.records import Sample, StoredAssertion, StoredExperiment, StoredHost, StoredTrial
from ansible_env.storage.database.schema import GROUP, experiments, host_results, metrics, params, telemetry, trials
from ansible_env.storage.database.values import decode, encode, short

CHUNK = 500
"""Ids in one statement. Databases limit the number of its parameters."""

Ids = Sequence[int]


@dataclass(frozen=True, slots=True)
class Query:
    """Which trials to read, and in which order."""

    experiment: str | None = None
    status: frozenset[Status] = frozenset()
    """Any of these statuses; empty for all."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that must have these values."""
    since: datetime | None = None
    uid: str | None = None
    ids: Ids | None = None
    metric: str | None = None
    """Only finished trials that have this metric as a number, sorted by it."""
    order: Literal["max", "min", "old", "new"] = "old"
    """The largest or smallest metric first; without a metric, the oldest or the newest trial first."""
    limit: int | None = None


def parse_best(text: str) -> tuple[str, str]:
    """Return the metric and the direction of `metric:max` or `metric:min`. Raise ConfigError for another form."""
    metric, _, direction = text.rpartition(":")
    if not metric or direction not in ("max", "min"):
        hint = "max if more is better, min if less is"
        raise ConfigError(Problem(f"{text!r} is not METRIC:max or METRIC:min", "--best", hint=hint))
    return metric, direction


def select_trials(connection: Connection, query: Query) -> list[StoredTrial]:
    """Return trials with their parameters and the metrics of the group."""
    rows = connection.execute(_statement(query)).all()
    ids = [row.id for row in rows]
    given = _by_trial(connection, select(params.c.trial_id, params.c.name, *_value(params)), params.c.trial_id, ids)
    of_group = (
        select(metrics.c.trial_id, metrics.c.name, *_value(metrics))
        .join(trials, _deciding(metrics))
        .where(metrics.c.host == GROUP)
    )
    measured = _by_trial(connection, of_group, metrics.c.trial_id, ids)
    here = socket.gethostname()
    lives = functools.cache(lambda owner: Owner.of_text(owner).lives())  # each process is checked once

    def is_interrupted(row: Row[Any]) -> bool:
        # The process of another machine cannot be checked from here.
        return row.finished is None and row.owner is not None and row.controller == here and not lives(row.owner)

    return [_trial(row, given.get(row.id, {}), measured.get(row.id, {}), is_interrupted(row)) for row in rows]


def select_hosts(connection: Connection, ids: Ids, *, every_phase: bool) -> Iterator[StoredHost]:
    """Yield the results of hosts, from the deciding phase of each trial or from every phase."""
    of_host = select(metrics.c.trial_id, metrics.c.phase, metrics.c.host, metrics.c.name, *_value(metrics))
    hosts = select(host_results)
    if not every_phase:
        of_host = of_host.join(trials, _deciding(metrics))
        hosts = hosts.join(trials, _deciding(host_results))
    for part in chunks(ids):
        by_host: dict[tuple[int, str, str], dict[str, Any]] = {}
        statement = of_host.where(metrics.c.trial_id.in_(part), metrics.c.host != GROUP)
        for trial_id, phase, host, name, kind, number, text in connection.execute(statement):
            by_host.setdefault((trial_id, phase, host), {})[name] = decode(kind, number, text)
        order = host_results.c.trial_id, host_results.c.phase, host_results.c.position
        for row in connection.execute(hosts.where(host_results.c.trial_id.in_(part)).order_by(*order)):
            yield _host(row, by_host.get((row.trial_id, row.phase, row.host), {}))


def select_experiments(connection: Connection) -> list[StoredExperiment]:
    """Return all experiments, the most recent one first."""
    succeeded = func.count().filter(trials.c.status == Status.SUCCEEDED.name)
    last = func.max(trials.c.started)
    statement = (
        select(experiments.c.name, experiments.c.created, func.count(trials.c.id), succeeded, last)
        .join_from(experiments, trials, isouter=True)
        .group_by(experiments.c.id, experiments.c.name, experiments.c.created)
        .order_by(last.desc(), experiments.c.id.desc())
    )
    return [StoredExperiment(*row) for row in connection.execute(statement)]


def select_telemetry(connection: Connection, trial_id: int) -> list[Sample]:
    """Return the telemetry of a trial, ordered by time."""
    columns = telemetry.c.time, telemetry.c.host, telemetry.c.name, *_value(telemetry)
    statement = select(*columns).where(telemetry.c.trial_id == trial_id).order_by(telemetry.c.time, telemetry.c.id)
    return [Sample(*row[:3], decode(*row[3:])) for row in connection.execute(statement)]


def select_fingerprints(connection: Connection, ids: Ids) -> dict[int, dict[str, Any]]:
    """Return the fingerprints of the hosts, by trial and host."""
    fingerprints_of: dict[int, dict[str, Any]] = {}
    for part in chunks(ids):
        statement = select(schema.fingerprints).where(schema.fingerprints.c.trial_id.in_(part))
        for trial_id, host, facts in connection.execute(statement):
            fingerprints_of.setdefault(trial_id, {})[host] = json.loads(facts)
    return fingerprints_of


def select_assertions(connection: Connection, ids: Ids) -> list[StoredAssertion]:
    """Return the results of the assertions of trials."""
    table = schema.assertions
    columns = [column for column in table.c if column.name != "position"]
    statement = select(*columns).order_by(table.c.trial_id, table.c.position)
    parts = (statement.where(table.c.trial_id.in_(part)) for part in chunks(ids))
    return [StoredAssertion(*row) for part in parts for row in connection.execute(part)]


def _statement(query: Query) -> Select[Any]:
    statement = select(trials, experiments.c.name.label("experiment")).join(experiments)
    if query.experiment is not None:
        statement = statement.where(experiments.c.name == short(query.experiment))
    if query.status:
        statement = statement.where(trials.c.status.in_([status.name for status in query.status]))
    if query.since is not None:
        statement = statement.where(trials.c.started >= query.since)
    if query.uid is not None:
        statement = statement.where(trials.c.uid == query.uid)
    if query.ids is not None:
        statement = statement.where(trials.c.id.in_(query.ids))
    for name, value in query.params.items():
        statement = statement.where(_has_param(name, value))
    if query.metric is not None:
        statement = statement.join(metrics, and_(_deciding(metrics), metrics.c.host == GROUP)).where(
            metrics.c.name == short(query.metric), metrics.c.number.is_not(None)
        )
    return statement.order_by(*_order(query)).limit(query.limit)


def _order(query: Query) -> Iterable[Any]:
    if query.order in ("max", "min") and query.metric is not None:
        yield metrics.c.number.desc() if query.order == "max" else metrics.c.number.asc()
    yield trials.c.id.desc() if query.order == "new" else trials.c.id


def _has_param(name: str, value: Any) -> Any:
    _, number, text = encode(value)
    same = params.c.number == number if text is None else params.c.text == text
    if isinstance(value, str):
        try:  # a text from a command line may be a number
            same = or_(same, params.c.number == float(value))
        except ValueError:
            truth = {"true": 1.0, "false": 0.0}.get(value.lower())
            same = same if truth is None else or_(same, and_(params.c.type == "bool", params.c.number == truth))
    return exists().where(params.c.trial_id == trials.c.id, params.c.name == short(name), same)


def chunks(ids: Ids) -> Iterator[Ids]:
    """Yield the ids in chunks for one statement each."""
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


def _deciding(table: Any) -> Any:
    return and_(table.c.trial_id == trials.c.id, table.c.phase == trials.c.phase)


def _value(table: Any) -> tuple[Any, Any, Any]:
    return table.c.type, table.c.number, table.c.text


def _by_trial(connection: Connection, statement: Select[Any], column: Any, ids: Ids) -> dict[int, dict[str, Any]]:
    values: dict[int, dict[str, Any]] = {}
    for part in chunks(ids):
        for trial_id, name, kind, number, text in connection.execute(statement.where(column.in_(part))):
            values.setdefault(trial_id, {})[name] = decode(kind, number, text)
    return values


_TRIAL_COLUMNS = [f.name for f in fields(StoredTrial) if f.name in trials.c and f.name not in ("status", "versions")]
_HOST_COLUMNS = [f.name for f in fields(StoredHost) if f.name in host_results.c and f.name != "status"]


def _trial(row: Row[Any], given: dict[str, Any], measured: dict[str, Any], interrupted: bool) -> StoredTrial:
    return StoredTrial(
        **{name: getattr(row, name) for name in _TRIAL_COLUMNS},
        experiment=row.experiment,
        status=Status.parse(row.status),
        interrupted=interrupted,
        versions=json.loads(row.versions),
        params=given,
        metrics=measured,
    )


def _host(row: Row[Any], measured: dict[str, Any]) -> StoredHost:
    return StoredHost(
        **{name: getattr(row, name) for name in _HOST_COLUMNS},
        trial=row.trial_id,
        status=Status.parse(row.status),
        metrics=measured,
    )
