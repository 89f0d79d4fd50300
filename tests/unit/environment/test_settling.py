"""Scripts whose end is not known are ended before a host is used again; with an engine that runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from ansible_env.engine.protocol import EngineRun
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.results.fold.events import PHASE_TASK, open_runs
from ansible_env.results.outcomes import Kind
from ansible_env.results.status import Status
from ansible_env.storage.journal import Journal
from ansible_env.supervisor.script import run_id
from ansible_env.testing import FakeEngine, phase_event, task_event, unreachable_event

CONFIG = {"name": "bench", "setup": ["prepare"], "run": ["measure"], "teardown": ["clean"]}
TWO = ["a", {"ansible.builtin.ping": {}}, "b"]
LOST = {"kind": Kind.UNREACHABLE, "run_id": "abc", "may_run": True}


class Engine(FakeEngine):
    """Loses a host in some phases; `ending` is what comes of ending a script."""

    def __init__(self, *lost: str, hosts: tuple[str, ...] = ("h",), **ending: Any) -> None:
        super().__init__(hosts, self.reply)
        self.lost = list(lost)
        self.ending = ending

    def reply(self, phase: str, host: str, task: Mapping[str, Any]) -> Mapping[str, Any]:
        if phase == "end":
            return self.ending
        return LOST if phase in self.lost and host == "h" else {"run_id": f"{phase}-{host}"}

    @property
    def phases(self) -> list[str]:
        return [yaml.safe_load(job.playbook)[0]["name"].split()[0].lower() for job in self.jobs]


def env(engine: FakeEngine, **more: Any) -> RemoteEnv:
    given = {name: more.pop(name) for name in ("journal",) if name in more}
    return RemoteEnv(config=CONFIG | more, engine=engine, **given)


def ended(engine: FakeEngine) -> list[str]:
    """Return the scripts of which the last job is the end, on the host."""
    playbook = yaml.load(engine.jobs[-1].playbook.replace("!unsafe ", ""), yaml.SafeLoader)
    return [run for play in playbook for run in play["vars"]["ansible_env_runs"]["h"]]


def test_nothing_is_ended_when_all_ends_are_known():
    engine = Engine()
    with env(engine) as bench:
        bench.setup()
        bench.run()
        bench.teardown()
    assert engine.phases == ["setup", "run", "teardown"]
    assert all(job.key for job in engine.jobs)
    assert len({job.key for job in engine.jobs}) == 3


def test_it_is_ended_before_the_next_phase():
    engine = Engine("run")
    with env(engine, become=True, become_user="bench") as bench:
        bench.setup()
        bench.run()
        bench.teardown()
        bench.run_phase("teardown")
    assert engine.phases == ["setup", "run", "end", "teardown", "teardown"]
    (play,) = yaml.load(engine.jobs[2].playbook.replace("!unsafe ", ""), yaml.SafeLoader)
    assert play["vars"] == {"ansible_env_runs": {"h": ["abc"]}}
    assert (play["become"], play["become_user"]) == (True, "bench")
    task = play["tasks"][0][PHASE_TASK]
    assert (task["attach"], task["end"], task["run_id"]) == (
        True,
        "canceled",
        "{{ ansible_env_runs[inventory_hostname][0] }}",
    )


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ({"kind": Kind.UNREACHABLE}, Kind.UNREACHABLE),
        ({"kind": Kind.AUTH}, Kind.AUTH),
        ({"kind": Kind.CANCELED, "run_id": "abc", "may_run": True}, Kind.UNREACHABLE),
        ({"kind": Kind.CANCELED, "run_id": "abc", "may_run": True, "left_running": [7]}, Kind.BUSY),
    ],
)
def test_a_host_that_does_not_confirm_it_is_not_used(ending, kind):
    engine = Engine("run", hosts=("h", "other"), **ending)
    with env(engine) as bench:
        bench.setup()
        bench.run()
        result = bench.run_phase("teardown")
        assert {name: host.kind for name, host in result.hosts.items()} == {"h": kind, "other": Kind.OK}
        assert result.hosts["h"].is_infrastructure_failure
        assert "nothing was started: the script of run" in result.hosts["h"].message
        assert (engine.jobs[-1].hosts, engine.jobs[-1].limit) == (("other",), "other")
        engine.ending = {"kind": Kind.CANCELED, "run_id": "abc"}  # it answers now
        assert bench.run_phase("teardown").status is Status.SUCCEEDED
    assert engine.phases == ["setup", "run", "end", "teardown", "end", "teardown"]


def test_other_environments_on_the_engine_know_it():
    engine = Engine("run")
    with env(engine) as first:
        first.setup()
        first.run()
    with env(engine, name="other") as second:
        second.setup()
        with second.on(["h"]) as third:
            third.setup()
    assert engine.phases == ["setup", "run", "end", "setup", "setup"]


def test_another_inventory_has_other_hosts():
    engine = Engine("run")
    for inventory in ("h,", "h,i"):
        with RemoteEnv(config=CONFIG, engine=engine, inventory=inventory) as bench:
            bench.setup()
            bench.run()
    assert engine.phases == ["setup", "run", "setup", "run"]


def test_a_retry_follows_its_own_script(tmp_path):
    for journal, scripts, ending in (
        (None, ["a"], []),
        (None, TWO, ["end"]),
        (Journal(tmp_path), TWO, []),
    ):
        engine = Engine("run")
        with env(engine, run=scripts, retries=1, retry_on=["unreachable"], journal=journal) as bench:
            bench.setup()
            bench.run()
        assert engine.phases == ["setup", "run", *ending, "run"]


def test_a_run_that_was_given_up():
    class Broken(Engine):
        def run(self, job: Any, **more: Any) -> EngineRun:
            run = super().run(job, **more)
            if self.phases[-1] == "run":
                raise KeyboardInterrupt
            return run

    engine = Broken()
    with env(engine) as bench:
        bench.setup()
        with pytest.raises(KeyboardInterrupt):
            bench.run()
        key = engine.jobs[-1].key
        engine.ending = {"kind": Kind.UNREACHABLE}
        bench.teardown()
    assert engine.phases == ["setup", "run", "end"]
    assert ended(engine) == [run_id(str(key), 1, "h")]


def test_a_worker_that_was_killed():
    class Unfinished(Engine):
        def run(self, job: Any, **more: Any) -> EngineRun:
            run = super().run(job, **more)
            return EngineRun((), 1, "", "dead", ("h",)) if self.phases[-1:] == ["run"] else run

    engine = Unfinished(kind=Kind.UNREACHABLE)
    with env(engine, run=TWO) as bench:
        bench.setup()
        bench.run()
        bench.teardown()
    assert engine.phases == ["setup", "run", "end", "end"]
    key = engine.jobs[1].key
    assert sorted(ended(engine)) == sorted(run_id(str(key), step, "h") for step in (1, 2))


def test_a_worker_that_was_asked_to_end():
    """It reports no result, and that it waits no more: the host did not answer when the phase was canceled."""

    class Canceled(Engine):
        def run(self, job: Any, **more: Any) -> EngineRun:
            run = super().run(job, **more)
            start = task_event("h", "runner_on_start", action=PHASE_TASK)
            return EngineRun((start,), None, "canceled") if self.phases[-1] == "run" else run

    engine = Canceled()
    with env(engine) as bench:
        bench.setup()
        bench.run()
        bench.teardown()
    assert engine.phases == ["setup", "run", "end", "teardown"]


def test_another_controller_reads_it_from_the_journal(tmp_path):
    with env(Engine("run"), journal=Journal(tmp_path)) as bench:
        bench.setup()
        bench.run()
    engine = Engine()
    with env(engine, journal=Journal.open(tmp_path)) as bench:
        assert bench.attach() is None
        bench.teardown()
    assert engine.phases == ["end", "teardown"]


def test_no_host_is_asked_what_it_is_while_a_script_runs():
    engine = Engine("run", hosts=("h", "other"))
    with env(engine) as bench:
        bench.setup()
        bench.run()
        bench.fingerprints()
    assert (engine.phases[-1], engine.jobs[-1].hosts) == ("fingerprint", ("other",))


def test_open_runs():
    start = phase_event("a", run_id="1", background=True)
    lost = phase_event("b", kind=Kind.UNREACHABLE, run_id="2", may_run=True)
    assert open_runs([start, lost]) == ({"a": {"1"}, "b": {"2"}}, set())
    done = phase_event("a", run_id="1")
    assert open_runs([start, done, lost]) == ({"a": set(), "b": {"2"}}, {"1"})
    assert open_runs([unreachable_event("c")]) == ({"c": {""}}, set())
    assert open_runs([]) == ({}, set())
