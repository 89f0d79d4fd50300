"""Engines that all cases share, and the two places where each can be run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_env import Engine, SessionEngine
from ansible_env.engine.registry import make_engine
from tests.faults.bench import Bench
from tests.hosts import Hosts
from tests.prepared import prepared, ready

MakeEngine = Callable[[str], Engine]


@pytest.fixture(scope="session")
def shared_engine() -> Iterator[MakeEngine]:
    """One engine of each kind for the session, made when first asked for."""
    engines: dict[str, Engine] = {}

    def get(kind: str) -> Engine:
        if kind not in engines:
            engines[kind] = make_engine(kind)
        return engines[kind]

    yield get
    for engine in engines.values():
        engine.close()


@pytest.fixture
def engine(request: pytest.FixtureRequest, shared_engine: MakeEngine, tmp_path: Path) -> Engine:
    """The default engine, or the one that a test is parametrised with.

    ANSIBLE_ENV_TEST_ENGINE is another default. A session engine has a process ready, so that the test meets that.
    """
    engine = shared_engine(getattr(request, "param", os.environ.get("ANSIBLE_ENV_TEST_ENGINE", "warm")))
    if isinstance(engine, SessionEngine):
        if not prepared(engine):
            Bench(engine, None, tmp_path).phase("true").raise_for_status()
        ready(engine)
    return engine


@pytest.fixture
def remote(engine: Engine, ssh_hosts: Hosts, tmp_path: Path) -> Bench:
    """Over ssh."""
    return Bench(engine, ssh_hosts, tmp_path)


@pytest.fixture
def local(engine: Engine, tmp_path: Path) -> Bench:
    """On this machine."""
    return Bench(engine, None, tmp_path)


@pytest.fixture(params=["ssh", "local"])
def anywhere(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> Bench:
    """Over ssh, and then on this machine."""
    return Bench(engine, request.getfixturevalue("ssh_hosts") if request.param == "ssh" else None, tmp_path)
