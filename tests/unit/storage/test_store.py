"""The store: written data is read back, from any process and in each kind of database."""

from __future__ import annotations

import math
import os
import pickle
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from ansible_env.common import Owner
from ansible_env.errors import ConfigError, StoreError
from ansible_env.results.assertions import check_assertions, parse_assertion
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.results.status import Status
from ansible_env.results.trial import Trial
from ansible_env.storage.database import migrations
from ansible_env.storage.database.connection import parse_url, without_password
from ansible_env.storage.database.records import Sample
from ansible_env.storage.database.schema import REVISION, metadata
from ansible_env.storage.store import Store, default_url
from tests.made_up import BEGIN, add, begin, made_up


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "sub" / "store.sqlite") as found:
        yield found


def trial(metrics=None, *, kind=Kind.OK, hosts=("h1", "h2"), **more):
    results = [
        HostResult(host, kind, "said", 0 if kind is Kind.OK else 3, metrics or {}, started=BEGIN, **more)
        for host in hosts
    ]
    phases = {"setup": phase_result("setup", [HostResult(host, Kind.OK) for host in hosts])}
    phases["run"] = phase_result("run", results)
    phases["teardown"] = phase_result("teardown", [HostResult(host, Kind.OK) for host in hosts])
    return Trial("x", status=phases["run"].status, phases=phases)


@pytest.mark.smoke
def test_what_goes_in_comes_out(store):
    info = {
        "params": {"cache": 7, "mode": "wal"},
        "environment": "e",
        "directory": Path("/a"),
        "versions": {"python": "3"},
    }
    uid = add(store, "x", trial({"score": 3, "note": "fine"}), **info)
    found = store.trial(uid)
    assert (found.experiment, found.environment, found.number, found.status) == ("x", "e", 1, Status.SUCCEEDED)
    assert (found.params, found.metrics) == ({"cache": 7, "mode": "wal"}, {"score": 3, "note": "fine"})
    assert (found.artifacts, found.versions, found.phase) == ("/a", {"python": "3"}, "run")
    assert not found.interrupted
    assert found.started.tzinfo is UTC
    first, second = store.hosts([found])
    assert (first.host, second.host, first.kind, first.metrics) == ("h1", "h2", "ok", {"score": 3, "note": "fine"})
    assert first.started == BEGIN
    assert [host.phase for host in store.hosts([found], every_phase=True)].count("setup") == 2
    assert store.trial(found.id) == found == store.trial(str(found.id))
    assert store.experiments()[0].trials == 1


VALUES = {
    "int": 3, "float": 0.1, "bool": True, "no": False, "null": None, "text": "a\u202eb", "inf": math.inf,
    "-inf": -math.inf, "big": 2**70, "huge": 10**400, "json": [1, "a"], "tiny": 5e-324, "zero": 0,
}  # fmt: skip


def test_values_keep_their_type(store):
    add(store, "x", trial(), params={**VALUES, "nan": math.nan})
    found = dict(store.trials()[0].params)
    assert math.isnan(found.pop("nan"))
    assert found == VALUES
    assert {name: type(value) for name, value in found.items()} == {name: type(v) for name, v in VALUES.items()}


def test_text_that_no_database_takes_does_not_lose_the_trial(store):
    long = "m" * 300
    uid = add(store, "x\0y", trial({"a\0": "\0", "half": "\ud800", long + "1": 1, long + "2": 2}, stderr="\0"))
    found = store.trial(uid)
    assert found.metrics["half"] == "?"
    assert len(found.metrics) == 4
    assert max(map(len, found.metrics)) == 255


def test_of_a_failure_the_last_words_are_kept(store):
    add(store, "x", trial({"score": 3}, kind=Kind.EXIT, stderr="a" * 5000 + "no disk"))
    (found,) = store.trials()
    assert (found.status, found.infrastructure, found.metrics) == (Status.FAILED, False, {})
    host = store.hosts([found])[0]
    assert host.last_words.endswith("no disk")
    assert len(host.last_words) == 2000
    assert host.metrics == {"score": 3}


def test_infrastructure_failures_are_distinguished_from_failures_of_the_benchmark(store):
    add(store, "x", trial(kind=Kind.UNREACHABLE))
    add(store, "x", Trial("x", status=Status.FAILED, phases={}), error="Ansible is gone")
    add(store, "x", Trial("x", status=Status.CANCELED, phases={}))
    assert [found.infrastructure for found in store.trials()] == [True, True, False]


