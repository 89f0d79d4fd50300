"""An environment as tasks of somebody's own play."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_env import ConfigError, EnvironmentConfig, ParameterError
from ansible_env.environment.role import RoleEnvironment, group_result, judge
from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.metrics.validity import MetricRules

DATA: dict[str, Any] = {
    "name": "in a play",
    "const_args": {"n": 1},
    "secret_params": {"token": None},
    "shell_env_params": ["n", "token"],
    "become": True,
    "setup": [{"role": "beside"}, {"name": "Tell", "ansible.builtin.command": "true", "notify": "Told"}],
    "handlers": [{"name": "Told", "ansible.builtin.debug": {}}],
    "run": ["a", {"ansible.builtin.debug": {}}, "b"],
    "required_metrics": ["x"],
    "results_json": True,
}
OK = {"ansible_env": 1, "kind": "ok", "rc": 0}


def load(directory: Path, params: dict[str, Any] | None = None, **more: Any) -> RoleEnvironment:
    (directory / "roles/beside").mkdir(parents=True, exist_ok=True)
    path = directory / "env.yml"
    path.write_text(yaml.safe_dump(DATA | more))
    return RoleEnvironment.load(path, {"token": "hidden"} if params is None else params)


def test_phases_become_roles_with_registered_results(tmp_path: Path) -> None:
    environment = load(tmp_path)
    (tmp_path / "out").mkdir()
    roles = environment.roles(tmp_path / "out", "42")
    assert roles["run"]["registers"] == ["environment_run_42_1", "environment_run_42_2"]
    role = Path(roles["setup"]["role"])
    (block,) = yaml.safe_load((role / "tasks/main.yml").read_text())
    assert block["become"] is True
    assert block["block"][0]["ansible.builtin.import_role"]["name"] == str(tmp_path / "roles/beside")
    assert block["block"][-1] == {"name": "Finish setup", PHASE_TASK: {}, "register": "environment_setup_42_1"}
    assert yaml.safe_load((role / "handlers/main.yml").read_text()) == DATA["handlers"]
    assert yaml.safe_load((role / "vars/main.yml").read_text())["ansible_env_params"]["n"] == 1
    assert (role / "env.yml").resolve() == tmp_path / "env.yml", "what lies beside the file is beside the tasks"
    texts = [path.read_text() for path in role.parent.rglob("*.yml")]
    assert not [text for text in texts if "hidden" in text]
    assert environment.roles(tmp_path / "out", "42") == roles, "the same again is the same directory"


def test_plays_of_their_own_cannot_be_a_role(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'setup' has its own plays"):
        load(tmp_path, setup=[{"import_playbook": "a.b.c"}]).roles(tmp_path, "1")


def test_unknown_parameters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="there is no parameter of this name"):
        load(tmp_path, {"token": "x", "m": 1})


@pytest.mark.parametrize(
    ("results", "failure", "kind"),
    [
        ([OK, {**OK, "metrics": {"x": 1}}], None, "ok"),
        ([OK, OK], None, "metrics_missing"),
        ([OK, {**OK, "metrics": {"x": "1us"}}], None, "metrics_invalid"),
        ([OK, {}], None, "not_run"),
        ([OK, {"skipped": True}], None, "not_run"),
        ([OK, {"ansible_env": 1, "kind": "exit", "rc": 3, "failed": True}], None, "exit"),
        ([{"ansible_env": 1, "kind": "auth", "failed": True, "unreachable": True}, {}], None, "auth"),
        ([OK, {}], {"task": "T", "action": "debug", "result": {"msg": "no"}}, "task"),
        ([OK, {}], {"task": "T", "action": PHASE_TASK, "result": {"msg": "crash"}}, "controller"),
        ([], {"task": "T", "action": "debug", "result": {"msg": "no"}}, "task"),
    ],
)
def test_judged_as_an_engine_would(tmp_path: Path, results: list[Any], failure: Any, kind: str) -> None:
    phase = load(tmp_path).roles(tmp_path, "1")["run"]
    assert judge("h", results, failure, phase, MetricRules(["x"]))["kind"] == kind


def test_a_success_needs_the_proof_of_the_end(tmp_path: Path) -> None:
    phase = load(tmp_path).roles(tmp_path, "1")["setup"]
    assert phase["finish"] == "Finish setup"
    assert judge("h", [OK], None, phase)["kind"] == "ok"
    assert judge("h", [OK], None, {**phase, "finish": "Finish it"})["kind"] == "ok"
    assert judge("h", [{}], None, phase)["kind"] == "not_run"


def test_the_group_by_the_files_policy() -> None:
    config = EnvironmentConfig.from_mapping({"name": "x", "run": "true", "success": "any", "aggregate": "sum"})
    hosts = {"a": {"kind": "ok", "metrics": {"x": 1}}, "b": {"kind": "ok", "metrics": {"x": 2}}, "c": {"kind": "exit"}}
    assert group_result(config, "run", hosts) == {"status": "SUCCEEDED", "metrics": {"x": 3}}
