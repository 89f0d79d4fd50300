"""When leases are taken and given back; with an engine that runs nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from ansible_env.environment import leases as leases_module
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


class Taken(Engine):
    """Another trial uses some hosts, until they were asked for so many times."""

    def __init__(self, *hosts: str, busy: Mapping[str, int], **results: Mapping[str, Any]) -> None:
        super().__init__(*hosts, **results)
        self.left = dict(busy)

    def reply(self, phase: str, host: str, task: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.left.get(host, 0):
            self.left[host] -= 1
            return {"kind": Kind.BUSY, "msg": "nothing was started: the trial other/me/x/3 uses the host"}
        return super().reply(phase, host, task)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases_module, "FIRST_POLL", 0.001)


@pytest.mark.usefixtures("no_pause")
def test_taken_hosts_are_waited_for_all_at_once(caplog):
    engine = Taken("a", "b", busy={"b": 3})
    with env(engine, wait_for_hosts="1h") as bench:
        assert bench.setup()
        assert bench.run()[0].is_succeeded()
        bench.teardown()
    assert engine.phases == [*["take", "release"] * 3, "take", "setup", "run", "teardown"]
    assert {job.hosts for job in engine.jobs if "Release" in job.playbook} == {("a",)}  # none is kept meanwhile
    assert len({lease["token"] for lease in engine.taken}) == 1
    words = "bench: waiting for up to 3600 s: b: the trial other/me/x/3 uses the host"
    assert caplog.messages.count(words) == 1


@pytest.mark.usefixtures("no_pause")
def test_the_wait_for_hosts_ends():
    engine = Taken("a", busy={"a": 10**6})
    with env(engine, wait_for_hosts=0.02) as bench:
        assert not bench.setup()
        assert bench.results["setup"].hosts["a"].kind is Kind.BUSY
        tries = engine.phases.count("take")
        assert tries > 1
        bench.teardown()
    assert engine.phases.count("take") == tries  # a teardown does not wait


def test_a_cancel_ends_the_wait_for_hosts():
    engine = Taken("a", busy={"a": 10**6})
    with env(engine, wait_for_hosts="1h") as bench:
        threading.Timer(0.2, bench.cancel).start()
        assert not bench.setup()
        assert bench.results["setup"].hosts["a"].kind is Kind.CANCELED


def test_shared_hosts_are_not_waited_for():
    engine = Engine("a")
    with env(engine, exclusive=False, wait_for_hosts="1h") as bench:
        assert bench.setup()
    assert engine.phases[0] == "setup"


def test_a_cancel_while_hosts_are_taken_leaves_nothing():
    def cancels(phase: str, host: str, task: Mapping[str, Any]) -> Mapping[str, Any]:
        bench.cancel()
        return {}

    engine = FakeEngine("a", cancels)
    with env(engine, wait_for_hosts="1h") as bench:
        assert not bench.setup()
    assert "Release" in engine.jobs[-1].playbook
    assert engine.jobs[-1].hosts == ("a",)
