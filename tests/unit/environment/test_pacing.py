"""The waits between phases and trials: how long, what ends them, and that they are recorded and count in nothing."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest

from ansible_env import ConfigError, RemoteEnv, Status, TrialRequest, run_trials
from ansible_env.config.times import parse_pause
from ansible_env.testing import FakeEngine
from ansible_env.trials.run_trial import run_trial

CONFIG = {"name": "x", "setup": "prepare", "run": "measure"}


class Clocked(FakeEngine):
    """Notes when each phase was started."""

    def __init__(self, hosts: Any = ("h1",)) -> None:
        super().__init__(hosts)
        self.times: list[tuple[str, float]] = []

    def run(self, job: Any, **more: Any) -> Any:
        self.times.append((job.playbook.split()[3].lower(), time.monotonic()))
        return super().run(job, **more)


def test_settle_and_cooldown() -> None:
    """In that order, in each way to run a trial, and in no phase's time."""
    engine = Clocked()
    with RemoteEnv(config={**CONFIG, "settle": 0.2, "cooldown": "300ms"}, engine=engine) as env:
        trials = [run_trial(env, TrialRequest(number)) for number in (1, 2)]
        env.setup()
        env.run()
    names, times = zip(*engine.times, strict=True)
    assert names == ("setup", "run") * 3
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap >= wanted for gap, wanted in zip(gaps, (0.2, 0.3, 0.2, 0.3, 0.2), strict=True))
    assert trials[0].waited.keys() == {"settle"} and trials[1].waited.keys() == {"settle", "cooldown"}
    assert trials[1].to_dict(output=False)["waited"]["cooldown"] > 0.2
    assert trials[1].elapsed < trials[1].waited["cooldown"] + trials[1].waited["settle"]


def test_a_host_rests_between_the_trials_of_a_pool() -> None:
    engine = Clocked(("a", "b"))
    with RemoteEnv(config={**CONFIG, "setup": [], "cooldown": 0.3}, engine=engine) as env:
        begun = time.monotonic()
        trials = list(run_trials(env, [{}] * 4))
    assert all(trial.status.is_succeeded() for trial in trials)
    assert [
        max(times) - begun >= 0.3 for times in ([t for _, t in engine.times[:2]], [t for _, t in engine.times[2:]])
    ] == [
        False,
        True,
    ]


def test_splay_is_random_and_repeatable() -> None:
    def waits(numbers: Any) -> list[float]:
        with RemoteEnv(config={**CONFIG, "splay": 0.05}, engine=FakeEngine()) as env:
            return [round(run_trial(env, TrialRequest(number)).waited["splay"], 2) for number in numbers]

    first, again = waits(range(8)), waits(range(8))
    assert first == pytest.approx(again, abs=0.03)
    assert len({round(wait, 2) for wait in first}) > 1


@pytest.mark.parametrize("pool", [False, True])
def test_a_cancel_ends_a_wait(pool: bool) -> None:
    with RemoteEnv(config={**CONFIG, "settle": 300, "cooldown": 300}, engine=FakeEngine()) as env:
        threading.Timer(0.2, env.cancel).start()
        trials = list(run_trials(env, [{}] * 2)) if pool else [run_trial(env, TrialRequest())]
    assert trials[0].status is Status.CANCELED
    assert len(trials) == 1


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("1m30s", 90), ("0", 0), ("2.5", 2.5), ("100ms", 0.1)])
def test_pauses(text: str, seconds: float) -> None:
    assert parse_pause(text) == seconds


@pytest.mark.parametrize("text", ["soon", "", "-1", "1 week"])
def test_what_is_no_pause(text: str) -> None:
    with pytest.raises(ConfigError, match="must be"):
        parse_pause(text)
