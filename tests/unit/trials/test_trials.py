"""Many trials at once: who gets which, and that each has one result, whatever becomes of the hosts."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, LifecycleError, ParameterError
from ansible_env.results.outcomes import Kind
from ansible_env.results.status import Status
from ansible_env.storage.journal import Journal
from ansible_env.testing import FakeEngine
from ansible_env.trials import pool as pool_module
from ansible_env.trials.needs import Need
from ansible_env.trials.pool import Pool
from ansible_env.trials.run_trial import run_in
from ansible_env.trials.run_trials import Runner, run_trials, values_of
from ansible_env.trials.schedule import PlannedTrials, grid, plan, plan_calibration

CONFIG: dict[str, Any] = {
    "name": "b",
    "setup": ["prepare"],
    "run": ["measure"],
    "teardown": ["clean"],
    "tunables": {"g": {"cost": 1, "params": {"x": {"type": "int", "range": [0, 99], "default": 5}}}},
    "shell_env_params": ["x", "trial_id"],
}


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch):
    monkeypatch.setattr(pool_module, "REST", 0.01)


def score(phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
    return {"metrics": {"score": int(task["env"]["x"]) * 10}} if phase == "run" else {}


def env(answer: Any = score, hosts: Any = "abcd", **given: Any) -> RemoteEnv:
    return RemoteEnv(config=CONFIG, engine=FakeEngine(hosts, answer), **given)


def asked(found: RemoteEnv) -> list[tuple[str, ...]]:
    return [job.hosts for job in found._target.engine.jobs]  # type: ignore[attr-defined]


@pytest.mark.smoke
def test_each_trial_is_run_once_and_has_its_own_values():
    with env() as bench:
        results = list(run_trials(bench, [{"x": n} for n in range(10)], repeat=2))
    assert sorted((r.values["x"], r.request.repeat) for r in results) == [(x, n) for x in range(10) for n in (1, 2)]
    assert all(r.metrics == {"score": r.values["x"] * 10} for r in results)
    assert all(r.status is Status.SUCCEEDED and list(r.phases) == ["setup", "run", "teardown"] for r in results)
    assert sorted(r.params["trial_id"] for r in results) == list(range(1, 21))
    assert {host for r in results for host in r.hosts} <= set("abcd")


def test_the_hosts_work_at_the_same_time():
    together = threading.Barrier(4, timeout=20)

    def answer(phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
        if phase == "run":
            together.wait()
        return {}

    with env(answer) as bench:
        assert {r.hosts for r in run_trials(bench, [{}] * 4)} == {("a",), ("b",), ("c",), ("d",)}


def test_a_slow_host_takes_fewer():
    def answer(phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
        if phase == "run":
            time.sleep(0.5 if host == "a" else 0.01)
        return {}

    with env(answer, "ab") as bench:
        taken = Counter(r.hosts for r in run_trials(bench, [{"x": n} for n in range(12)]))
    assert taken["b",] > taken["a",]


def test_trials_of_several_hosts():
    with env() as bench:
        results = list(run_trials(bench, [{"x": n} for n in range(5)], hosts_per_trial=2))
        assert {len(r.hosts) for r in results} == {2}
        assert [len(r.phases["run"].hosts) for r in results] == [2] * 5
        with pytest.raises(ConfigError, match="each trial needs 5 hosts, and there are 4"):
            run_trials(bench, [{}], hosts_per_trial=5)


def test_on_some_hosts():
    with env() as bench:
        assert {r.hosts for r in run_trials(bench, [{}] * 6, hosts=["b", "d"])} == {("b",), ("d",)}
        with pytest.raises(ConfigError, match="'z' is not one of its hosts"):
            run_trials(bench, [{}], hosts=["z"])


def test_what_is_refused_before_a_host_is_touched():
    bench = env()
    with pytest.raises(LifecycleError):
        run_trials(bench, [{}])
    with bench:
        with pytest.raises(ParameterError, match="x"):
            run_trials(bench, [{"x": 1}, {"x": 100}])
        with pytest.raises(ConfigError, match="no trials"):
            run_trials(bench, [])
    assert asked(bench) == []


def failing_on(*hosts: str, kind: Kind = Kind.UNREACHABLE, times: int = 10**6) -> Any:
    left = dict.fromkeys(hosts, times)

    def answer(phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
        if phase == "run" and left.get(host, 0) > 0:
            left[host] -= 1
            return {"kind": kind, "rc": None}
        return score(phase, host, task)

    return answer


def test_a_lost_hosts_trial_goes_to_another():
    with env(failing_on("b")) as bench:
        results = list(run_trials(bench, [{"x": n} for n in range(20)]))
    assert sorted(r.values["x"] for r in results) == list(range(20))
    assert all(r.status is Status.SUCCEEDED and r.hosts != ("b",) for r in results)
    assert max(r.attempts for r in results) == 2
    # Two tries, three phases each, and no more.
    assert asked(bench).count(("b",)) == 6


def test_a_host_that_comes_back_goes_on():
    with env(failing_on("a", times=1), "a") as bench:
        results = list(run_trials(bench, [{"x": 1}, {"x": 2}]))
    assert sorted((r.values["x"], r.attempts) for r in results) == [(1, 2), (2, 1)]


def test_when_all_hosts_are_lost_every_trial_still_has_a_result():
    with env(failing_on("a", "b"), "ab") as bench:
        results = list(run_trials(bench, [{"x": n} for n in range(6)]))
    assert sorted(r.values["x"] for r in results) == list(range(6))
    assert all(r.status is Status.FAILED and not r.metrics for r in results)
    assert any("too few hosts are left" in r.error for r in results)


def test_a_benchmark_that_fails_is_a_result_and_no_loss():
    with env(failing_on(*"abcd", kind=Kind.EXIT)) as bench:
        results = list(run_trials(bench, [{"x": n} for n in range(6)]))
    assert [(r.status, r.attempts, r.is_lost) for r in results] == [(Status.FAILED, 1, False)] * 6


def test_cancel_ends_it_with_teardown():
    started = threading.Event()

    def answer(phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
        if phase == "run":
            started.set()
            time.sleep(0.05)
        return {}

    with env(answer, "ab") as bench:
        results = run_trials(bench, [{"x": n} for n in range(50)])
        first = next(results)
        bench.cancel()
        rest = list(results)
        assert first.status is Status.SUCCEEDED
        assert len(rest) <= 4
        assert all(r.phases["teardown"].status is Status.SUCCEEDED for r in rest)
        assert len(list(run_trials(bench, [{}]))) == 1


def test_who_leaves_the_loop_leaves_nothing_behind():
    with env() as bench:
        for result in run_trials(bench, [{"x": n} for n in range(50)]):
            del result
            break
        phases = Counter(job.playbook.split("\n")[1].split()[2] for job in bench._target.engine.jobs)  # type: ignore[attr-defined]
        assert phases["Setup"] <= phases["Teardown"] < 20
        assert not [t for t in threading.enumerate() if t.name.startswith("ansible_env-trial")]


def test_results_are_told_as_they_come(tmp_path):
    told = []
    with env() as bench:
        results = list(run_trials(bench, [{"x": 1}, {"x": 2}], on_result=told.append, artifacts=tmp_path))
    assert told == results
    journal = Journal.open(tmp_path / "trial-2")
    assert journal.status("teardown") == "SUCCEEDED"
    assert journal.recall("hosts") == list(results[[r.request.number for r in results].index(2)].hosts)


def test_a_bug_is_raised_and_not_swallowed():
    def answer(phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
        raise ZeroDivisionError

    with env(answer) as bench, pytest.raises(ZeroDivisionError):
        list(run_trials(bench, [{}] * 3))


# The plan


def test_a_grid():
    assert grid({"a": [1, 2], "b": ["x"]}) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]
    assert grid({}) == [{}]


def test_each_pass_has_every_configuration_once_in_an_order_of_the_seed():
    sets = [{"x": n} for n in range(8)]
    order = [r.configuration for r in plan(sets, repeat=3, seed=1)]
    assert [sorted(order[i : i + 8]) for i in (0, 8, 16)] == [list(range(8))] * 3
    assert order[:8] != order[8:16]
    assert order == [r.configuration for r in plan(sets, repeat=3, seed=1)]
    assert order != [r.configuration for r in plan(sets, repeat=3, seed=2)]
    assert [r.configuration for r in plan(sets)] == list(range(8))


def test_repetitions_go_to_hosts_that_do_not_know_the_configuration():
    source = PlannedTrials(plan([{"x": 1}, {"x": 2}], repeat=2))
    given = [source.take([host], [Need(1)]) for host in ("a", "a", "b", "b")]
    places = Counter((request.configuration, hosts) for request, hosts in given)  # type: ignore[misc]
    assert set(places.values()) == {1}
    assert source.take(["a"], [Need(1)]) is None


@given(st.integers(1, 5), st.integers(1, 4), st.lists(st.sampled_from("abc"), min_size=30, max_size=60))
def test_nothing_is_forgotten_whoever_comes(configurations, repeat, free):
    source = PlannedTrials(plan([{"x": n} for n in range(configurations)], repeat=repeat, seed=0))
    numbers = [taken[0].number for host in free if (taken := source.take([host], [Need(1)]))]
    assert sorted(numbers) == list(range(1, configurations * repeat + 1))


def test_a_calibration_is_the_same_on_every_host():
    with env() as bench:
        requests = list(plan_calibration(bench.hosts, {"x": 3}, repeat=2))
        results = list(Pool(bench, run=run_in(None)).run(PlannedTrials(requests)))
    assert Counter(r.hosts for r in results) == Counter({(h,): 2 for h in "abcd"})
    with pytest.raises(ConfigError, match="compares hosts"):
        list(plan_calibration(["a"], {}))


# Ask and tell


def test_ask_and_tell():
    heard: list[Any] = []
    numbers = iter(range(7))

    def ask() -> Any:
        n = next(numbers)
        heard.append(("ask", n))
        return SimpleNamespace(params={"x": n})

    with env(hosts="a") as bench:
        for result in Runner(bench).asked(ask, trials=5):
            heard.append(("tell", result.asked.params["x"], result.metrics["score"]))
    assert heard == [told for n in range(5) for told in (("ask", n), ("tell", n, n * 10))]


def test_an_optimizer_ends_it_and_hears_of_a_lost_host_once():
    numbers = iter(range(6))
    with env(failing_on("b")) as bench:
        results = list(Runner(bench).asked(lambda: next((({"x": n}) for n in numbers), None)))
        assert sorted(r.asked["x"] for r in results) == list(range(6))
        assert all(r.status is Status.SUCCEEDED for r in results)


def test_what_an_optimizer_may_ask_for():
    assert values_of({"x": 1}) == {"x": 1}
    assert values_of(SimpleNamespace(config={"x": 1})) == {"x": 1}
    with pytest.raises(ParameterError, match="values="):
        values_of(3)
    with env() as bench, pytest.raises(ParameterError, match="x"):
        list(Runner(bench).asked(lambda: {"x": 1000}, trials=1))


def roles(**more: Any) -> RemoteEnv:
    steps = [{"hosts": "d", "script": "serve"}, {"hosts": "l", "script": "load"}]
    groups = {"d": ["d1", "d2"], "l": ["l1", "l2", "l3", "l4"]}
    engine = FakeEngine([host for hosts in groups.values() for host in hosts], groups=groups)
    return RemoteEnv(config={**CONFIG, "run": steps, **more}, engine=engine)


def test_hosts_of_each_role():
    with roles(run=["measure"]) as bench:
        results = list(run_trials(bench, [{"x": n} for n in range(6)], hosts_per_trial={"d": 1, "l": 2}))
        assert {"".join(host[0] for host in r.hosts) for r in results} == {"dll"}
        assert {host for r in results for host in r.hosts} == set(bench.hosts)
        answers = iter([{"x": 1}] * 3)
        asked_for = list(Runner(bench, hosts_per_trial={"d": 2}).asked(lambda: next(answers, None)))
        assert {r.hosts for r in asked_for} == {("d1", "d2")}


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        (1, "a trial may have no host for the step with the hosts 'd'"),
        (4, "a trial may have no host for the step with the hosts 'd'"),
        ({"d": 1}, "no host for the step with the hosts 'l'"),
        ({"d": 3, "l": 1}, "each trial needs 3 hosts of 'd', and there are 2"),
        ({"d": 1, "all": 2}, "d[12] is one of 'd' and of 'all'"),
        ({}, "at least one host"),
    ],
)
def test_a_step_without_a_host_is_refused_up_front(needs, message):
    with roles() as bench:
        with pytest.raises(ConfigError, match=message):
            run_trials(bench, [{}], hosts_per_trial=needs)
        assert asked(bench) == []


@pytest.mark.parametrize("needs", [5, {"d": 1, "l": 1}])
def test_a_step_that_always_has_a_host(needs):
    with roles() as bench:
        assert Pool(bench, hosts_per_trial=needs, run=run_in(None))