def test_a_failed_setup_decides_the_trial(store):
    setup = phase_result("setup", [HostResult("h", Kind.EXIT, rc=1)])
    teardown = phase_result("teardown", [HostResult("h", Kind.OK)])
    add(store, "x", Trial("x", status=Status.FAILED, phases={"setup": setup, "teardown": teardown}))
    assert store.trials()[0].phase == "setup"


@pytest.mark.smoke
def test_the_best(store):
    for score in (3, 9, math.nan, 5):
        add(store, "x", trial({"score": score}))
    add(store, "x", trial({"score": 100}, kind=Kind.EXIT))
    add(store, "other", trial({"score": 50}))
    assert [found.metrics["score"] for found in store.trials("x", best="score:max", limit=2)] == [9, 5]
    assert [found.metrics["score"] for found in store.trials("x", best="score:min")] == [3, 5, 9]
    assert [found.metrics["score"] for found in store.trials(best="score:max", limit=1)] == [50]
    for wrong in ("score", "score:up", ":max"):
        with pytest.raises(ConfigError, match="METRIC:max"):
            store.trials("x", best=wrong)


def test_filters(store):
    for number, cache in enumerate((1, 2, 2)):
        info = {"params": {"cache": cache, "on": cache == 1, "m": "a"}, "started": BEGIN + timedelta(days=number)}
        add(store, "x", trial({"score": 1}, kind=Kind.EXIT if number == 2 else Kind.OK), **info)
    assert len(store.trials("x", params={"cache": 2})) == 2
    assert len(store.trials("x", params={"cache": "2", "m": "a", "on": "false"})) == 2
    assert len(store.trials("x", params={"cache": 2}, status=[Status.FAILED])) == 1
    assert len(store.trials("x", since=BEGIN + timedelta(days=1))) == 2
    assert [found.number for found in store.trials("x", newest=True, limit=2)] == [3, 2]
    assert store.trials("y") == []


def test_rows_have_all_columns(store):
    add(store, "x", trial({"score": 1, "trial": 5}), params={"id": 3})
    add(store, "x", trial({"other": 2}, hosts=("h9",)))
    first, second = store.rows("x")
    assert first["param.id"] == 3
    assert first["id"] != 3
    assert (first["metric.score"], first["metric.trial"], first["trial"], second["metric.score"]) == (1, 5, 1, None)
    assert list(first) == list(second)
    assert [row["host"] for row in store.rows("x", level="host")] == ["h1", "h2", "h9"]


def test_a_frame(store):
    pandas = pytest.importorskip("pandas")
    add(store, "x", trial({"score": 1}))
    frame = store.to_frame("x", level="host")
    assert isinstance(frame, pandas.DataFrame)
    assert frame.groupby("host")["metric.score"].mean().to_dict() == {"h1": 1, "h2": 1}


def test_without_pandas_it_says_what_to_install(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"pip install 'pandas>=2.2'"):
        store.to_frame()


def test_telemetry(store):
    uid = begin(store, "x")
    store.add_telemetry(uid, [Sample(BEGIN, "h1", "load", 0.5)])
    add(store, "x", trial(), uid=uid, telemetry=[Sample(BEGIN, "h1", "mode", "fast")])
    assert [(s.time, s.name, s.value) for s in store.telemetry(store.trial(uid))] == [(BEGIN, "mode", "fast")]
    store.add_telemetry(uid, [Sample(BEGIN, "h1", "load", 0.5)])
    for _ in range(2):
        add(store, "x", trial(hosts=("h1",), telemetry=((BEGIN, "cpu", 7),)), uid=uid)
    assert [(s.time, s.host, s.name, s.value) for s in store.telemetry(store.trial(uid))] == [(BEGIN, "h1", "cpu", 7)]
    with pytest.raises(ConfigError, match="no trial nobody"):
        store.add_telemetry("nobody", [])


def test_fingerprints(store):
    uid = add(store, "x", trial(), fingerprints={"h1": {"kernel": "6.1", "cpus": 4}})
    found = store.trial(uid)
    assert store.fingerprints([found]) == {found.id: {"h1": {"kernel": "6.1", "cpus": 4}}}


def test_a_trial_that_is_written_twice_is_there_once(store):
    uid = begin(store, "x", params={"a": 1})
    for score in (1, 2):
        add(store, "x", trial({"score": score}), uid=uid, params={"a": 1})
    (found,) = store.trials()
    assert found.metrics == {"score": 2}


# Who runs it


def test_a_trial_that_is_running(store):
    uid = begin(store, "x", params={"a": 1})
    found = store.trial(uid)
    assert (found.status, found.state, found.finished, found.params) == (Status.RUNNING, "RUNNING", None, {"a": 1})
    add(store, "x", trial(), uid=uid)
    assert store.trial(uid).state == "SUCCEEDED"


