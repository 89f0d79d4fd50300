"""The life cycle, with an engine that runs nothing: what mlos_bench asserts, and what it leaves open."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_env.common import Owner
from ansible_env.config.model import EnvironmentConfig
from ansible_env.engine.protocol import EngineRun, Options
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, InventoryError, LifecycleError, ParameterError
from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.outcomes import Kind
from ansible_env.results.status import Status
from ansible_env.storage.journal import Journal
from ansible_env.testing import FakeEngine
from ansible_env.trials.run_trials import run_trials

CONFIG: dict[str, Any] = {"name": "bench", "setup": ["prepare"], "run": ["measure"], "teardown": ["clean"]}
TUNABLES = {"g": {"cost": 1, "params": {"cache": {"type": "int", "range": [1, 9], "default": 5}}}}

Answer = Callable[[str, str, Mapping[str, Any]], Mapping[str, Any]]


def metrics(phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
    return {"metrics": {"score": 42}} if phase == "run" else {}


def env(answer: Answer | None = metrics, hosts: Any = ("h",), **given: Any) -> RemoteEnv:
    names = set(EnvironmentConfig.model_fields)
    config = CONFIG | {name: given.pop(name) for name in list(given) if name in names}
    engine = given.pop("engine", None) or FakeEngine(hosts, answer)
    return RemoteEnv(config={k: v for k, v in config.items() if v is not None}, engine=engine, **given)


def jobs(found: RemoteEnv) -> list[str]:
    """Return the phases that the engine was given."""
    engine = found._target.engine
    assert isinstance(engine, FakeEngine)
    return [yaml.safe_load(job.playbook)[0]["name"].split()[0].lower() for job in engine.jobs]


def variables(found: RemoteEnv, number: int = -1) -> Any:
    """Return the environment variables that a script got."""
    playbook = yaml.safe_load(found._target.engine.jobs[number].playbook)  # type: ignore[attr-defined]
    return playbook[0]["tasks"][0][PHASE_TASK].get("env")


def failing(*phases: str, **fields: Any) -> Answer:
    return lambda phase, host, task: fields or {"rc": 1} if phase in phases else {"metrics": {"score": 1}}


# As mlos_bench


@pytest.mark.smoke
def test_a_trial():
    with env() as bench:
        assert bench.status()[0] is Status.PENDING
        assert bench.run()[0] is Status.PENDING
        assert bench.setup() is True
        assert bench.status()[0] is Status.READY
        status, timestamp, found = bench.run()
        assert (status, found) == (Status.SUCCEEDED, {"score": 42})
        assert timestamp.tzinfo is UTC
        bench.teardown()
        assert bench.status()[0] is Status.PENDING
        assert bench.run()[::2] == (Status.PENDING, None)
    assert jobs(bench) == ["setup", "run", "teardown"]
    assert list(bench.results) == ["setup", "run", "teardown"]


def test_run_before_setup_runs_nothing():
    with env() as bench:
        assert (bench.run()[0], bench.run()[2], jobs(bench)) == (Status.PENDING, None, [])


def test_nothing_to_run_is_ready():
    with env(run=None) as bench:
        assert bench.setup()
        status, _, found = bench.run()
    assert (status, found, jobs(bench)) == (Status.READY, None, ["setup"])


def test_nothing_to_set_up_is_ready_at_once():
    with env(setup=None, teardown=None) as bench:
        assert bench.setup()
        assert bench.run()[0] is Status.SUCCEEDED
        bench.teardown()
        assert bench.status()[0] is Status.PENDING
    assert jobs(bench) == ["run"]


def test_setup_may_be_repeated():
    with env() as bench:
        assert bench.setup()
        assert bench.setup()
        assert bench.run()[0] is Status.SUCCEEDED
    assert jobs(bench) == ["setup", "setup", "run"]


def test_run_may_be_repeated():
    with env() as bench:
        bench.setup()
        assert [bench.run()[0].name for _ in range(3)] == ["SUCCEEDED"] * 3


def test_a_failed_setup_keeps_run_from_starting():
    with env(failing("setup")) as bench:
        assert bench.setup() is False
        assert bench.run()[0] is Status.PENDING
        bench.teardown()
    assert jobs(bench) == ["setup", "teardown"]
    assert bench.results["setup"].status is Status.FAILED


def test_a_failed_setup_takes_readiness_away():
    calls: list[int] = []

    def answer(phase, host, task):
        calls.append(1)
        return {"rc": 1} if len(calls) == 2 else {}

    with env(answer) as bench:
        assert bench.setup()
        assert not bench.setup()
        assert bench.run()[0] is Status.PENDING


def test_parameters_that_cannot_be_used_take_readiness_away():
    with env(tunables=TUNABLES) as bench:
        assert bench.setup({"cache": 3})
        with pytest.raises(ParameterError):
            bench.setup({"cache": 99})
        assert bench.run()[0] is Status.PENDING
    assert jobs(bench) == ["setup"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"rc": 1}, Status.FAILED),
        ({"kind": Kind.TIMEOUT, "rc": 143, "metrics": {"score": 1}, "metrics_partial": True}, Status.TIMED_OUT),
        ({"kind": Kind.CANCELED, "rc": 143}, Status.CANCELED),
        ({"kind": Kind.UNREACHABLE, "rc": None}, Status.FAILED),
    ],
)
def test_metrics_are_given_only_for_a_success(fields, status):
    with env(failing("run", **fields)) as bench:
        bench.setup()
        assert bench.run()[::2] == (status, None)
        assert dict(bench.results["run"].hosts["h"].metrics) == fields.get("metrics", {})


def test_run_does_not_take_readiness_away():
    with env(failing("run")) as bench:
        bench.setup()
        assert [bench.run()[0], bench.run()[0]] == [Status.FAILED, Status.FAILED]


def test_a_failing_teardown_is_logged_and_kept_and_changes_nothing(caplog):
    with env(failing("teardown", rc=3, msg="exit status 3", kind=Kind.EXIT)) as bench:
        bench.setup()
        assert bench.run()[0] is Status.SUCCEEDED
        with caplog.at_level(logging.WARNING):
            bench.teardown()
        assert "h: exit: exit status 3" in caplog.text
        assert bench.results["teardown"].status is Status.FAILED
        assert bench.results["run"].status is Status.SUCCEEDED
        assert bench.run()[0] is Status.PENDING


def test_the_timestamp_is_the_last_hosts_end():
    ends = {"a": "2025-11-22T20:00:00+00:00", "b": "2025-11-22T22:00:01+01:00"}
    with env(lambda phase, host, task: {"end": ends[host]}, hosts="ab") as bench:
        bench.setup()
        assert bench.run()[1] == datetime(2025, 11, 22, 21, 0, 1, tzinfo=UTC)


# Misuse


@pytest.mark.parametrize(
    "call",
    [
        lambda bench: bench.setup(),
        lambda bench: bench.run(),
        lambda bench: bench.teardown(),
        lambda bench: bench.status(),
        lambda bench: bench.run_phase("run"),
        lambda bench: bench.attach(),
    ],
    ids=["setup", "run", "teardown", "status", "run_phase", "attach"],
)
def test_misuse_outside_of_the_context(call):
    bench = env()
    for _ in range(2):  # before it, and after it
        with pytest.raises(LifecycleError, match=r"bench: \w+\(\) outside of the context"):
            call(bench)
        with bench:
            pass
    assert jobs(bench) == []


def test_entering_twice():
    with env() as bench:
        with pytest.raises(LifecycleError, match="already entered"):
            bench.__enter__()
        assert bench.setup()


def test_entering_again_begins_anew():
    bench = env()
    with bench:
        bench.setup()
    with bench:
        assert bench.status()[0] is Status.PENDING
        assert bench.setup()
        assert bench.run()[0] is Status.SUCCEEDED


def test_an_error_inside_of_the_context_leaves_it_and_passes():
    bench = env()
    with pytest.raises(KeyError), bench:
        raise KeyError
    with bench:
        assert bench.setup()


@pytest.mark.parametrize("phase", ["boot", "nope", "setup "])
def test_no_such_phase(phase):
    with env() as bench, pytest.raises(ConfigError, match="no phase"):
        bench.run_phase(phase)


def test_an_empty_phase():
    with env(teardown=None) as bench, pytest.raises(ConfigError, match="has no 'teardown'"):
        bench.run_phase("teardown")


def test_no_host():
    with env(hosts=()) as bench, pytest.raises(InventoryError):
        bench.setup()


def test_wrong_configuration_is_refused_at_once():
    with pytest.raises(ConfigError, match="runn"):
        RemoteEnv(config={"name": "x", "runn": ["y"]}, engine=FakeEngine())
    with pytest.raises(ParameterError, match="needed"):
        env(required_args=["needed"])
    with pytest.raises(InventoryError):
        env(inventory="/no/such/file")


def test_an_engine_that_was_given_is_not_closed():
    with env() as bench:
        pass
    assert bench._target.engine.closed is False  # type: ignore[attr-defined]


def test_run_phase_needs_no_setup():
    with env() as bench:
        assert bench.run_phase("run").status is Status.SUCCEEDED
        assert bench.status()[0] is Status.PENDING


def test_repr_says_what_it_is_and_no_values():
    bench = env(hosts=("h",), const_args={"pw": "geheim"}, secret_params=["pw"])
    assert repr(bench) == "<RemoteEnv 'bench' on 'all'>"
    assert RemoteEnv(config=CONFIG, name="other", engine=FakeEngine()).name == "other"


# Parameters


def test_every_setup_is_a_trial_of_its_own():
    with env(shell_env_params=["trial_id", "tag", "experiment_id"], const_args={"tag": "t-$trial_id"}) as bench:
        for number in ("1", "2"):
            bench.setup()
            bench.run()
            assert variables(bench) == {"trial_id": number, "tag": f"t-{number}", "experiment_id": "bench"}
        bench.setup(None, {"trial_id": 77})
        assert variables(bench)["tag"] == "t-77"
        bench.setup()
        assert variables(bench)["trial_id"] == "3"


def test_only_setup_counts_a_trial():
    with env(tunables=TUNABLES, shell_env_params=["trial_id"]) as bench:
        assert bench.params["trial_id"] == 1
        bench.render("run")
        for _ in range(3):
            bench.assign({"cache": 2})
        with pytest.raises(ParameterError):
            bench.setup({"cache": 100})
        bench.setup({"cache": 3})
        assert (variables(bench)["trial_id"], bench.params["trial_id"], bench.params["cache"]) == ("1", 1, 3)
        bench.check_values({"cache": 4})
        with pytest.raises(ParameterError):
            bench.check_values({"cache": 100})
        assert (bench.params["trial_id"], bench.params["cache"]) == (1, 3)
        list(run_trials(bench, [{"cache": 5}, {"cache": 6}]))
        assert (bench.params["trial_id"], bench.params["cache"]) == (1, 3)
        bench.setup()
        assert bench.params["trial_id"] == 2


def test_setup_and_run_get_the_same_values():
    with env(tunables=TUNABLES, shell_env_params=["cache"], setup=["a"]) as bench:
        bench.setup({"cache": 3})
        bench.run()
        bench.teardown()
        assert [variables(bench, n) for n in range(3)] == [{"cache": "3"}] * 3
        bench.setup()
        assert variables(bench) == {"cache": "5"}


def test_globals_of_setup_win_over_those_of_the_environment():
    with env(const_args={"n": 1}, shell_env_params=["n"], global_config={"n": 2}) as bench:
        bench.setup()
        assert variables(bench) == {"n": "2"}
        bench.setup(None, {"n": 3})
        assert variables(bench) == {"n": "3"}
        bench.setup()
        assert variables(bench) == {"n": "2"}


def test_secrets_reach_the_engine_beside_the_playbook():
    with env(
        secret_params=["pw"], shell_env_params=["pw"], const_args={"n": 1}, global_config={"pw": "geheim"}
    ) as bench:
        bench.setup()
        job = bench._target.engine.jobs[0]  # type: ignore[attr-defined]
        assert job.secrets == {"env": {"pw": "geheim"}, "params": {"pw": "geheim"}}
        assert "geheim" not in job.playbook
        assert "geheim" not in repr(job)
        assert bench.params["pw"] == "********"
        assert "geheim" not in bench.render("run")


def test_required_metrics_are_counted_for_run_alone():
    with env(required_metrics=["score", "p99"], results_stdout_pattern=r"(\w+)=(\d+)") as bench:
        assert bench.setup()
        assert bench.run()[::2] == (Status.FAILED, None)
        assert bench.results["run"].hosts["h"].kind is Kind.METRICS_MISSING
        bench.teardown()
        assert bench.results["teardown"].status is Status.SUCCEEDED


def test_metrics_of_a_group_are_means():
    scores = {"a": 1, "b": 4}
    with env(lambda phase, host, task: {"metrics": {"score": scores[host]}}, hosts="ab") as bench:
        bench.setup()
        assert bench.run()[2] == {"score": 2.5}
        assert {name: host.metrics["score"] for name, host in bench.results["run"].hosts.items()} == scores


# What the engine is given


def test_a_job(tmp_path):
    options = Options(forks=3)
    with env(
        hosts=("a", "b", "c"), limit="a,b", options=options, logs=tmp_path / "logs", inventory="x,",
        timeouts={"run": 60, "grace": 2},
    ) as bench:  # fmt: skip
        bench.setup()
        bench.run()
        job = bench._target.engine.jobs[1]  # type: ignore[attr-defined]
    assert (job.hosts, job.limit, job.options, job.inventory.sources) == (("a", "b"), "a,b", options, ("x,",))
    assert (job.timeout, job.grace) == (77, 2)
    assert job.logs == tmp_path / "logs" / "run"
    assert job.logs.stat().st_mode & 0o777 == 0o700
    assert len(job.key) == 32  # by which scripts that nobody follows any more can be ended
    assert (job.results, job.uses_files, job.secrets) == (None, False, {})


@pytest.mark.parametrize(
    ("fields", "forks", "expected"),
    [
        ({"timeouts": {"run": None}}, None, None),
        ({"timeouts": {"run": 10, "grace": 5}}, None, 30),
        ({"timeouts": {"run": 10, "grace": 5}}, 1, 90),  # host after host
        ({"timeouts": {"run": 10, "grace": 5}}, 2, 60),
        ({"timeouts": {"run": 10, "grace": 5}, "run": [{"command": "x"}]}, None, 10),
    ],
)
def test_the_outer_deadline_lies_behind_that_of_the_scripts(fields, forks, expected):
    with env(hosts="abc", options=Options(forks=forks), **fields) as bench:
        bench.setup()
        bench.run()
        assert bench._target.engine.jobs[1].timeout == expected  # type: ignore[attr-defined]


def test_boot_comes_before_setup():
    with env(wait_boot=True) as bench:
        assert bench.setup()
    assert jobs(bench) == ["boot", "setup"]


def test_a_host_that_does_not_boot_is_not_set_up():
    class Dead(FakeEngine):
        def run(self, job, **more):
            super().run(job, **more)
            return EngineRun((), 4)

    with env(wait_boot=True, engine=Dead(["h"])) as bench:
        assert not bench.setup()
        assert bench.run()[0] is Status.PENDING
    assert jobs(bench) == ["boot"]


# Cancel


def test_cancel_in_run_keeps_teardown():
    bench = env(lambda phase, host, task: bench.cancel() or {} if phase == "run" else {})
    with bench:
        bench.setup()
        assert bench.run()[::2] == (Status.CANCELED, None)
        bench.teardown()
        assert bench.results["teardown"].status is Status.SUCCEEDED
        assert bench.results["run"].status is Status.CANCELED


def test_cancel_between_setup_and_run_keeps_run_from_starting():
    asked: list[str] = []
    with env(lambda phase, host, task: asked.append(phase) or {}) as bench:
        bench.setup()
        for _ in range(3):
            bench.cancel()
        assert bench.run()[0] is Status.CANCELED
        assert bench.run()[0] is Status.CANCELED
    assert asked == ["setup"]


def test_cancel_in_setup_is_no_setup():
    bench = env(lambda phase, host, task: bench.cancel() or {})
    with bench:
        assert bench.setup() is False
        assert bench.results["setup"].status is Status.CANCELED
        assert bench.run()[0] is Status.PENDING


def test_the_next_trial_is_not_canceled():
    with env() as bench:
        bench.setup()
        bench.cancel()
        bench.run()
        assert bench.setup()
        assert bench.run()[0] is Status.SUCCEEDED


def test_an_event_of_the_callers_cancels_before_anything_is_started():
    event = threading.Event()
    with env(cancel=event) as bench:
        event.set()
        assert bench.setup() is False
        assert bench.results["setup"].status is Status.CANCELED
        bench.teardown()
        assert bench.results["teardown"].status is Status.SUCCEEDED
        event.clear()
        assert bench.setup()


def test_cancel_from_another_thread():
    bench = env(lambda phase, host, task: thread.start() or thread.join() or {} if phase == "run" else {})
    thread = threading.Thread(target=bench.cancel)
    with bench:
        bench.setup()
        assert bench.run()[0] is Status.CANCELED


def test_a_teardown_can_be_canceled_by_its_own_name():
    bench = env(lambda phase, host, task: bench.cancel_teardown() or {} if phase == "teardown" else {})
    with bench:
        bench.setup()
        assert bench.run()[0] is Status.SUCCEEDED
        bench.teardown()
        assert bench.results["teardown"].status is Status.CANCELED


def test_hosts_that_were_done_before_the_cancel_keep_their_result():
    bench = env(lambda phase, host, task: bench.cancel() or {} if host == "b" else {"metrics": {"x": 1}}, hosts="abc")
    with bench:
        result = bench.run_phase("run")
    assert [host.kind for host in result.hosts.values()] == [Kind.OK, Kind.CANCELED, Kind.CANCELED]
    assert result.status is Status.CANCELED


# The journal, and a controller that takes over


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it is done."""


