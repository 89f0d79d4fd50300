"""`ansible-env sweep --resume` with an engine that runs nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from ansible_env.cli import ansible_call
from ansible_env.cli.app import app
from ansible_env.testing import FakeEngine

ENVIRONMENT = {
    "name": "bench",
    "run": ["measure"],
    "tunables": {"g": {"cost": 1, "params": {"n": {"type": "int", "range": [1, 9], "default": 1}}}},
    "shell_env_params": ["n", "trial_id"],
}


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    ran: list[tuple[str, str]] = []

    def answer(phase: str, host: str, task: Any) -> dict[str, Any]:
        if phase == "run":
            ran.append((task["env"]["trial_id"], task["env"]["n"]))
        return {"metrics": {"score": int(task["env"]["n"])}} if phase == "run" else {}

    def call(*arguments: str) -> Any:
        ran.clear()
        monkeypatch.setattr(ansible_call, "make_engine", lambda *_: FakeEngine("a", answer))
        return CliRunner().invoke(app, ["sweep", str(tmp_path / "env.yml"), *arguments])

    monkeypatch.setenv("ANSIBLE_ENV_ARTIFACTS", str(tmp_path / "kept"))
    (tmp_path / "env.yml").write_text(yaml.safe_dump(ENVIRONMENT))
    call.ran = ran
    return call


def interrupt(directory, *lost: int):
    """Make a call look like one that was killed before these trials began."""
    data = json.loads((directory / "call.json").read_text())
    data["plan"] |= {"ended": False, "owner": "999999999 - gone"}
    data["plan"]["owner"] = data["plan"]["owner"].replace("-", str(Path("/proc/self/ns/pid").readlink()))
    (directory / "call.json").write_text(json.dumps(data))
    for number in lost:
        shutil.rmtree(directory / f"trial-{number}")


def the_call(tmp_path):
    (directory,) = (tmp_path / "kept" / "bench").iterdir()
    return directory


def test_the_rest_of_the_plan_runs_in_its_order(sweep, tmp_path):
    assert sweep("--grid", "n=1,2,3,4,5").exit_code == 0
    order = list(sweep.ran)
    interrupt(the_call(tmp_path), 2, 4, 5)
    done = sweep("--grid", "n=1,2,3,4,5", "--resume")
    assert done.exit_code == 0, done.output
    assert sweep.ran == [order[1], order[3], order[4]]
    assert "2 finished, 0 under way, 3 left" in done.stderr
    assert done.stdout.count("1/1") == 5, "the table has all trials"
    assert "no interrupted sweep" in sweep("--grid", "n=1,2,3,4,5", "--resume").stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--grid", "n=1,2,3"], "--grid n is 1,2,3, and was 1,2"),
        (["--grid", "n=1,2", "--repeat", "2"], "--repeat is 2, and was 1"),
        (["--grid", "n=1,2", "--seed", "8"], "--seed is 8, and was 7"),
        (["--grid", "n=1,2", "--valid", "score > 0"], "environment file valid was added"),
    ],
)
def test_a_changed_plan_is_refused(sweep, tmp_path, arguments, reason):
    assert sweep("--grid", "n=1,2", "--seed", "7").exit_code == 0
    interrupt(the_call(tmp_path), 2)
    for option in (["--resume"], ["--resume-from", the_call(tmp_path).name]):
        done = sweep(*arguments, *option)
        assert done.exit_code == 2
        assert reason in done.stderr
        assert not sweep.ran


def test_a_canceled_trial_runs_again(sweep, tmp_path):
    assert sweep("--grid", "n=1,2").exit_code == 0
    call = the_call(tmp_path)
    interrupt(call)
    result = json.loads((call / "trial-1" / "result.json").read_text())
    canceled = result | {"status": "CANCELED", "phases": {}}
    (call / "trial-1" / "result.json").write_text(json.dumps(canceled))
    assert sweep("--grid", "n=1,2", "--resume-from", str(call)).exit_code == 0
    assert [number for number, _ in sweep.ran] == ["1"]
    assert (call / "trial-1-attempt-2" / "result.json").exists()


def test_no_call_of_that_name(sweep):
    done = sweep("--resume-from", "20260101")
    assert (done.exit_code, sweep.ran) == (2, [])
    assert "no sweep with this name" in done.stderr
