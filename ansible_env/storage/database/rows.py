"""The rows of experiments and trials, created on first use."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from ansible_env.common import Owner
from ansible_env.results.status import Status
from ansible_env.results.trial import Trial
from ansible_env.storage.database.schema import experiments, params, trials
from ansible_env.storage.database.values import clean, short
from ansible_env.storage.database.write import param_rows


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
    if rows := param_rows(key[0], trial.params):
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