def killed_in(phase: str, directory: Path, **fields: Any) -> None:
    """Leave behind what a controller leaves that was killed in a phase."""

    def answer(now: str, host: str, task: Mapping[str, Any]) -> Mapping[str, Any]:
        if now == phase:
            raise Killed
        return metrics(now, host, task)

    with env(answer, journal=Journal(directory), **fields) as bench, pytest.raises(Killed):
        bench.setup({"cache": 3} if "tunables" in fields else None, {"trial_id": 5})
        bench.run()
        bench.teardown()
    state = json.loads((directory / "state.json").read_text())
    state["owner"] = Owner(2**22 + 1, "of long ago").to_text()
    (directory / "state.json").write_text(json.dumps(state))


def attached(directory: Path, answer: Answer | None = metrics, **fields: Any) -> RemoteEnv:
    return env(answer, journal=Journal.open(directory), **fields)


def test_attach_in_run(tmp_path):
    fields: dict[str, Any] = {"tunables": TUNABLES, "shell_env_params": ["cache", "trial_id"]}
    killed_in("run", tmp_path, **fields)
    key = json.loads((tmp_path / "state.json").read_text())["phases"]["run"]["key"]
    with attached(tmp_path, **fields) as bench:
        result = bench.attach()
        assert result is not None
        assert (result.status, result.metrics) == (Status.SUCCEEDED, {"score": 42})
        job = bench._target.engine.jobs[0]  # type: ignore[attr-defined]
        assert (job.key, job.results) == (key, tmp_path / "results" / "run")
        assert yaml.safe_load(job.playbook)[0]["tasks"][0][PHASE_TASK]["attach"] is True
        assert variables(bench) == {"cache": "3", "trial_id": "5"}
        assert bench.status()[0] is Status.READY
        assert bench.attach() is None
        bench.teardown()
    assert jobs(bench) == ["run", "teardown"]


