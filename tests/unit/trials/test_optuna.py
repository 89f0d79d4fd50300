"""examples/optuna with Optuna itself, and an engine that knows at once how good a configuration is."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_env import Kind, RemoteEnv
from ansible_env.testing import FakeEngine

optuna = pytest.importorskip("optuna")
EXAMPLE = Path(__file__).parents[3] / "examples" / "optuna" / "tune.py"


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("tune", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


def speed(env: Mapping[str, str]) -> float:
    """The more cache the better, and best without waiting for the disk."""
    return math.log2(int(env["cache_size_kib"])) + 10 * (env["synchronous"] == "OFF")


def bench(example: Any, score: Callable[[Mapping[str, str]], float | None]) -> RemoteEnv:
    """Four hosts on which a trial has a score at once, or fails."""

    def answer(phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
        found = score(task["env"]) if phase == "run" else 0.0
        if found is None:
            return {"kind": Kind.EXIT, "rc": 1}
        return {"metrics": {**dict.fromkeys(env.config.required_metrics, 1), "score": found}} if phase == "run" else {}

    env = RemoteEnv.from_file(example.SQLITE, engine=FakeEngine("abcd", answer))
    return env


def test_a_study_is_asked_and_told_and_finds_something_better(example: Any) -> None:
    sampler = optuna.samplers.TPESampler(constant_liar=True, seed=1)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    with bench(example, speed) as env:
        example.tune(env, study, 24)
        defaults, best = example.compare(env, study.best_params)
    assert [trial.state for trial in study.trials] == [optuna.trial.TrialState.COMPLETE] * 24
    assert set(study.best_params) == {tunable.name for tunable in env.config.tunables}
    assert (len(defaults), len(best)) == (8, 8)
    assert min(best) > max(defaults)


def test_a_trial_that_fails_is_told_as_such(example: Any) -> None:
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    with bench(example, lambda env: None if env["synchronous"] == "OFF" else 1.0) as env:
        example.tune(env, study, 12)
    told = {trial.params["synchronous"] == "OFF": trial.state for trial in study.trials}
    assert told == {True: optuna.trial.TrialState.FAIL, False: optuna.trial.TrialState.COMPLETE}
