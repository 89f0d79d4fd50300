"""Steps of a phase: hosts of their own, scripts in the background, what one group finds out for the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.shell_env import ShellEnv
from ansible_env.engine.protocol import EngineRun
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError
from ansible_env.playbook.plays import render
from ansible_env.results.fold.events import PHASE_TASK, left_in_background
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.results.status import Status
from ansible_env.storage.journal import Journal
from ansible_env.testing import FakeEngine, phase_event, stats_event

CONFIG: dict[str, Any] = {
    "name": "b",
    "run": [
        {"hosts": "db", "script": "watch", "background": "until_end"},
        {"hosts": "clients", "script": ["drive", "it"]},
    ],
    "results_stdout_pattern": r"^(\w+)=(\S+)$",
    "required_metrics": ["rps"],
}
GROUPS = {"all": "abc", "db": "a", "clients": "bc"}


class Engine(FakeEngine):
    """Plays on groups; its answers are events for a phase task on a host."""

    def hosts(self, inventory: Any, pattern: str, limit: str | None, options: Any) -> Any:
        return [host for host in GROUPS[pattern] if limit is None or host in limit.split(",")]

    def run(self, job: Any, *, listener: Any = None, cancel: Any = None) -> EngineRun:
        self.jobs.append(job)
        events: list[Any] = []
        failed: set[str] = set()
        for play in plays(job.playbook):
            for task in play["tasks"]:
                for host in [h for h in GROUPS[play["hosts"]] if h in job.hosts and h not in failed]:
                    fields = self.one(play, host, task[PHASE_TASK])
                    events += [phase_event(host, **fields)] if fields else []
                    if fields.get("kind", "ok") != "ok":
                        failed.add(host)
        return EngineRun((*events, stats_event()), 0)

    def one(self, play: Any, host: str, arguments: Any) -> dict[str, Any]:
        run = {"run_id": f"{host}-{arguments.get('step', 1)}"}
        if arguments.get("background"):
            return {**run, "background": True}
        assert self._answer is not None
        return {**run, **self._answer(play["name"].split()[0].lower(), host, arguments)}


def plays(text: str) -> Any:
    return yaml.safe_load(text)


def metrics(phase: str, host: str, task: Any) -> dict[str, Any]:
    if task.get("end"):
        return {"rc": 143, "ended": True} if task["end"] == "over" else {"kind": Kind.CANCELED, "rc": 143}
    return {"metrics": {"rps": 1}} if host in "bc" else {}


def env(answer: Any = metrics, journal: Any = None, **fields: Any) -> RemoteEnv:
    return RemoteEnv(
        config={k: v for k, v in (CONFIG | fields).items() if v is not None},
        engine=Engine("abc", answer),
        journal=journal,
    )


def test_each_step_is_a_play_on_its_hosts_and_the_background_is_ended_last():
    with env() as bench:
        found = plays(bench.render("run"))
    assert [play["hosts"] for play in found] == ["db", "clients", "db"]
    start, drive, end = (play["tasks"][0] for play in found)
    assert start[PHASE_TASK]["background"] is True
    assert drive[PHASE_TASK]["script"] == "drive\nit\n"
    assert end[PHASE_TASK]["run_id"] == f"{{{{ {start['register']}.run_id }}}}"
    assert (end[PHASE_TASK]["attach"], end[PHASE_TASK]["end"]) == (True, "over")


def test_those_that_are_ended_come_after_those_that_are_waited_for():
    steps = [
        {"hosts": "db", "script": "watch", "background": "until_end"},
        {"hosts": "clients", "script": "drive", "background": True},
    ]
    with env(run=steps) as bench:
        found = plays(bench.render("run"))
    assert [(play["hosts"], len(play["tasks"])) for play in found] == [("db", 1), ("clients", 2), ("db", 1)]
    assert [task[PHASE_TASK].get("attach", False) for task in found[1]["tasks"]] == [False, True]
    assert "end" not in found[1]["tasks"][1][PHASE_TASK]


def test_a_task_may_have_hosts_too():
    with env(run=[{"hosts": "db", "ansible.builtin.ping": {}}, {"hosts": "clients", "script": "drive"}]) as bench:
        found = plays(bench.render("run"))
    assert found[0]["tasks"] == [{"ansible.builtin.ping": {}}]
    assert [play["hosts"] for play in found] == ["db", "clients"]


def test_required_metrics_are_owed_by_the_last_script_that_is_waited_for():
    with env() as bench:
        bench.setup()
        status, _, found = bench.run()
        assert (status, found) == (Status.SUCCEEDED, {"rps": 1.0})
        assert set(bench.results["run"].hosts) == set("abc")
    with env(lambda phase, host, task: metrics(phase, host, task) | ({"metrics": {}} if host == "b" else {})) as bench:
        bench.setup()
        assert bench.run()[0] is Status.FAILED
        assert bench.results["run"].hosts["b"].kind is Kind.METRICS_MISSING


def test_hosts_without_a_step_are_not_asked():
    with env(run=[{"hosts": "clients", "script": "drive"}]) as bench:
        bench.setup()
        assert bench.run()[0] is Status.SUCCEEDED
        assert set(bench.results["run"].hosts) == {"b", "c"}


def test_a_host_has_to_get_through_all_of_its_steps():
    with env(run=["all", {"hosts": "clients", "script": "drive"}]) as bench:
        bench.setup()
        assert bench.run()[0] is Status.SUCCEEDED
        engine: Any = bench._target.engine
        engine.one = lambda play, host, task: {"rc": 0, "metrics": {"rps": 1}} if play["hosts"] == "all" else {}
        assert bench.run()[0] is Status.FAILED
        kinds = {name: host.kind for name, host in bench.results["run"].hosts.items()}
        assert kinds == {"a": Kind.OK, "b": Kind.NOT_RUN, "c": Kind.NOT_RUN}


def test_what_runs_in_the_background_is_ended_when_a_phase_breaks_off():
    def answer(phase: str, host: str, task: Any) -> dict[str, Any]:
        return {"kind": Kind.EXIT, "rc": 1} if host in "bc" else metrics(phase, host, task)

    steps = [{"hosts": "db", "script": "watch", "background": True}, {"hosts": "clients", "script": "drive"}]
    with env(answer, run=steps) as bench:
        bench.setup()
        engine: Any = bench._target.engine
        engine.run_all = engine.run
        # Ansible ends a playbook when all hosts of a play have failed: the last play is not reached.
        engine.run = lambda job, **more: (
            cut(engine.run_all(job, **more)) if len(engine.jobs) == 0 else engine.run_all(job)
        )
        status, _, _ = bench.run()
        assert status is Status.FAILED
        assert [job.hosts for job in engine.jobs] == [("a", "b", "c"), ("a",)]
        last = plays(engine.jobs[1].playbook)[0]["tasks"][0][PHASE_TASK]
        assert (last["end"], last["attach"], "run_id" in last) == ("canceled", True, False)
        assert engine.jobs[0].key == engine.jobs[1].key is not None
        assert bench.results["run"].hosts["a"].kind is Kind.CANCELED


def cut(run: EngineRun) -> EngineRun:
    """Leave out what came of scripts that were followed to a good end."""
    results = [(event, event["event_data"].get("res") or {}) for event in run.events]
    return EngineRun(tuple(event for event, res in results if res.get("rc") != 0 or res.get("background")), 2)


def test_background_scripts_whose_end_is_unknown():
    start = phase_event("a", run_id="1", background=True)
    assert left_in_background([start]) == ("a",)
    assert left_in_background([start, phase_event("a", run_id="1")]) == ()
    assert left_in_background([start, phase_event("a", run_id="2")]) == ("a",)
    assert left_in_background([]) == ()


def test_an_attached_phase_follows_what_is_in_the_background_and_starts_nothing(tmp_path):
    with env(journal=Journal(tmp_path)) as bench:
        bench.setup()
        bench.journal.begin_phase("run")  # type: ignore[union-attr]
    with env(journal=Journal.open(tmp_path)) as again:
        result = again.attach()
        assert result is not None
        assert result.status is Status.SUCCEEDED
        tasks = [play["tasks"][0][PHASE_TASK] for play in plays(again._target.engine.jobs[0].playbook)]  # type: ignore[attr-defined]
    assert [task.get("background", False) for task in tasks] == [False, False]
    assert all(task["attach"] and "run_id" not in task for task in tasks)


# Together


def test_a_common_start_is_staged_released_and_followed():
    with env(run=["drive"], start="together", required_metrics=None) as bench:
        tasks = plays(bench.render("run"))[0]["tasks"]
        stage, release, follow = (task[PHASE_TASK] for task in tasks)
        assert (stage["background"], stage["hold"] > 0) == (True, True)
        assert set(release) == {"release_at", "clock_offset", "run_id"}
        assert "ansible_play_hosts" in release["release_at"]
        assert (follow["attach"], follow["run_id"]) == (True, release["run_id"])


def test_one_step_may_start_together():
    steps = [{"hosts": "db", "script": "watch"}, {"hosts": "clients", "script": "drive", "start": "together"}]
    with env(run=steps) as bench:
        assert [len(play["tasks"]) for play in plays(bench.render("run"))] == [1, 3]
    with pytest.raises(ConfigError, match="must be together or when_ready"):
        EnvironmentConfig.from_mapping(CONFIG | {"run": [{"script": "x", "start": "now"}]})


def test_the_skew_is_by_one_clock():
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    hosts = [
        HostResult("a", Kind.OK, started=noon, clock_offset=0.0),
        HostResult("b", Kind.OK, started=noon + timedelta(seconds=5.25), clock_offset=5.0),
        HostResult("c", Kind.OK, started=noon + timedelta(seconds=60)),
    ]
    assert phase_result("run", hosts).skew == pytest.approx(0.25)
    assert phase_result("run", hosts[2:]).skew is None


def test_who_takes_up_a_trial_releases_nothing():
    with env(run=["drive"], start="together", required_metrics=None) as bench:
        found = render(bench.config, "run", bench.params, ShellEnv({}, {}))
    assert (found.scripts, found.for_attaching().scripts) == (3, 1)
    assert [next(iter(task[PHASE_TASK])) for task in found.for_attaching().plays[0]["tasks"]] == ["script"]
    assert len(found.for_ending().plays[0]["tasks"]) == 1


# Parameters of hosts


def test_a_hosts_own_variable_is_a_parameter():
    config = {"host_params": {"port": "redis_port", "pw": "redis_pw"}, "shell_env_params": ["port", "pw"]}
    with env(**config, secret_params=["pw"]) as bench:
        task = plays(bench.render("run"))[0]["tasks"][0][PHASE_TASK]
        assert (task["host_env"], task["secret_host_env"]) == ({"port": "redis_port"}, {"pw": "redis_pw"})
        bench.assign(None, {"port": 9})
        task = plays(bench.render("run"))[0]["tasks"][0][PHASE_TASK]
        assert (task["env"], "host_env" in task) == ({"port": "9"}, False)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"run": [{"hosts": 3, "script": "x"}]}, r"run\[0\].hosts: must be a host pattern"),
        ({"run": [{"hosts": "db"}]}, r"run\[0\]: has neither a script nor a task"),
        ({"run": [{"hosts": "db", "script": []}]}, "must be shell text, or a list of lines"),
        ({"run": [{"hosts": "db", "script": "x", "backgruond": True}]}, "did you mean 'background'"),
        ({"run": [{"hosts": "db", "script": "x", "background": "yes"}]}, "must be true, false or until_end"),
        ({"run": [{"hosts": "db", "background": True, "ansible.builtin.ping": {}}]}, "goes with a script"),
        ({"run": [{"hosts": "db", "import_playbook": "x.yml"}]}, "an imported playbook has its own hosts"),
        ({"setup": [{"script": "x", "exports": {"a-b": "(.)"}}]}, r"setup\[0\].exports.a-b"),
        ({"setup": [{"script": "x", "exports": {"a": "no"}}]}, "must have one group"),
        ({"setup": [{"script": "x", "exports": {"a": "(.)"}, "background": True}]}, "ends too late"),
        ({"setup": [{"script": "x", "exports": {"p": "(.)"}}], "const_args": {"p": 1}, "shell_env_params": ["p"]},
         "the export 'p' has the name"),
        ({"host_params": {"p": "{{ x }}"}}, "a name, not a template"),
        ({"host_params": {"p": "x"}, "const_args": {"p": 1}}, "has a value already"),
    ],
)  # fmt: skip
def test_what_is_refused(fields, words):
    with pytest.raises(ConfigError, match=words):
        EnvironmentConfig.from_mapping(CONFIG | fields)
