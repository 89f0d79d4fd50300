"""The store on a PostgreSQL server of our own, on a loopback port, with its data in a directory for a while."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from sqlalchemy import create_engine, text

from ansible_env.errors import StoreError
from ansible_env.results.assertions import check_assertions, parse_assertion
from ansible_env.storage.database.records import Sample
from ansible_env.storage.store import Store
from tests.made_up import BEGIN, add, made_up
from tests.postgresql import server_for_a_while
from tests.unit.storage.test_store import VALUES, WRITER, trial


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("psycopg")
    try:
        with server_for_a_while() as url:
            yield url
    except FileNotFoundError as error:
        pytest.skip(str(error))


def admin(url):
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")


@pytest.fixture
def url(server, request):
    """A database of its own for each test."""
    name = f"t{abs(hash(request.node.name)) % 10**9}"
    engine = create_engine(
        f"{server.replace('postgresql:', 'postgresql+psycopg:')}/postgres", isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server}/{name}"


def test_what_goes_in_comes_out(url):
    with Store(url) as store:
        info = {"params": {**VALUES, "nul": "a\0b"}, "started": BEGIN}
        uid = add(store, "x\0y", trial({"score": 3.5, "m" * 300: "\ud800"}, stderr="\0"), **info)
        store.add_telemetry(uid, [Sample(BEGIN, "h1", "load", 0.5)])
        store.add_assertions(uid, check_assertions([parse_assertion("score", ">= 2")], {"score": 3.5}))
    with Store(url) as store:
        found = store.trial(uid)
        assert {**found.params, "nul": "a\0b"} == {**VALUES, "nul": "a\0b"}
        assert (found.started, found.metrics["score"]) == (BEGIN, 3.5)
        assert [sample.value for sample in store.telemetry(found)] == [0.5]
        assert store.assertions([found])[0].passed
        assert store.hosts([found])[0].started == BEGIN
        assert store.trials(best="score:max", params={"text": VALUES["text"]}, limit=1)[0].uid == uid
        assert store.experiments()[0].succeeded == 1


def test_several_processes_make_and_fill_it_at_once(url):
    call = [sys.executable, "-c", WRITER, url]
    writers = [subprocess.Popen(call, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}) for _ in range(3)]
    assert [writer.wait(100) for writer in writers] == [0, 0, 0]
    with Store(url) as store:
        assert len(store.trials("shared")) == 60
        assert len(store.experiments()) == 1


def test_a_connection_that_was_lost_is_made_again(url):
    with Store(url) as store:
        made = made_up(1, 2, 2)
        add(store, "x", made)
        engine = admin(url)
        with engine.connect() as connection:
            ours = "datname = current_database() AND pid <> pg_backend_pid()"
            connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}"))
        engine.dispose()
        add(store, "x", made)
        assert len(store.trials("x")) == 2


def test_a_server_that_is_not_there_is_one_clear_error(url):
    with pytest.raises(StoreError, match="no_such_database"):
        Store(f"{url.rpartition('/')[0]}/no_such_database")