def test_a_trial_whose_controller_is_gone_is_marked(store, monkeypatch):
    dead = Owner(2**22 + 1, "of long ago")
    with monkeypatch.context() as patch:
        patch.setattr(Owner, "this", classmethod(lambda cls: dead))
        uid = begin(store, "x")
    assert (store.trial(uid).interrupted, store.trial(uid).state) == (True, "INTERRUPTED")


def test_a_trial_of_another_machine_is_not_taken_for_gone(store, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "far")
    monkeypatch.setattr(Owner, "this", classmethod(lambda cls: Owner(2**22 + 1, "of long ago")))
    uid = begin(store, "x")
    monkeypatch.undo()
    assert not store.trial(uid).interrupted


WRITER = """
import sys
from ansible_env.storage.store import Store
from tests.made_up import fill
fill(Store(sys.argv[1]), "shared", 20, 2, 2)
"""


@pytest.mark.slow
def test_several_processes_and_threads_write_at_once(tmp_path):
    path = tmp_path / "store.sqlite"
    call = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen(call, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}) for _ in range(3)]
    store = Store(path)
    failures = []

    def write():
        try:
            for number in range(10):
                made = made_up(number, 2, 2)
                add(store, "shared", made)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert failures == []
    assert len(store.trials("shared")) == 100
    assert len(store.experiments()) == 1


def test_a_store_goes_to_another_process_by_its_url(store):
    uid = begin(store, "x")
    assert pickle.loads(pickle.dumps(store)).trial(uid).uid == uid


# The file


def test_only_the_owner_can_read_it(store):
    begin(store, "x")
    path = Path(store.name)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("ANSIBLE_ENV_ARTIFACTS", str(tmp_path))
    monkeypatch.delenv("ANSIBLE_ENV_STORE", raising=False)
    assert default_url() == str(tmp_path / "store.sqlite")
    monkeypatch.setenv("ANSIBLE_ENV_STORE", "sqlite:////x")
    assert default_url() == "sqlite:////x"


@pytest.mark.parametrize("url", ["no://such", "://", "sqlite+nothing://"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ConfigError):
        Store(url)


def test_a_driver_that_is_missing_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"pip install 'psycopg\[binary\]>=3.2'"):
        Store("postgresql://nobody@localhost/x")


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "x").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="x: file is not a database"):
        Store(tmp_path / "x")
    with pytest.raises(StoreError, match="x/y: "):
        Store(tmp_path / "x" / "y")


def test_no_password_is_shown_or_written_down():
    url = "postgresql://me:secret@db/x"
    assert without_password(url) is None
    assert without_password("postgresql://me@db/x") == "postgresql+psycopg://me@db/x"
    assert "secret" not in str(parse_url(url))


def test_a_store_of_a_later_version_is_left_alone(store):
    connection = sqlite3.connect(store.name)
    connection.execute("UPDATE ansible_env_version SET version_num = '9999'")
    connection.commit()
    with pytest.raises(StoreError, match="later version"):
        Store(store.name)


# The schema


def test_the_migrations_lead_to_the_tables(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/x.sqlite")
    with engine.begin() as connection:
        assert migrations.upgrade(connection)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "version_table": "ansible_env_version"}
        )
        assert compare_metadata(context, metadata) == []


def test_the_newest_migration_is_the_one_that_is_named():
    script = ScriptDirectory.from_config(migrations.configuration())
    assert script.get_current_head() == REVISION


def test_a_store_of_an_earlier_version_is_brought_up_to_date(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/x.sqlite")
    with engine.begin() as connection:
        config = migrations.configuration()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql("INSERT INTO experiments VALUES (7, 'old', '2026-01-01 00:00:00')")
        assert "assertions" not in inspect(connection).get_table_names()
    with Store(tmp_path / "x.sqlite") as store:
        uid = add(store, "old", trial({"score": 1}))
        store.add_assertions(uid, check_assertions([parse_assertion("score", ">= 2")], {"score": 1}))
        (found,) = store.assertions(store.trials("old"))
        assert [experiment.name for experiment in store.experiments()] == ["old"]
    assert (found.metric, found.comparison, found.passed, found.threshold) == ("score", ">= 2", False, 2)


def test_one_that_alembic_made_is_opened(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/x.sqlite")
    with engine.begin() as connection:
        migrations.upgrade(connection)
    with Store(tmp_path / "x.sqlite") as store:
        add(store, "x", trial({"score": 1}))
        assert store.trials()[0].started <= datetime.now(UTC)