@pytest.mark.parametrize(("rc", "ready"), [(0, True), (1, False)])
def test_attach_in_setup(tmp_path, rc, ready):
    killed_in("setup", tmp_path)
    with attached(tmp_path, lambda phase, host, task: {"rc": rc}) as bench:
        assert bench.attach() is not None
        assert bench.status()[0] is (Status.READY if ready else Status.PENDING)


def test_after_a_teardown_nothing_is_ready(tmp_path):
    killed_in("teardown", tmp_path)
    with attached(tmp_path) as bench:
        result = bench.attach()
        assert result is not None
        assert (result.phase, bench.status()[0]) == ("teardown", Status.PENDING)
        assert list(bench.results) == ["setup", "run", "teardown"]
        assert bench.results["run"].metrics == {"score": 42}  # of the controller that was killed
    with attached(tmp_path) as bench:
        assert bench.attach() is None
        assert bench.status()[0] is Status.PENDING


def test_a_boot_that_failed_is_no_setup(tmp_path):
    class Dead(FakeEngine):
        def run(self, job, **more):
            return EngineRun((), 4)

    fields: dict[str, Any] = {"wait_boot": True, "setup": None}
    journal = Journal(tmp_path)
    with env(engine=Dead(["h"]), journal=journal, **fields) as bench:
        assert not bench.setup()
    with env(journal=Journal.open(tmp_path), **fields) as bench:
        assert bench.attach() is None
        assert bench.status()[0] is Status.PENDING


