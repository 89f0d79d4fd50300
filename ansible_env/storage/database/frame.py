"""Trials as flat rows, for tables, files and pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Literal

from ansible_env.common import pip_install
from ansible_env.errors import ConfigError, Problem
from ansible_env.storage.database.records import StoredHost, StoredTrial

Level = Literal["trial", "host"]

TRIAL_COLUMNS = (
    "id", "uid", "experiment", "environment", "trial", "status", "infrastructure", "phase", "started", "finished",
    "elapsed", "error", "artifacts", "controller",
)  # fmt: skip
HOST_COLUMNS = ("host", "status", "kind", "message", "rc", "started", "finished", "elapsed")


def flat_rows(trials: Sequence[StoredTrial], hosts: Iterable[StoredHost] | None = None) -> list[dict[str, Any]]:
    """Return a row for each trial, or for each host. Every row has every column."""
    rows = own_rows(trials, hosts)
    titles = columns(rows)
    return [{title: row.get(title) for title in titles} for row in rows]


def own_rows(trials: Sequence[StoredTrial], hosts: Iterable[StoredHost] | None = None) -> list[dict[str, Any]]:
    """Return a row for each trial, or for each host, with its own parameters and metrics only."""
    if hosts is None:
        return [{**_of_trial(trial), **_prefixed("metric", trial.metrics)} for trial in trials]
    by_id = {trial.id: trial for trial in trials}
    return [_of_host(by_id[host.trial], host) for host in hosts]


def columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the columns of all rows: fixed columns, parameters, metrics."""
    names = dict.fromkeys(name for row in rows for name in row)
    params = [name for name in names if name.startswith("param.")]
    metrics = [name for name in names if name.startswith("metric.")]
    return [name for name in names if "." not in name] + params + metrics


def optional(module: str, extra: str) -> Any:
    """Import a module that an extra installs. Raise ConfigError if it is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        what = f"this needs {error.name}, which is not installed"
        raise ConfigError(Problem(what, hint=pip_install(extra))) from error


def _of_trial(trial: StoredTrial) -> dict[str, Any]:
    other = {"trial": "number", "status": "state"}
    fixed = {name: getattr(trial, other.get(name, name)) for name in TRIAL_COLUMNS}
    return fixed | _prefixed("param", trial.params)


def _of_host(trial: StoredTrial, host: StoredHost) -> dict[str, Any]:
    fixed: dict[str, Any] = {"id": trial.id, "uid": trial.uid, "experiment": trial.experiment, "trial": trial.number}
    fixed |= {name: getattr(host, name) for name in HOST_COLUMNS if name != "status"}
    fixed["status"] = host.status.name
    return fixed | _prefixed("param", trial.params) | _prefixed("metric", host.metrics)


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in values.items()}
