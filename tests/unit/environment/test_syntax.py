"""Ansible's syntax check of the author's tasks: which one is named, and when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_env import ConfigError, EnvironmentConfig, RemoteEnv, TrialRequest
from ansible_env.engine.protocol import EngineRun, Job
from ansible_env.testing import FakeEngine
from ansible_env.trials.run_trial import run_trial


class Checking(FakeEngine):
    """Refuses playbooks that contain a word, as `--syntax-check` does."""

    def __init__(self, *refused: str) -> None:
        super().__init__(["h1"])
        self.refused = refused
        self.checks = 0

    def run(self, job: Job, **more: Any) -> EngineRun:
        if job.is_syntax_check:
            self.checks += 1
            said = [f"no {word}" for word in self.refused if word in job.playbook]
            return EngineRun((), 4, message=said[0]) if said else EngineRun((), 0)
        return super().run(job, **more)


CONFIG = {
    "name": "x",
    "setup": ["echo", {"good": {}}, {"good": {}}, {"bad": {"a": 1}}, "echo"],
    "run": "echo",
    "teardown": [{"worse": {}}],
}
MLOS = {"class": "mlos_bench.environments.remote.RemoteEnv", "name": "x", "config": {"run": [{"bad": {}}]}}


@pytest.mark.parametrize(
    ("data", "word", "line", "key"),
    [(CONFIG, "bad", 6, "setup[3]"), (CONFIG, "worse", 11, "teardown[0]"), (MLOS, "bad", 5, "config.run[0]")],
)
def test_the_line_of_the_environment_file(tmp_path: Path, data: Any, word: str, line: int, key: str) -> None:
    path = tmp_path / "e.yml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    engine = Checking(word)
    with RemoteEnv.from_file(path, engine=engine) as env:
        for begin in (env.setup, lambda: run_trial(env, TrialRequest()), env.check_tasks):
            with pytest.raises(ConfigError) as raised:
                begin()
            (problem,) = raised.value.problems
            assert (problem.file, problem.line, problem.key) == (path, line, key)
            assert problem.message == f"Ansible refuses the task: no {word}"
    assert engine.jobs == []


def test_it_is_done_once_and_only_for_tasks() -> None:
    engine = Checking()
    with RemoteEnv(config=EnvironmentConfig.from_mapping({"name": "x", "run": "echo"}), engine=engine) as env:
        run_trial(env, TrialRequest())
    assert (engine.checks, len(engine.jobs)) == (0, 1)
    with RemoteEnv(config=CONFIG, engine=engine) as env, env.on(["h1"]) as clone:
        run_trial(env, TrialRequest())
        run_trial(clone, TrialRequest())
        run_trial(env, TrialRequest())
    assert engine.checks == 1


def test_what_is_no_fault_of_the_tasks_is_left_to_the_run() -> None:
    """Such as a vault password that Ansible was not given: it would name every item."""
    engine = Checking("hosts")
    with RemoteEnv(config=CONFIG, engine=engine) as env:
        assert run_trial(env, TrialRequest()).status.is_succeeded()
