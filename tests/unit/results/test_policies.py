"""When a group has succeeded, and how a phase goes on without some of its hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_env.config.model import EnvironmentConfig
from ansible_env.environment.deadlines import batches
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import OUTCOMES, Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.results.policies import GroupPolicy, Success
from ansible_env.results.status import Status
from ansible_env.storage.journal import Journal
from ansible_env.testing import FakeEngine

OK, EXIT, GONE, AUTH, LATE = Kind.OK, Kind.EXIT, Kind.UNREACHABLE, Kind.AUTH, Kind.TIMEOUT
CONFIG: dict[str, Any] = {"name": "b", "setup": ["prepare"], "run": ["measure"], "teardown": ["clean"]}


def status(*kinds: Kind, stopped: bool = False, **policy: Any) -> str:
    told = [(kind, OUTCOMES[kind].status) for kind in kinds]
    return GroupPolicy(**policy).group_status(told, stopped=stopped).name


@pytest.mark.parametrize(
    ("rule", "amount", "needed"),
    [
        ("all", 0, 10),
        ("any", 0, 1),
        ("majority", 0, 6),
        ("at_least", 3, 3),
        ("fraction", 0.9, 9),
        ("fraction", 0.01, 1),
    ],
)
def test_how_many_of_ten(rule, amount, needed):
    policy = GroupPolicy(Success(rule, amount))
    good, bad = (OK, Status.SUCCEEDED), (EXIT, Status.FAILED)
    assert policy.group_status([good] * needed + [bad] * (10 - needed)) is Status.SUCCEEDED
    assert policy.group_status([good] * (needed - 1) + [bad] * (11 - needed)) is Status.FAILED


def test_a_group_without_hosts_or_with_too_few_has_failed():
    assert status(success=Success("any")) == "FAILED"
    assert status(OK, OK, success=Success("at_least", 3)) == "FAILED"


def test_what_is_not_enough_has_the_worst_status():
    assert status(OK, LATE, LATE, success=Success("majority")) == "TIMED_OUT"
    assert status(OK, LATE, EXIT, success=Success("majority")) == "FAILED"


@pytest.mark.parametrize(
    ("allowed", "kinds", "expected"),
    [
        (None, [OK, OK, GONE], "FAILED"),
        (1, [OK, OK, GONE], "SUCCEEDED"),
        (1, [OK, OK, AUTH], "SUCCEEDED"),
        (1, [OK, GONE, GONE], "FAILED"),
        (1, [OK, EXIT, GONE], "FAILED"),
        (1, [OK, LATE, GONE], "TIMED_OUT"),
        (0, [OK, OK, GONE], "FAILED"),
        (0.34, [OK, OK, GONE], "SUCCEEDED"),
        (0.3, [OK, OK, GONE], "FAILED"),
        (3, [GONE, GONE, GONE], "FAILED"),
    ],
)
def test_hosts_out_of_reach(allowed, kinds, expected):
    assert status(*kinds, max_unreachable=allowed) == expected


def test_too_many_out_of_reach_are_a_failure_whatever_is_enough():
    assert status(OK, GONE, GONE, success=Success("any"), max_unreachable=1) == "FAILED"
    assert status(OK, GONE, GONE, success=Success("any")) == "SUCCEEDED"


def test_a_cancel_counts_unless_it_was_a_failures():
    assert status(OK, Kind.CANCELED, success=Success("any")) == "CANCELED"
    assert status(LATE, Kind.CANCELED, stopped=True) == "TIMED_OUT"
    assert status(OK, EXIT, Kind.CANCELED, stopped=True) == "FAILED"


@given(st.lists(st.sampled_from(Kind)), st.sampled_from(["any", "majority", "all"]), st.none() | st.integers(0, 3))
def test_no_success_without_a_host_that_succeeded(kinds, rule, allowed):
    found = status(*kinds, success=Success(rule), max_unreachable=allowed)
    assert found != "SUCCEEDED" or OK in kinds
    assert Status[found].is_completed()


def test_metrics_of_the_group_and_of_each_host():
    policy = GroupPolicy(Success("any"), aggregate={"rps": "sum"}, per_host_metrics=True)
    hosts = [
        HostResult("a", OK, metrics={"rps": 1, "ms": 2}),
        HostResult("b", OK, metrics={"rps": 2, "ms": 4}),
        HostResult("c", EXIT, metrics={"rps": 99}),
    ]
    result = phase_result("run", hosts, policy=policy)
    assert result.metrics == {"rps": 3, "ms": 3, "rps{a}": 1, "ms{a}": 2, "rps{b}": 2, "ms{b}": 4}
    assert result.hosts["b"].metrics["rps"] == 2
    assert result.hosts["c"].metrics == {"rps": 99}


# The environment file


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("aggregate", {"x": "avg"}, "aggregate.x: there is no aggregate 'avg'"),
        ("aggregate", {"x": "medain"}, "did you mean 'median'"),
        ("aggregate", 3, "must be a mapping"),
        ("success", "most", "is none of all, any, majority"),
        ("success", {"at_least": 0}, "success.at_least: must be a number of hosts"),
        ("success", {"at_least": True}, "success.at_least: must be a number of hosts"),
        ("success", {"fraction": 1.5}, "success.fraction: must be a share"),
        ("success", {"at_least": 1, "fraction": 1}, "must be all, any"),
        ("max_unreachable", -1, "must be a number of hosts, or a share"),
        ("max_unreachable", "100%", "must be a number of hosts, or a share"),
        ("max_unreachable", True, "must be a number of hosts, or a share"),
        ("retries", -1, "greater than or equal to 0"),
        ("retry_on", ["ok"], "'ok' cannot be retried"),
        ("retry_on", ["unreachabel"], "did you mean 'unreachable'"),
        ("serial", [1, 0], r"serial\[1\]: must be a number of hosts"),
        ("serial", "half", "must be a number of hosts"),
        ("forks", 0, "greater than or equal to 1"),
        ("order", "random", "order"),
        ("on_host_failure", "ignore", "on_host_failure"),
    ],
)
def test_what_is_refused(field, value, words):
    with pytest.raises(ConfigError, match=words):
        EnvironmentConfig.from_mapping(CONFIG | {field: value})


def test_what_is_read():
    config = EnvironmentConfig.from_mapping(
        CONFIG
        | {"aggregate": "max", "success": {"fraction": 0.9}, "max_unreachable": "10%", "retry_on": "timeout"}
        | {"serial": [1, "30%"], "order": "shuffle", "per_host_metrics": True}
    )
    assert config.group_policy == GroupPolicy(Success("fraction", 0.9), 0.1, {"*": "max"}, per_host_metrics=True)
    assert config.retry_on == (Kind.TIMEOUT,)
    with env(serial=[1, "30%"], order="sorted") as found:
        play = found.render("run")
    assert "serial:\n    - 1\n    - 30%\n" in play
    assert "order: sorted" in play


@pytest.mark.parametrize(
    ("serial", "hosts", "expected"),
    [([], 7, [7]), ([3], 7, [3, 3, 1]), ([1, 2], 6, [1, 2, 2, 1]), (["30%"], 10, [3, 3, 3, 1]), (["1%"], 2, [1, 1])],
)
def test_batches_as_ansible_makes_them(serial, hosts, expected):
    assert batches(serial, hosts) == expected


# A phase


def env(answer: Any = None, hosts: Any = ("a", "b", "c"), **given: Any) -> RemoteEnv:
    names = set(EnvironmentConfig.model_fields)
    config = CONFIG | {name: given.pop(name) for name in list(given) if name in names}
    return RemoteEnv(config=config, engine=FakeEngine(hosts, answer), **given)


def asked(found: RemoteEnv) -> list[tuple[str, ...]]:
    return [job.hosts for job in found._target.engine.jobs]  # type: ignore[attr-defined]


def on(place: Mapping[tuple[str, str], list[Kind]]) -> Any:
    """Answer with these kinds, one after the other, for a phase and host; then with successes."""
    left = {key: list(kinds) for key, kinds in place.items()}

    def answer(phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
        kinds = left.get((phase, host), [])
        kind = kinds.pop(0) if kinds else OK
        return {"kind": kind, "rc": 0 if kind is OK else 1, "metrics": {"x": ord(host)} if phase == "run" else {}}

    return answer


def test_hosts_that_failed_in_setup_do_not_run_but_are_torn_down():
    with env(on({("setup", "b"): [EXIT]}), success="any") as found:
        assert found.setup()
        status, _, metrics = found.run()
        found.teardown()
        assert asked(found) == [("a", "b", "c"), ("a", "c"), ("a", "b", "c")]
        assert [job.limit for job in found._target.engine.jobs] == [None, "a,c", None]  # type: ignore[attr-defined]
        assert (status, metrics) == (Status.SUCCEEDED, {"x": 98.0})
        result = found.results["run"]
        assert (set(result.hosts), set(result.dropped)) == ({"a", "c"}, {"b"})
        assert "b: left out because setup failed there: exit" in result.summary()
        assert found.setup()
        assert asked(found)[-1] == ("a", "b", "c")


def test_hosts_that_dropped_out_still_count():
    with env(on({("setup", "b"): [EXIT], ("run", "c"): [EXIT]}), success="majority") as found:
        assert found.setup()
        assert found.run()[0] is Status.FAILED


def test_a_controller_that_takes_up_a_trial_knows_who_dropped_out(tmp_path):
    with env(on({("setup", "b"): [EXIT]}), success="any", journal=Journal(tmp_path)) as found:
        found.setup()
        found.journal.begin_phase("run")
    journal = Journal.open(tmp_path)
    with env(success="any", journal=journal) as again:
        result = again.attach()
        assert asked(again) == [("a", "c")]
        assert list(result.dropped) == ["b"]


@pytest.mark.slow
def test_retries_are_for_the_hosts_that_need_them():
    with env(on({("run", "a"): [GONE, GONE], ("run", "b"): [EXIT]}), retries=2, success="any") as found:
        found.setup()
        found.run()
        assert asked(found)[1:] == [("a", "b", "c"), ("a",), ("a",)]
        hosts = found.results["run"].hosts
        assert list(hosts) == ["a", "b", "c"]
        assert [(host.kind, host.attempts) for host in hosts.values()] == [(OK, 3), (EXIT, 1), (OK, 1)]
        keys = {job.key for job in found._target.engine.jobs[1:]}  # type: ignore[attr-defined]
        assert len(keys) == 1
        assert keys != {None}


def test_retries_come_to_an_end():
    with env(on({("run", "a"): [LATE] * 9}), retries=1, retry_on=["timeout"]) as found:
        found.setup()
        assert found.run()[0] is Status.TIMED_OUT
        assert found.results["run"].hosts["a"].attempts == 2


def test_a_run_that_was_disturbed_is_repeated(tmp_path):
    """Only where it was, only run, and at most `retries` times; the last result counts."""
    noise = {"a": ["steal", "steal", "steal"], "b": ["steal"]}

    def answer(phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
        left = noise.get(host, [])
        return {"kind": OK, "rc": 0, "disturbed": "always" if phase != "run" else left.pop(0) if left else ""}

    with env(answer, on_disturbed="retry", retries=2, journal=Journal(tmp_path)) as found:
        found.setup()
        assert found.run()[0].is_succeeded()
        assert asked(found) == [("a", "b", "c"), ("a", "b", "c"), ("a", "b"), ("a",)]
        hosts = found.results["run"].hosts
        assert [(host.disturbed, host.attempts) for host in hosts.values()] == [("steal", 3), ("", 2), ("", 1)]
    noise["a"] = ["steal"]
    with env(answer, retries=2) as found:
        found.setup()
        found.run()
        assert asked(found) == [("a", "b", "c")] * 2
    with pytest.raises(ConfigError, match="retries nothing, because 'retries' is 0"):
        env(on_disturbed="retry")


def test_what_was_written_down_of_a_script_is_forgotten_before_another_attempt(tmp_path):
    journal = Journal(tmp_path)
    with env(on({("run", "a"): [GONE]}), retries=1, journal=journal) as found:
        found.setup()
        results = journal.results("run")
        results.mkdir(parents=True)
        (results / "1.json").write_text('{"kind": "unreachable"}')
        (results / "2.json").write_text('{"kind": "ok"}')
        assert found.run()[0].is_succeeded()
        assert [path.name for path in results.iterdir()] == ["2.json"]


def test_stop_ends_the_others():
    with env(on({("run", "a"): [EXIT]}), on_host_failure="stop") as found:
        found.setup()
        status, _, _ = found.run()
        hosts = found.results["run"].hosts
        assert status is Status.FAILED
        assert [host.kind for host in hosts.values()] == [EXIT, Kind.CANCELED, Kind.CANCELED]
        assert hosts["b"].message == "ended because a had failed"
        found.teardown()
        assert found.results["teardown"].status.is_succeeded()
        assert found.setup()


def test_continue_goes_on():
    with env(on({("run", "a"): [EXIT]})) as found:
        found.setup()
        found.run()
        assert [host.kind for host in found.results["run"].hosts.values()] == [EXIT, OK, OK]


def test_a_cancel_by_the_caller_is_one_also_with_stop():
    with env(on_host_failure="stop") as found:
        found.setup()
        found.cancel()
        assert found.run()[0] is Status.CANCELED
