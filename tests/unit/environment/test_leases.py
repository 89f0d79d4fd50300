"""When leases are taken and given back; with an engine that runs nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from ansible_env.environment.leases import SWITCH
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.results.outcomes import Kind
from ansible_env.storage.journal import Journal
from ansible_env.testing import FakeEngine

CONFIG = {"name": "bench", "setup": ["prepare"], "run": ["measure"], "teardown": ["clean"], "timeouts": {"run": 30}}
pytestmark = pytest.mark.usefixtures("leases")


@pytest.fixture
def leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH)


class Engine(FakeEngine):
    """Its hosts keep a lease in all phases but the last."""

    def __init__(self, *hosts: str, **results: Mapping[str, Any]) -> None:
        super().__init__(hosts or ("h",), self.reply)
        self.results = results

    def reply(self, phase: str, host: str, task: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"leased": phase != "teardown", **self.results.get(phase, {})}

    @property
    def phases(self) -> list[str]:
        return [yaml.safe_load(job.playbook)[0]["name"].split()[0].lower() for job in self.jobs]

    @property
    def taken(self) -> list[dict[str, Any]]:
        return [json.loads(job.lease) for job in self.jobs if job.lease]


def env(engine: FakeEngine, **more: Any) -> RemoteEnv:
    given = {name: more.pop(name) for name in ("journal",) if name in more}
    return RemoteEnv(config=CONFIG | more, engine=engine, **given)


def test_the_last_phase_gives_it_back():
    engine = Engine()
    with env(engine) as bench:
        bench.setup({}, {"trial_id": 7})
        bench.run()
        bench.teardown()
    assert engine.phases == ["setup", "run", "teardown"]
    assert [lease["release"] for lease in engine.taken] == [False, False, True]
    assert len({lease["token"] for lease in engine.taken}) == 1
    assert engine.taken[1]["seconds"] == 30 + 5 + 15 + 60
    assert engine.taken[1]["owner"].endswith("/bench/7")


def test_what_is_held_at_the_end_is_given_back():
    engine = Engine("a", "b", "c")
    with env(engine) as bench:
        bench.setup()
        assert engine.phases == ["setup"]
    assert engine.phases == ["setup", "release"]
    assert engine.jobs[-1].hosts == ("a", "b", "c")
    assert engine.taken[0]["token"] in engine.jobs[-1].playbook


def test_several_scripts_in_the_last_phase():
    engine = Engine(teardown={"leased": True})
    with env(engine, teardown=["a", {"ansible.builtin.ping": {}}, "b"]) as bench:
        bench.setup()
        bench.run()
        bench.teardown()
    assert [lease["release"] for lease in engine.taken] == [False, False, False]
    assert engine.phases[-1] == "release"


def test_a_host_whose_script_may_run_keeps_it():
    lost = {"kind": Kind.UNREACHABLE, "run_id": "1", "may_run": True, "leased": True}
    engine = Engine(run=lost, end={"kind": Kind.UNREACHABLE})
    with env(engine) as bench:
        bench.setup()
        bench.run()
    assert engine.phases == ["setup", "run"]
    engine.results["end"] = {"kind": Kind.OK}
    with env(engine) as other:
        other.setup()
        other.teardown()
    assert engine.phases[2:] == ["end", "setup", "teardown"]
    assert engine.taken[-1]["former"] == [engine.taken[0]["token"]]


def test_another_controller_continues_with_it(tmp_path):
    first, second = Engine(), Engine()
    with env(first, journal=Journal(tmp_path)) as bench:
        bench.setup()
    with env(second, journal=Journal.open(tmp_path)) as bench:
        bench.attach()
        bench.teardown()
    assert second.taken[-1]["token"] == first.taken[0]["token"]


def test_shared_hosts(monkeypatch):
    for more, switch in (({"exclusive": False}, None), ({}, "false")):
        if switch is not None:
            monkeypatch.setenv(SWITCH, switch)
        engine = Engine(setup={"leased": None})
        with env(engine, **more) as bench:
            bench.setup()
        assert engine.taken == []


def test_other_environments_have_others():
    engine = Engine()
    with env(engine) as first, env(engine) as second, first.on(["h"]) as third:
        for each in (first, second, third):
            each.setup()
    assert len({lease["token"] for lease in engine.taken}) == 3