def test_attach_proves_nothing_of_a_task_behind_the_script(tmp_path):
    items = ["prepare", {"ansible.builtin.command": "x"}]
    killed_in("setup", tmp_path, setup=items)
    with attached(tmp_path, setup=items) as bench:
        result = bench.attach()
        assert result is not None
        assert result.hosts["h"].kind is Kind.NOT_RUN
        assert bench.status()[0] is Status.PENDING


def test_attach_to_a_phase_of_tasks_alone_proves_nothing(tmp_path):
    class Dying(FakeEngine):
        def run(self, job, **more):
            if job.is_syntax_check:
                return super().run(job)
            raise Killed

    items = [{"ansible.builtin.command": "x"}]
    with env(engine=Dying(["h"]), journal=Journal(tmp_path), setup=items) as bench, pytest.raises(Killed):
        bench.setup()
    with attached(tmp_path, setup=items) as bench:
        result = bench.attach()
        assert result is not None
        assert result.status is Status.FAILED


def test_attach_needs_a_journal():
    with env() as bench, pytest.raises(LifecycleError, match="journal"):
        bench.attach()


def test_a_journal_holds_no_secret(tmp_path):
    with env(
        journal=Journal(tmp_path), secret_params=["pw"], shell_env_params=["pw"], global_config={"pw": "geheim"}
    ) as bench:
        bench.setup()
        bench.run()
    assert all(b"geheim" not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_the_status_of_each_phase_is_written_down(tmp_path):
    with env(failing("run"), journal=Journal(tmp_path)) as bench:
        bench.setup()
        bench.run()
        bench.teardown()
    journal = Journal.open(tmp_path)
    assert [journal.status(phase) for phase in ("setup", "run", "teardown", "boot")] == [
        "SUCCEEDED", "FAILED", "SUCCEEDED", None,
    ]  # fmt: skip
    assert journal.interrupted() is None


@pytest.mark.parametrize("number", [2**31, 99999999999999999999, -1])
def test_a_number_that_no_database_keeps(number):
    with env() as bench, pytest.raises(ParameterError, match=r"trial_id: .* is not between 0 and 2147483647"):
        bench.setup({}, {"trial_id": number})
    assert jobs(bench) == []


def test_the_default_experiment_id_is_safe_in_a_path():
    with env(name="Redis / Linux", shell_env_params=["experiment_id"]) as bench:
        bench.setup()
        assert variables(bench)["experiment_id"] == "Redis-Linux"
        assert bench.experiment == "Redis / Linux"  # the name in the store
    with env(name="Redis / Linux", global_config={"experiment_id": "given one"}) as bench:
        bench.setup()
        assert (bench.params["experiment_id"], bench.experiment) == ("given one", "given one")
