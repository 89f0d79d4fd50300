"""The engine without Ansible: it agrees with a real one in everything that matters."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.shell_env import ShellEnv
from ansible_env.engine.inventory import Inventory
from ansible_env.engine.protocol import Cancellation, Job, Options
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import InventoryError
from ansible_env.playbook.plays import render
from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.outcomes import OUTCOMES, Kind
from ansible_env.results.status import Status
from ansible_env.supervisor.report import nothing_to_run
from ansible_env.testing import FakeEngine, phase_event, stats_event, task_event, unreachable_event
from tests.folding import fold

TASK = {"ansible.builtin.command": "true"}


def job(**fields: Any) -> Job:
    config = EnvironmentConfig.from_mapping({"name": "x", "run": ["a"]} | fields)
    return Job(render(config, "run", {}, ShellEnv({}, {})).to_yaml(), Inventory(("h,",)))


@pytest.mark.parametrize("kind", Kind)
def test_phase_event(kind):
    event = phase_event("h", kind=kind, rc=0 if kind is Kind.OK else 1)
    result = fold("run", [event], ["h"])
    assert result.hosts["h"].kind is kind
    assert event["event_data"]["res"]["status"] == OUTCOMES[kind].status.name
    assert event["event"] == {
        Kind.OK: "runner_on_ok", Kind.UNREACHABLE: "runner_on_unreachable", Kind.AUTH: "runner_on_unreachable"
    }.get(kind, "runner_on_failed")  # fmt: skip


def test_phase_event_looks_like_one():
    assert set(nothing_to_run()) - {"changed", "failed", "unreachable"} <= set(phase_event("h")["event_data"]["res"])
    assert phase_event("h", kind="exit")["event_data"]["res"]["kind"] == "exit"
    with pytest.raises(ValueError, match="nope"):
        phase_event("h", kind="nope")


def test_every_event_is_a_task_of_its_own():
    events = [phase_event("h"), task_event("h"), unreachable_event("h"), phase_event("h")]
    assert len({event["event_data"]["task_uuid"] for event in events}) == 4
    assert stats_event()["event"] == "playbook_on_stats"


def test_hosts():
    assert list(FakeEngine().hosts(Inventory(), "all", None, Options())) == ["localhost"]
    with pytest.raises(InventoryError, match="no host matches 'web'"):
        FakeEngine(()).hosts(Inventory(), "web", None, Options())


def test_the_function_is_asked_for_each_host_and_script():
    asked: list[tuple[str, str, str]] = []

    def answer(phase, host, task):
        asked.append((phase, host, task["script"]))
        return {}

    engine = FakeEngine("ab", answer)
    run = engine.run(job(run=["one", TASK, "two", TASK]))
    assert asked == [("run", host, script) for script in ("one\n", "two\n") for host in "ab"]
    assert run.rc == 0
    assert fold("run", run.events, "ab", scripts=3).status is Status.SUCCEEDED
    assert len(engine.jobs) == 1


def test_a_host_that_failed_is_out_of_the_play():
    asked: list[tuple[str, str]] = []

    def answer(phase, host, task):
        asked.append((host, task["script"]))
        return {"rc": 3} if host == "a" else {}

    run = FakeEngine("ab", answer).run(job(run=["one", TASK, "two"]))
    assert asked == [("a", "one\n"), ("b", "one\n"), ("b", "two\n")]
    assert run.rc == 2
    hosts = fold("run", run.events, "ab", scripts=2).hosts
    assert (hosts["a"].kind, hosts["a"].rc, hosts["b"].kind) == (Kind.EXIT, 3, Kind.OK)


def test_a_cancel_before_and_in_the_middle():
    cancel = Cancellation()
    engine = FakeEngine("abc", lambda phase, host, task: cancel.cancel() or {} if host == "b" else {})
    run = engine.run(job(), cancel=cancel)
    assert (run.stopped, run.rc) == ("canceled", None)
    result = fold("run", run.events, "abc", stopped=run.stopped)
    assert [host.kind for host in result.hosts.values()] == [Kind.OK, Kind.CANCELED, Kind.CANCELED]
    assert engine.run(job(), cancel=cancel).events == ()


def test_a_listener_gets_events_and_output():
    class Heard:
        def __init__(self):
            self.all = []

        def on_event(self, event):
            self.all.append(event["event"])

        def on_output(self, host, stream, text):
            self.all.append((host, stream, text))

    heard = Heard()
    FakeEngine(["h"], lambda *_: {"stdout": "x=1\n"}).run(job(), listener=heard)
    assert heard.all == ["runner_on_ok", ("h", "stdout", "x=1\n")]


def test_marked_and_encrypted_text_is_read(tmp_path):
    file = tmp_path / "env.yml"
    file.write_text("name: x\nrun:\n  - echo '{{ x }}'\n  - command: y\n    vars: {v: !vault '$ANSIBLE_VAULT;1.1'}\n")
    seen: list[Any] = []
    engine = FakeEngine(["h"], lambda phase, host, task: seen.append(task) or {})
    with RemoteEnv.from_file(file, engine=engine) as env:
        assert env.run_phase("run").status is Status.SUCCEEDED
    assert seen[0]["script"] == "echo '{{ x }}'\n"


def test_the_example_of_its_documentation():
    engine = FakeEngine(["db1", "db2"], lambda phase, host, task: {"metrics": {"score": 42}})
    with RemoteEnv(config={"name": "x", "run": ["y"]}, engine=engine) as env:
        env.setup()
        assert env.run()[2] == {"score": 42.0}
    engine.close()
    assert engine.closed
    assert PHASE_TASK in engine.jobs[0].playbook


def test_the_fake_engine_selects_hosts_as_ansible_does():
    engine = FakeEngine(["db1", "db2", "web1"], groups={"db": ["db1", "db2"]})

    def hosts(pattern, limit=None):
        return tuple(engine.hosts(Inventory.of(), pattern, limit, Options()))

    assert hosts("all") == hosts("*") == ("db1", "db2", "web1")
    assert hosts("db") == hosts("db*") == hosts("all:!web1") == ("db1", "db2")
    assert hosts("db:&*1") == hosts("db", "db1,web1") == hosts("db1") == ("db1",)
    for pattern in ("none", "db:!db*"):
        with pytest.raises(InventoryError, match="no host matches"):
            hosts(pattern)


def test_the_fake_engine_runs_steps_roles_and_playbooks(tmp_path):
    """Each step on its own hosts; metrics are read from what the function prints."""
    (tmp_path / "site.yml").write_text("- hosts: all\n")
    config = {
        "name": "x",
        "setup": [{"role": "server"}, {"import_playbook": str(tmp_path / "site.yml")}],
        "run": [{"hosts": "db", "script": "serve"}, {"hosts": "load*", "script": "load"}],
        "results_stdout_pattern": r"(\w+)=(\d+)",
        "required_metrics": ["score"],
    }
    printed = {"load1": "score=7\n", "load2": "nothing\n"}
    engine = FakeEngine(
        ["db1", "load1", "load2"],
        lambda phase, host, task: {"stdout": printed.get(host, ""), "elapsed": 2.5},
        groups={"db": ["db1"]},
    )
    with RemoteEnv(config=config, engine=engine) as env:
        assert env.setup()
        result = env.run_phase("run")
    hosts = result.hosts
    assert {name: (host.kind, host.metrics) for name, host in hosts.items()} == {
        "db1": (Kind.OK, {}),
        "load1": (Kind.OK, {"score": 7}),
        "load2": (Kind.METRICS_MISSING, {}),
    }
    assert hosts["load1"].elapsed == 2.5
