"""The rows of experiments and trials, which are made where there are none."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from ansible_env.common import Owner
from ansible_env.results.status import Status
from ansible_env.storage.database.records import TrialInfo
from ansible_env.storage.database.schema import experiments, params, trials
from ansible_env.storage.database.values import clean, short
from ansible_env.storage.database.write import param_rows


def trial_row(connection: Connection, experiment: str, info: TrialInfo, uid: str) -> tuple[int, datetime]:
    """Return the id and the start of a trial, and make its row if there is none."""
    found = connection.execute(select(trials.c.id, trials.c.started).where(trials.c.uid == uid)).first()
    if found is not None:
        return found.id, info.started or found.started
    of = experiment_id(connection, experiment)
    number = info.number
    if number is None:
        last = connection.execute(select(func.max(trials.c.number)).where(trials.c.experiment_id == of)).scalar()
        number = (last or 0) + 1
    started = info.started or datetime.now(UTC)
    row = {
        "uid": uid,
        "experiment_id": of,
        "number": number,
        "environment": clean(info.environment or experiment),
        "status": Status.RUNNING.name,
        "infrastructure": False,
        "started": started,
        "error": "",
        "artifacts": info.artifacts,
        "controller": socket.gethostname(),
        "owner": Owner.this().to_text(),
        "versions": json.dumps(dict(info.versions)),
    }
    key = connection.execute(insert(trials).values(row)).inserted_primary_key
    assert key is not None  # noqa: S101 - for mypy
    if info.params:
        connection.execute(insert(params), param_rows(key[0], info.params))
    return key[0], started


def experiment_id(connection: Connection, name: str) -> int:
    """Return the id of an experiment, and make it if there is none."""
    wanted = select(experiments.c.id).where(experiments.c.name == short(name))
    found = connection.execute(wanted).scalar()
    if found is not None:
        return int(found)
    try:
        with connection.begin_nested():
            row = {"name": short(name), "created": datetime.now(UTC)}
            key = connection.execute(insert(experiments).values(row)).inserted_primary_key
            assert key is not None  # noqa: S101 - for mypy
            return int(key[0])
    except IntegrityError:  # another process was faster
        return int(connection.execute(wanted).scalar_one())
