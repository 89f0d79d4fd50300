"""The store: a database of all trials, for queries, comparisons and plots.

    store = Store()                                   # the one that `ansible-env` writes to
    for trial in store.trials("sqlite", best="score:max", limit=5):
        print(trial.id, trial.params, trial.metrics["score"])
    frame = store.to_frame("sqlite")                  # for pandas

By default it is an SQLite file in WAL mode: several processes and threads may write at once. A URL selects any other
database that SQLAlchemy supports.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, delete, insert, select, update

from ansible_env.errors import ConfigError, Problem
from ansible_env.results.assertions import AssertionResult
from ansible_env.results.status import Status
from ansible_env.results.trial import Trial
from ansible_env.storage.bundle.directories import STORE_FILE, root
from ansible_env.storage.database import read, schema, write
from ansible_env.storage.database.connection import Database, parse_url, shown
from ansible_env.storage.database.frame import Level, flat_rows, optional
from ansible_env.storage.database.read import Query
from ansible_env.storage.database.records import Sample, StoredAssertion, StoredExperiment, StoredHost, StoredTrial
from ansible_env.storage.database.schema import trials
from ansible_env.storage.database.values import clean

URL_VARIABLE = "ANSIBLE_ENV_STORE"


def default_url() -> str:
    """Return the default store: $ANSIBLE_ENV_STORE, or a file beside the bundles."""
    return os.environ.get(URL_VARIABLE) or str(root() / STORE_FILE)


class Store:
    """A database of trials. Threads can share it; other processes open it for themselves.

    Each method raises StoreError if the database cannot be read or written.
    """

    def __init__(self, url: str | Path | None = None) -> None:
        """Open a store, create it if it does not exist, and migrate its schema.

        Args:
            url: an SQLite file, or a URL of SQLAlchemy such as `postgresql://user@host/database`.

        Raises:
            ConfigError: it is not a URL, or its driver is not installed.
            StoreError: it cannot be opened, or a later version wrote it.
        """
        self._database = Database(parse_url(url or default_url()))

    def __repr__(self) -> str:
        return f"<Store {shown(self._database.url)!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self._database.url.render_as_string(hide_password=False),)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The location: a path, or a URL without its password."""
        return shown(self._database.url)

    def close(self) -> None:
        """Close the connections. The store opens new ones when it is used again."""
        self._database.close()

    # Writing

    def begin_trial(self, trial: Trial) -> str:
        """Write that a trial has begun, and return its uid. Its status is RUNNING until `add_trial`."""
        with self._database.writing() as connection:
            write.trial_row(connection, trial)
        return trial.uid

    def add_trial(self, trial: Trial, *, telemetry: Iterable[Sample] = ()) -> str:
        """Write a finished trial, whole or not at all, and return its uid.

        A trial replaces the one with the same uid, begun or finished. So it may be written again after an error, from
        any process. `telemetry` is stored beside the samples in the results of the hosts.
        """
        finished = trial.finished or datetime.now(UTC)
        with self._database.writing() as connection:
            trial_id = write.trial_row(connection, trial)
            values = {
                "status": trial.status.name,
                "infrastructure": trial.is_infrastructure_failure,
                "phase": trial.deciding.phase if trial.deciding else None,
                "finished": finished,
                "elapsed": trial.elapsed,
                "error": clean(trial.error),
                "owner": None,
            }
            connection.execute(update(trials).where(trials.c.id == trial_id).values(values))
            for table, rows in write.part_rows(trial_id, trial, [*telemetry, *write.samples_of(trial)]).items():
                if rows or table is not schema.telemetry:
                    connection.execute(delete(table).where(table.c.trial_id == trial_id))
                if rows:
                    connection.execute(insert(table), rows)
            if trial.assertions:
                _replace_assertions(connection, trial_id, trial.assertions)
        return trial.uid

    def add_telemetry(self, uid: str, samples: Iterable[Sample]) -> None:
        """Write telemetry of a trial, which may still be running.

        Raises:
            ConfigError: there is no such trial.
        """
        with self._database.writing() as connection:
            trial_id = self._id_of(connection, uid)
            if rows := write.telemetry_rows(trial_id, samples):
                connection.execute(insert(schema.telemetry), rows)

    def add_assertions(self, uid: str, results: Sequence[AssertionResult]) -> None:
        """Write the results of assertions about a trial, in place of earlier ones.

        Raises:
            ConfigError: there is no such trial.
        """
        with self._database.writing() as connection:
            _replace_assertions(connection, self._id_of(connection, uid), results)

    def delete(self, selected: Iterable[StoredTrial]) -> None:
        """Delete trials with everything that belongs to them: all of them or none. Their bundles remain."""
        ids = [trial.id for trial in selected]
        with self._database.writing() as connection:
            for part in read.chunks(ids):
                connection.execute(delete(trials).where(trials.c.id.in_(part)))

    def _id_of(self, connection: Connection, uid: str) -> int:
        trial_id = connection.execute(select(trials.c.id).where(trials.c.uid == uid)).scalar()
        if trial_id is None:
            raise ConfigError(f"the store {self.name} has no trial {uid}")
        return int(trial_id)

    # Reading

    def experiments(self) -> list[StoredExperiment]:
        """Return all experiments, the most recent one first."""
        with self._database.reading() as connection:
            return read.select_experiments(connection)

    def trials(
        self,
        experiment: str | None = None,
        *,
        status: Iterable[Status] = (),
        params: Mapping[str, Any] | None = None,
        since: datetime | None = None,
        best: str | None = None,
        newest: bool = False,
        limit: int | None = None,
    ) -> list[StoredTrial]:
        """Return trials, the oldest first.

        Args:
            experiment: only those of this experiment.
            status: only those with one of these statuses.
            params: only those with these values of parameters.
            since: only those that began at this time or later.
            best: `metric:max` or `metric:min`: only those that succeeded and have this metric, the best first.
            newest: the newest first.
            limit: the largest number of trials.

        Raises:
            ConfigError: `best` has another form.
        """
        metric, order = read.parse_best(best) if best else (None, "new" if newest else "old")
        wanted = frozenset(status) or (frozenset([Status.SUCCEEDED]) if best else frozenset())
        query = Query(experiment, wanted, params or {}, since, metric=metric, order=order, limit=limit)  # type: ignore[arg-type]
        with self._database.reading() as connection:
            return read.select_trials(connection, query)

    def trial(self, reference: int | str) -> StoredTrial:
        """Return one trial by its id or its uid.

        Raises:
            ConfigError: there is none.
        """
        is_id = isinstance(reference, int) or reference.isdecimal()
        query = Query(ids=[int(reference)]) if is_id else Query(uid=str(reference))
        with self._database.reading() as connection:
            matches = read.select_trials(connection, query)
        if not matches:
            raise ConfigError(Problem(f"the store {self.name} has no such trial", str(reference)))
        return matches[0]

    def hosts(self, selected: Iterable[StoredTrial], *, every_phase: bool = False) -> list[StoredHost]:
        """Return the results of hosts, from the deciding phase of each trial or from every phase."""
        with self._database.reading() as connection:
            return list(read.select_hosts(connection, [trial.id for trial in selected], every_phase=every_phase))

    def telemetry(self, trial: StoredTrial) -> list[Sample]:
        """Return the telemetry of a trial, ordered by time."""
        with self._database.reading() as connection:
            return read.select_telemetry(connection, trial.id)

    def assertions(self, selected: Iterable[StoredTrial]) -> list[StoredAssertion]:
        """Return the results of the assertions of trials."""
        with self._database.reading() as connection:
            return read.select_assertions(connection, [trial.id for trial in selected])

    def fingerprints(self, selected: Iterable[StoredTrial]) -> dict[int, dict[str, Any]]:
        """Return the fingerprints of the hosts, by the trial's id and by host."""
        with self._database.reading() as connection:
            return read.select_fingerprints(connection, [trial.id for trial in selected])

    def rows(self, experiment: str | None = None, *, level: Level = "trial", **query: Any) -> list[dict[str, Any]]:
        """Return a flat row for each trial, or for each host of each trial. `query` has the arguments of `trials`.

        The columns of parameters are `param.NAME`, those of metrics `metric.NAME`.
        """
        selected = self.trials(experiment, **query)
        return flat_rows(selected, self.hosts(selected) if level == "host" else None)

    def to_frame(self, experiment: str | None = None, *, level: Level = "trial", **query: Any) -> Any:
        """Return the rows as a pandas DataFrame.

        Raises:
            ConfigError: pandas is not installed.
        """
        return optional("pandas", "pandas").DataFrame(self.rows(experiment, level=level, **query))


def _replace_assertions(connection: Connection, trial_id: int, results: Sequence[AssertionResult]) -> None:
    connection.execute(delete(schema.assertions).where(schema.assertions.c.trial_id == trial_id))
    if rows := write.assertion_rows(trial_id, results):
        connection.execute(insert(schema.assertions), rows)
