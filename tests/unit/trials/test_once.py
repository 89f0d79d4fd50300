"""`setup_once` and `teardown_once`: how often they run, where, and what becomes of a host on which they fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from ansible_env.config.model import EnvironmentConfig
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.results.outcomes import Kind
from ansible_env.results.status import Status
from ansible_env.testing import FakeEngine
from ansible_env.trials import pool as pool_module
from ansible_env.trials.run_trials import Runner, run_trials

CONFIG: dict[str, Any] = {
    "name": "b",
    "setup_once": ["install"],
    "setup": ["prepare"],
    "run": ["measure"],
    "teardown": ["clean"],
    "teardown_once": ["remove"],
    "tunables": {
        "g": {"cost": 1, "params": {name: {"type": "int", "range": [0, 99], "default": 5} for name in ("x", "y")}}
    },
    "shell_env_params": ["x", "y", "trial_id"],
}


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch):
    monkeypatch.setattr(pool_module, "REST", 0.01)


class Scripts:
    """Counts the scripts of each host, in order; `install` fails on some hosts."""

    def __init__(self, *bad: str) -> None:
        self.calls: list[tuple[str, str]] = []
        self.env: dict[str, Any] = {}
        self._bad = bad

    def __call__(self, phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
        script = task["script"].strip()
        self.calls.append((host, script))
        self.env[script] = dict(task["env"])
        return {"kind": Kind.EXIT, "rc": 1} if script == "install" and host in self._bad else {}

    def on(self, host: str) -> list[str]:
        return [script for name, script in self.calls if name == host]


def env(scripts: Scripts, hosts: str = "ab", **more: Any) -> RemoteEnv:
    return RemoteEnv(config={**CONFIG, **more}, engine=FakeEngine(hosts, scripts))


def test_each_host_is_prepared_once_and_cleaned_up_once():
    scripts = Scripts()
    with env(scripts, "abc") as bench:
        results = list(run_trials(bench, [{"x": n, "y": 7} for n in range(12)]))
        assert not [script for _, script in scripts.calls if script == "remove"], "not before the context ends"
    counts = Counter(scripts.calls)
    for host in "abc":
        assert counts[host, "install"] == counts[host, "remove"] == 1
        assert scripts.on(host)[0] == "install" and scripts.on(host)[-1] == "remove"
    assert all(r.status is Status.SUCCEEDED for r in results)
    assert sum("setup_once" in r.phases for r in results) == 3, "the first trial of a host has the result"
    assert scripts.env["install"] == {"x": "5", "y": "7", "trial_id": "0"}, "the values that all trials share"


def test_one_environment_and_trials_one_after_the_other():
    scripts = Scripts()
    with pytest.raises(RuntimeError), env(scripts) as bench:
        for _ in range(3):
            assert bench.setup()
            bench.run()
            bench.teardown()
        raise RuntimeError
    assert scripts.on("a") == ["install", *["prepare", "measure", "clean"] * 3, "remove"]


def test_an_optimizer_that_is_left():
    scripts = Scripts()
    with env(scripts) as bench:
        for _ in Runner(bench).asked(lambda: {"x": 1}, trials=9):
            break
    assert Counter(scripts.calls)["a", "remove"] == scripts.on("a").count("install") == 1


def test_a_host_that_cannot_be_prepared_takes_no_trials_from_the_others():
    scripts = Scripts("a")
    with env(scripts) as bench:
        results = list(run_trials(bench, [{"x": n} for n in range(6)]))
    assert all(r.status is Status.SUCCEEDED and r.hosts == ("b",) for r in results)
    assert scripts.on("a")[:2] == ["install", "remove"], "what was begun is cleaned up at once"
    assert "measure" not in scripts.on("a")
    assert scripts.on("a").count("install") == scripts.on("a").count("remove") == pool_module.STRIKES


def test_if_no_host_can_be_prepared_every_trial_says_so():
    scripts = Scripts("a", "b")
    with env(scripts) as bench:
        results = list(run_trials(bench, [{"x": n} for n in range(4)]))
    assert len(results) == 4
    assert all(r.status is Status.FAILED for r in results)
    assert {r.error for r in results} == {"too few hosts are left for the trial; lost: a, b"}
    assert "measure" not in scripts.env


def test_a_group_that_goes_on_without_a_host():
    scripts = Scripts("b")
    with env(scripts, "abc", success="any") as bench:
        for _ in range(2):
            assert bench.setup()
            status, _, _ = bench.run()
            assert status is Status.SUCCEEDED
            bench.teardown()
    assert scripts.on("b") == ["install", "clean", "clean", "remove"]
    assert scripts.on("a").count("install") == 1


def test_a_cleanup_alone():
    scripts = Scripts()
    with env(scripts, setup_once=[]) as bench:
        assert bench.setup()
        bench.teardown()
    assert scripts.on("a") == ["prepare", "clean", "remove"]


def test_for_one_trial_both_are_scripts_of_their_own():
    config = EnvironmentConfig.from_mapping(CONFIG).for_one_trial
    setup, teardown = config.setup, config.teardown
    assert (setup[0], setup[2]) == ("install", "prepare") and isinstance(setup[1], dict)
    assert (teardown[0], teardown[2]) == ("clean", "remove")
    assert config.once is None
