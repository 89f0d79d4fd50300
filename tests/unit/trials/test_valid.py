"""Bad values of metrics reach no optimizer, no `--best` and no aggregate, whichever interface runs the trials."""

from __future__ import annotations

import json
import math
import random
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from ansible_env import RemoteEnv, Runner, run_trials
from ansible_env.cli import ansible_call
from ansible_env.cli.app import app
from ansible_env.errors import RepeatedFailureError
from ansible_env.storage.store import Store
from ansible_env.testing import FakeEngine

CONFIG = {
    "name": "bench",
    "run": ["measure"],
    "required_metrics": ["score"],
    "results_stdout_pattern": r"^(\w+)=(\S+)$",
    "valid": {"score": "> 0", "*_errors": "== 0"},
    "shell_env_params": ["n"],
    "tunables": {"g": {"cost": 1, "params": {"n": {"type": "int", "range": [1, 1000], "default": 1}}}},
}
BAD: list[dict[str, Any]] = [
    {"score": -1},
    {"score": -1e300},
    {"score": math.nan},
    {"score": math.inf},
    {"score": -math.inf},
    {"score": "218.37us"},
    {"score": None},
    {"score": 1e9, "read_errors": 1},
    {"score": 1e9, "latency": math.nan},
    {},
]


def answer(phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
    """Return a bad value for all but every tenth configuration."""
    if "env" not in task:
        return {}  # the fingerprint
    n = int(task["env"]["n"])
    return {"metrics": {"score": n / 1000} if n % 10 == 0 else random.Random(n).choice(BAD)}


def test_none_reaches_an_optimizer() -> None:
    told = []
    with RemoteEnv(config=CONFIG, engine=FakeEngine("abcd", answer)) as env:
        asked = iter({"n": n} for n in range(1, 551))
        for trial in Runner(env).asked(lambda: next(asked, None)):
            if trial.status.is_succeeded():
                told.append(trial.metrics["score"])
            else:
                assert not trial.metrics
                (host,) = trial.phases["run"].hosts.values()
                assert host.kind in ("metrics_missing", "metrics_invalid")
    assert sorted(told) == [n / 1000 for n in range(10, 551, 10)]


def test_none_is_the_best_of_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANSIBLE_ENV_STORE", f"sqlite:///{tmp_path}/store.sqlite")
    monkeypatch.setattr(ansible_call, "make_engine", lambda *_: FakeEngine("abcd", answer))
    Path("env.yml").write_text(yaml.safe_dump(CONFIG))
    grid = ",".join(map(str, range(1, 101)))
    result = CliRunner().invoke(app, ["sweep", "env.yml", "-q", "--grid", f"n={grid}", "-o", "jsonl"])
    assert result.exit_code == 1, result.output
    trials = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(trials) == 100
    assert {trial["status"] for trial in trials if not trial["metrics"]} == {"FAILED"}
    for goal, best in (("score:max", 0.1), ("score:min", 0.01)):
        shown = CliRunner().invoke(app, ["results", "bench", "--best", goal, "-n", "1", "-o", "json"])
        assert json.loads(shown.stdout)["trials"][0]["metrics"]["score"] == best
    with Store() as store:
        good = [trial for trial in store.trials("bench") if trial.metrics]
    assert len(good) == 10


def test_a_rule_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ansible_call, "make_engine", lambda *_: FakeEngine("a", answer))
    Path("env.yml").write_text(yaml.safe_dump(CONFIG))
    call = ["trial", "env.yml", "-q", "--no-store", "-p", "n=10"]
    assert CliRunner().invoke(app, call).exit_code == 0
    failed = CliRunner().invoke(app, [*call, "--valid", "score > 1"])
    assert failed.exit_code == 1
    assert "a: run: metrics_invalid: score is 0.01, and must be > 1" in failed.stderr
    for rule, said in {
        "score": "--valid: 'score' is not METRIC and a rule",
        "score > apples": "--valid score: 'apples' is not a limit",
        "score > baseline": "only `assert` has one",
    }.items():
        refused = CliRunner().invoke(app, [*call, "--valid", rule])
        assert refused.exit_code == 2
        assert said in refused.stderr


def test_alike_failures_end_a_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
        if "env" not in task or (n := int(task["env"]["n"])) < 4:
            return {"metrics": {"score": 1}}
        return {"kind": "exit", "rc": 1, "msg": f"exit status {1 if n != 5 else 2}"}

    config = {**CONFIG, "stop_after": 3}
    with RemoteEnv(config=config, engine=FakeEngine("a", fails)) as env:
        told = []
        with pytest.raises(RepeatedFailureError, match="3 trials in a row failed alike: exit: exit status 1"):
            deque(run_trials(env, [{"n": n} for n in range(1, 20)], on_result=told.append))
    assert [trial.values["n"] for trial in told] == list(range(1, 9))  # 4 failed, 5 otherwise, 6 to 8 alike
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ansible_call, "make_engine", lambda *_: FakeEngine("a", fails))
    Path("env.yml").write_text(yaml.safe_dump(CONFIG))
    for words in (["sweep", "--grid", "n=7,8,9,10"], ["trial", "--trials", "4", "-p", "n=9"]):
        found = CliRunner().invoke(app, [words[0], "env.yml", "-q", "--no-store", "--stop-after", "2", *words[1:]])
        assert found.exit_code == 1
        assert "error: stopped: 2 trials in a row failed alike: exit: exit status 1" in found.stderr
        assert found.stdout
