"""From events to results: every kind of outcome, and that nothing at all makes a success of what is none."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.metrics.validity import NO_RULES, MetricRules
from ansible_env.results.outcomes import OUTCOMES, Kind
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.status import Status
from ansible_env.supervisor.ending import Ending
from ansible_env.supervisor.protocol import Reply, State
from ansible_env.supervisor.report import judge_metrics, nothing_to_run, refused
from ansible_env.supervisor.script import Script
from ansible_env.supervisor.verdict import unreachable, verdict
from ansible_env.testing import phase_event, stats_event, task_event, unreachable_event
from tests.folding import fold

POSITIVE = MetricRules.parse((), {"x": "> 0"})


def folded(*events: Any, hosts: Any = ("h",), **arguments: Any) -> PhaseResult:
    return fold("run", events, hosts, **arguments)


def one(*events: Any, **arguments: Any) -> Any:
    result = folded(*events, **arguments)
    assert list(result.hosts) == ["h"]
    return result.hosts["h"]


def failed(res: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return task_event("h", "runner_on_failed", task="Install it", res=res or {"msg": "no package"}, **more)


# Kinds that fold finds by itself, without a word from the supervisor.
BY_EVIDENCE: dict[str, tuple[Kind, list[Any], dict[str, Any]]] = {
    "no event at all": (Kind.NOT_RUN, [], {}),
    "only the recap": (Kind.NOT_RUN, [stats_event()], {}),
    "another host's success": (Kind.NOT_RUN, [phase_event("other")], {}),
    "stopped by any_errors_fatal or serial": (Kind.NOT_RUN, [task_event("h", res={"rc": 0})], {}),
    "check mode": (Kind.NOT_RUN, [task_event("h", "runner_on_skipped", action=PHASE_TASK, res={"skipped": True})], {}),
    "one script of two": (Kind.NOT_RUN, [phase_event("h")], {"scripts": 2}),
    "one script of two, told twice": (Kind.NOT_RUN, [phase_event("h", task_uuid="a")] * 2, {"scripts": 2}),
    "nothing was due, as after attach": (Kind.NOT_RUN, [], {"scripts": 0}),
    "an author's task that looks like ours": (
        Kind.NOT_RUN,
        [task_event("h", res={"ansible_env": 1, "kind": "ok", "rc": 0})],
        {},
    ),
    "a phase task of the author's own, and not the one that proves the end": (
        Kind.TASK,
        [phase_event("h"), failed()],
        {"finish": "Finish run"},
    ),
    "a task of the author's failed": (Kind.TASK, [failed()], {}),
    "it failed after our script": (Kind.TASK, [phase_event("h"), failed()], {"scripts": 2}),
    "an author's failed task, ignored": (Kind.NOT_RUN, [failed(ignore_errors=True)], {}),
    "unreachable before any task of ours": (Kind.UNREACHABLE, [unreachable_event("h")], {}),
    "unreachable in an author's task": (
        Kind.UNREACHABLE,
        [task_event("h", "runner_on_unreachable", res={"msg": "ssh: connect to host h port 22: No route to host"})],
        {},
    ),
    "unreachable and ignored": (Kind.UNREACHABLE, [unreachable_event("h"), stats_event()], {}),
    "wrong key": (Kind.AUTH, [unreachable_event("h", "joe@h: Permission denied (publickey).")], {}),
    "another host key": (Kind.AUTH, [unreachable_event("h", "Host key verification failed.")], {}),
    "sudo in our task": (
        Kind.BECOME,
        [task_event("h", "runner_on_failed", action=PHASE_TASK, res={"msg": "Missing sudo password"})],
        {},
    ),
    "sudo in an author's task": (Kind.BECOME, [failed({"msg": "Incorrect sudo password"})], {}),
    "sudo asks for ever": (
        Kind.BECOME,
        [unreachable_event("h", "Timeout (12s) waiting for privilege escalation prompt: ")],
        {},
    ),
    "a playbook that does not parse": (Kind.CONTROLLER, [], {"message": "ERROR! syntax error"}),
    "our plugin crashed": (
        Kind.CONTROLLER,
        [task_event("h", "runner_on_failed", action=PHASE_TASK, res={"msg": "Unexpected failure"})],
        {},
    ),
    "a result above ansible-runner's limit": (Kind.CONTROLLER, [task_event("h", action=PHASE_TASK, res={})], {}),
    "a result that is none": (Kind.CONTROLLER, [task_event("h", action=PHASE_TASK, res=None)], {}),
    "a result without our mark": (Kind.CONTROLLER, [task_event("h", action=PHASE_TASK, res={"rc": 0})], {}),
    "ok with another exit status": (Kind.CONTROLLER, [phase_event("h", rc=1)], {}),
    "ok without one": (Kind.CONTROLLER, [phase_event("h", rc=None)], {}),
    "ok with a status that is no number": (Kind.CONTROLLER, [phase_event("h", rc=False)], {}),
    "ok in a failed task": (
        Kind.CONTROLLER,
        [{**phase_event("h"), "event": "runner_on_failed"}],
        {},
    ),
    "a kind from the future": (
        Kind.CONTROLLER,
        [task_event("h", action=PHASE_TASK, res={"ansible_env": 2, "kind": "splendid", "rc": 0})],
        {},
    ),
    "a deadline of ours": (Kind.TIMEOUT, [], {"stopped": "timeout"}),
    "a deadline after an author's task": (Kind.TIMEOUT, [task_event("h")], {"stopped": "timeout"}),
    "a deadline after a rescued failure": (Kind.TIMEOUT, [failed(), task_event("h")], {"stopped": "timeout"}),
    "a failure, then the deadline for others": (Kind.TASK, [failed()], {"stopped": "timeout"}),
    "a cancel": (Kind.CANCELED, [], {"stopped": "canceled"}),
    "a cancel with words of Ansible": (Kind.CANCELED, [], {"stopped": "canceled", "message": "ERROR! interrupted"}),
    "a script that timed out while we canceled": (
        Kind.TIMEOUT,
        [phase_event("h", kind=Kind.TIMEOUT, rc=143)],
        {"stopped": "canceled"},
    ),
    "done before the cancel": (Kind.OK, [phase_event("h")], {"stopped": "canceled"}),
    "a metric that no script gave": (Kind.METRICS_MISSING, [phase_event("h")], {"rules": MetricRules(["score"])}),
    "a metric that breaks a rule": (Kind.METRICS_INVALID, [phase_event("h", metrics={"x": -1})], {"rules": POSITIVE}),
    "a rescued failure before the script": (Kind.OK, [failed(), phase_event("h")], {}),
    "an ignored failure before the script": (Kind.OK, [failed(ignore_errors=True), phase_event("h")], {}),
    "a restart that was allowed": (Kind.OK, [phase_event("h", rc=None, rebooted=True)], {}),
    "a restart with another exit status": (Kind.CONTROLLER, [phase_event("h", rc=1, rebooted=True)], {}),
    "two scripts": (Kind.OK, [phase_event("h"), phase_event("h")], {"scripts": 2}),
    "success and failure of the same task": (
        Kind.EXIT,
        [phase_event("h", kind=Kind.EXIT, rc=1, task_uuid="a"), phase_event("h", task_uuid="a")],
        {},
    ),
    "the second of two scripts": (
        Kind.SIGNAL,
        [phase_event("h"), phase_event("h", kind=Kind.SIGNAL, rc=137)],
        {"scripts": 2},
    ),
}


@pytest.mark.parametrize("case", BY_EVIDENCE)
def test_kind_by_evidence(case):
    kind, events, arguments = BY_EVIDENCE[case]
    result = folded(*events, **arguments)
    host = result.hosts["h"]
    assert host.kind is kind
    assert host.message
    assert host.status is OUTCOMES[kind].status
    group = {Status.UNKNOWN: Status.FAILED}.get(host.status, host.status)
    assert result.status is group


SCRIPT = Script(text="x", run_id="r", timeout=9)


def ending(state: State = State.DONE, rc: int | None = None, **more: Any) -> Ending:
    reply = {name: more.pop(name) for name in list(more) if name in Reply.__dataclass_fields__}
    return Ending(Reply(state, rc, **reply), **more)


# Kinds that come from the target, as the phase task words them.
BY_VERDICT: dict[str, tuple[Kind, tuple[Kind, str]]] = {
    "exit 0": (Kind.OK, verdict(ending(rc=0), SCRIPT)),
    "exit 1": (Kind.EXIT, verdict(ending(rc=1), SCRIPT)),
    "exit 255": (Kind.EXIT, verdict(ending(rc=255), SCRIPT)),
    "exit 137": (Kind.EXIT, verdict(ending(rc=137), SCRIPT)),
    "kill -9": (Kind.SIGNAL, verdict(ending(rc=137, signaled=True), SCRIPT)),
    "its deadline": (Kind.TIMEOUT, verdict(ending(rc=143, why="timeout"), SCRIPT)),
    "a cancel": (Kind.CANCELED, verdict(ending(rc=143, why="canceled"), SCRIPT)),
    "a cancel that was too late": (Kind.OK, verdict(ending(rc=0, stopped="canceled"), SCRIPT)),
    "a cancel that was not confirmed": (Kind.CANCELED, verdict(ending(State.RUNNING, stopped="canceled"), SCRIPT)),
    "no such shell": (Kind.INTERPRETER, verdict(ending(State.NO_SHELL), SCRIPT)),
    "no setsid": (Kind.INTERPRETER, verdict(ending(State.NO_SETSID), SCRIPT)),
    "a restart": (
        Kind.LOST_RESULT,
        verdict(ending(State.LOST, boot_id="b", first_boot_id="a"), SCRIPT),
    ),
    "a restart that was allowed": (
        Kind.OK,
        verdict(ending(State.LOST, boot_id="b", first_boot_id="a"), SCRIPT, may_reboot=True),
    ),
    "its supervisor was killed": (Kind.LOST_RESULT, verdict(ending(State.LOST), SCRIPT)),
    "its directory was removed": (Kind.LOST_RESULT, verdict(ending(State.GONE, first_boot_id="a"), SCRIPT)),
    "output that fills the disk": (Kind.NO_SPACE, verdict(ending(rc=0, why="output"), SCRIPT)),
    "a full disk": (Kind.NO_SPACE, verdict(ending(State.NO_SPACE), SCRIPT)),
    "a disk that fills up at the last moment": (Kind.NO_SPACE, verdict(ending(rc=1, why="unstarted"), SCRIPT)),
    "a killed collector": (Kind.LOST_RESULT, verdict(ending(rc=0, why="collector"), SCRIPT)),
    "never started, as attach finds": (Kind.NOT_RUN, verdict(ending(State.GONE), SCRIPT, attached=True)),
    "a host that stayed away": (Kind.UNREACHABLE, verdict(ending(State.LOST, broken="Broken pipe"), SCRIPT)),
    "a host that has another key now": (
        Kind.AUTH,
        verdict(ending(State.LOST, broken="Host key verification failed."), SCRIPT),
    ),
    "no host": (Kind.UNREACHABLE, unreachable("ssh: connect to host h port 22: Connection refused")),
    "no login": (Kind.AUTH, unreachable("Permission denied (publickey)")),
    "no sudo": (Kind.BECOME, unreachable("sudo: a password is required")),
    "no metrics": (
        Kind.METRICS_MISSING,
        judge_metrics(Kind.OK, "", "x=1", pattern=r"(\w)=(\d)", document=None, rules=MetricRules(["score"]))[:2],
    ),
    "a script that may still run there": (Kind.BUSY, (Kind.BUSY, "nothing was started")),
    "another trial's lease": (Kind.BUSY, verdict(ending(State.BUSY, holder="box/me/bench/1", busy_for=7), SCRIPT)),
    "a host that is not as required": (Kind.UNFIT, (Kind.UNFIT, "load_1m is 3, and must be < 1")),
    "what is no lease": (Kind.BUSY, verdict(ending(State.BUSY), SCRIPT)),
    "bad arguments": (Kind.REJECTED, (Kind.REJECTED, "timeout must be more than 0 seconds")),
}


@pytest.mark.parametrize("case", BY_VERDICT)
def test_kind_by_verdict(case):
    kind, (found, message) = BY_VERDICT[case]
    assert found is kind
    host = one(phase_event("h", kind=kind, rc=0 if kind is Kind.OK else None, msg=message))
    assert (host.kind, host.message) == (kind, message)


def test_every_row_of_the_table_was_reached():
    assert {kind for kind, *_ in (*BY_EVIDENCE.values(), *BY_VERDICT.values())} == set(OUTCOMES)


@pytest.mark.smoke
def test_what_the_phase_task_returns_is_what_fold_reads():
    event = phase_event("h")
    event["event_data"]["res"] = nothing_to_run()
    assert one(event).kind is Kind.OK
    event = phase_event("h", kind=Kind.REJECTED)
    event["event_data"]["res"] = refused(Kind.REJECTED, "no")
    assert (one(event).kind, one(event).message) == (Kind.REJECTED, "no")


@pytest.mark.smoke
def test_fields_of_a_result():
    host = one(
        phase_event(
            "h", metrics={"x": 1}, start="2025-11-22T21:00:00+01:00", end="2025-11-22T20:00:02.5+00:00",
            stdout="x=1\n", stderr="e", truncated=True, stdout_log="/l/h.stdout", stderr_log="/l/h.stderr",
            reconnects=2, left_running=[7, 8], msg="succeeded", leftovers=["8 sleep"],
            disturbance={"steal_percent": 3}, disturbed="steal_percent is 13 (> 10)", resources={"cpu_user_s": 1},
        )
    )  # fmt: skip
    assert host.metrics == {"x": 1}
    assert host.started == datetime(2025, 11, 22, 20, tzinfo=UTC)
    assert host.elapsed == 2.5
    assert (host.stdout, host.stderr, host.truncated) == ("x=1\n", "e", True)
    assert (host.stdout_log, host.stderr_log) == ("/l/h.stdout", "/l/h.stderr")
    assert (host.reconnects, host.left_running, host.rc, host.message) == (2, (7, 8), 0, "succeeded")
    assert (host.leftovers, host.disturbed) == (("8 sleep",), "steal_percent is 13 (> 10)")
    assert (host.disturbance, host.resources) == ({"steal_percent": 3.0}, {"cpu_user_s": 1.0})


def test_fields_of_the_wrong_type_are_left_out():
    host = one(
        phase_event(
            "h", kind=Kind.EXIT, rc="1", metrics=[1], start=5, end="yesterday", stdout=None, stdout_log=3,
            reconnects=True, left_running=7,
        )
    )  # fmt: skip
    assert (host.rc, host.metrics, host.started, host.finished) == (None, {}, None, None)
    assert (host.stdout_log, host.reconnects, host.left_running) == (None, 0, ())
    json.dumps(host.to_dict())


def test_partial_metrics_are_marked():
    host = one(phase_event("h", kind=Kind.TIMEOUT, rc=143, metrics={"x": 1}, metrics_partial=True))
    assert (host.metrics, host.metrics_partial) == ({"x": 1}, True)
    assert folded(phase_event("h", kind=Kind.TIMEOUT, metrics={"x": 1}, metrics_partial=True)).metrics == {}


def test_a_failed_task_is_named():
    host = one(failed({"msg": "no\npackage", "rc": 100}))
    assert (host.task, host.message, host.rc) == ("Install it", "task 'Install it': no package", 100)
    assert one(failed({"module_stderr": "python3: not found"})).message.endswith("python3: not found")
    assert one(failed({"censored": "hidden"})).message == "task 'Install it': failed"


def test_an_unreachable_host_gets_a_hint():
    assert "doctor" in one(unreachable_event("h")).message
    assert "ssh-keyscan" in one(unreachable_event("h", "Host key verification failed.")).message


def test_metrics_from_before_a_failure_are_kept():
    host = one(phase_event("h", metrics={"a": 1}, stdout="a=1\n"), failed(), scripts=2)
    assert (host.kind, host.metrics, host.stdout) == (Kind.TASK, {"a": 1}, "a=1\n")


def test_required_metrics_may_come_from_several_scripts():
    events = [phase_event("h", metrics={"a": 1}), phase_event("h", metrics={"b": 2})]
    assert one(*events, scripts=2, rules=MetricRules(["a", "b"])).kind is Kind.OK
    host = one(*events, scripts=2, rules=MetricRules(["a", "c", "d"]))
    assert (host.kind, host.message) == (Kind.METRICS_MISSING, "not in the output: c, d")
    assert host.metrics == {"a": 1, "b": 2}


def test_missing_metrics_do_not_hide_a_failure():
    assert one(phase_event("h", kind=Kind.EXIT, rc=3), rules=MetricRules(["a"])).kind is Kind.EXIT


def test_a_group_with_a_host_that_was_left_out_has_failed():
    result = folded(phase_event("a"), phase_event("b"), hosts=["a", "b", "c"])
    assert [host.kind for host in result.hosts.values()] == [Kind.OK, Kind.OK, Kind.NOT_RUN]
    assert result.status is Status.FAILED


def test_one_unreachable_of_three_keeps_the_others_metrics():
    result = folded(
        unreachable_event("a"), phase_event("b", metrics={"x": 1}), phase_event("c", metrics={"x": 2}), hosts="abc"
    )
    assert [host.status.name for host in result.hosts.values()] == ["FAILED", "SUCCEEDED", "SUCCEEDED"]
    assert (result.status, result.metrics) == (Status.FAILED, {"x": 1.5})


def test_hosts_are_those_expected_in_their_order():
    events = [phase_event("x"), phase_event("b"), phase_event("a")]
    assert list(folded(*events, hosts=["a", "b"]).hosts) == ["a", "b"]
    assert list(folded(*events, hosts=["b", "a"]).hosts) == ["b", "a"]


def test_no_host_is_a_failure():
    result = folded(phase_event("h"), hosts=[])
    assert (result.status, result.hosts) == (Status.FAILED, {})


def test_the_message_is_ansibles_only_where_it_failed():
    assert folded(message="ERROR! no").message == "ERROR! no"
    assert folded(phase_event("h"), message="a warning").message == ""


def test_events_that_are_not_final_say_nothing():
    for event in ("runner_on_start", "runner_retry", "runner_item_on_ok", "runner_on_async_ok", "playbook_on_stats"):
        assert one({**phase_event("h"), "event": event}).kind is Kind.NOT_RUN


def test_the_order_is_that_of_ansible_runners_counter():
    first = {**phase_event("h", metrics={"x": 1}, stdout="1"), "counter": 1}
    second = {**phase_event("h", metrics={"x": 2}, stdout="2"), "counter": 2}
    host = one(second, first, scripts=2)
    assert (host.metrics, host.stdout) == ({"x": 2}, "12")


# Properties

HOSTS = ["a", "b", "ü"]
NAMES = st.sampled_from([*HOSTS, "stranger"])
UUIDS = st.sampled_from(["t1", "t2", "t3", None])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FINAL = ["runner_on_ok", "runner_on_failed", "runner_on_unreachable", "runner_on_skipped", "runner_on_start"]
FIELDS = [
    "kind", "rc", "metrics", "start", "end", "stdout", "stderr", "truncated", "stdout_log", "reconnects",
    "left_running", "rebooted", "msg", "ansible_env", "metrics_partial",
]  # fmt: skip
METRICS = st.dictionaries(st.sampled_from("xy"), st.integers() | st.floats() | st.text(max_size=3) | st.none())
RESULTS = st.builds(
    lambda host, kind, rc, uuid, metrics, extra: phase_event(
        host, kind=kind, task_uuid=uuid, **({"rc": rc, "metrics": metrics} | extra)
    ),
    NAMES,
    st.sampled_from([*Kind, Kind.OK, Kind.OK, Kind.OK]),
    st.sampled_from([0, 0, 0, 1, 137, None, False, "0"]),
    UUIDS,
    METRICS,
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=2).map(
        lambda extra: {name: value for name, value in extra.items() if name not in ("kind", "rc")}
    ),
)
TASKS = st.builds(
    lambda host, event, action, res, uuid, ignore: task_event(
        host, event, action=action, res=res, task_uuid=uuid, ignore_errors=ignore
    ),
    NAMES,
    st.sampled_from(FINAL),
    st.sampled_from(["command", PHASE_TASK]),
    st.none() | st.just({}) | st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4),
    UUIDS,
    st.booleans(),
)
JUNK = st.fixed_dictionaries(
    {},
    optional={
        "event": JSON | st.sampled_from(FINAL),
        "counter": JSON,
        "event_data": JSON
        | st.fixed_dictionaries(
            {},
            optional={
                "host": NAMES | JSON,
                "task_action": st.just(PHASE_TASK) | JSON,
                "task": JSON,
                "task_uuid": JSON,
                "ignore_errors": JSON,
                "res": JSON | st.dictionaries(st.sampled_from(FIELDS), JSON),
            },
        ),
    },
)
EVENTS = st.lists(RESULTS | TASKS | st.builds(unreachable_event, NAMES) | st.builds(stats_event) | JUNK, max_size=12)
ARGUMENTS = st.fixed_dictionaries(
    {
        "scripts": st.integers(0, 3),
        "stopped": st.sampled_from(["", "timeout", "canceled"]),
        "message": st.sampled_from(["", "ERROR! no"]),
        "rules": st.builds(MetricRules, st.lists(st.sampled_from("xyz"), max_size=2)),
    }
)


def proofs(events: list[Any], host: str) -> set[str]:
    """Return the tasks of ours that the host itself has ended well, read as simply as can be."""
    found = set()
    for event in events:
        data = event.get("event_data")
        if not isinstance(data, dict) or event.get("event") != "runner_on_ok":
            continue
        res = data.get("res")
        if data.get("host") == host and data.get("task_action") == PHASE_TASK and isinstance(res, dict):
            rc = res.get("rc")
            if "ansible_env" in res and ((rc == 0 and type(rc) is int) or (rc is None and res.get("rebooted") is True)):
                found.add(str(data.get("task_uuid") or data.get("uuid")))
    return found


@settings(max_examples=200, deadline=None)
@given(EVENTS, ARGUMENTS)
def test_any_events_give_a_result_and_no_false_success(events, arguments):
    result = fold("run", events, HOSTS, **arguments)
    assert list(result.hosts) == HOSTS
    for name, host in result.hosts.items():
        assert host.host == name
        assert host.status is OUTCOMES[host.kind].status
        if host.status.is_succeeded():
            assert len(proofs(events, name)) >= max(1, arguments["scripts"])
            assert set(arguments["rules"].required) <= set(host.metrics)
    assert result.status.is_succeeded() is all(host.status.is_succeeded() for host in result.hosts.values())
    assert result.status.is_completed()
    json.dumps(result.to_dict())
    assert result.summary()


@settings(max_examples=100, deadline=None)
@given(EVENTS, ARGUMENTS, st.data())
def test_repeated_events_change_nothing(events, arguments, data):
    again = data.draw(st.lists(st.integers(0, len(events) - 1), max_size=6)) if events else []
    twice = [event for n, event in enumerate(events) for _ in range(1 + again.count(n))]
    assert repr(fold("run", twice, HOSTS, **arguments)) == repr(fold("run", events, HOSTS, **arguments))


@settings(max_examples=100, deadline=None)
@given(EVENTS, ARGUMENTS, st.randoms())
def test_the_order_of_numbered_events_changes_nothing(events, arguments, rng):
    numbered = [{**event, "counter": n} for n, event in enumerate(events, 1)]
    shuffled = rng.sample(numbered, len(numbered))
    assert repr(fold("run", shuffled, HOSTS, **arguments)) == repr(fold("run", numbered, HOSTS, **arguments))


@settings(max_examples=100, deadline=None)
@given(st.lists(RESULTS | TASKS, max_size=12), ARGUMENTS.map(lambda found: found | {"stopped": ""}), st.integers())
def test_the_order_of_unnumbered_events_changes_no_status(events, arguments, seed):
    arguments = arguments | {"rules": NO_RULES}
    shuffled = random.Random(seed).sample(events, len(events))
    found, other = fold("run", events, HOSTS, **arguments), fold("run", shuffled, HOSTS, **arguments)
    assert found.status is other.status
    assert [host.status for host in found.hosts.values()] == [host.status for host in other.hosts.values()]


def test_an_unexpected_host_counts_only_if_it_failed():
    stats = {"event": "playbook_on_stats", "event_data": {"failures": {"s": 1}, "dark": {}, "rescued": {"t": 1}}}
    rescued = task_event("t", "runner_on_failed", task="Try", res={"msg": "rescued"})
    broken = task_event("s", "runner_on_failed", task="Deploy", res={"msg": "no server"})
    result = folded(phase_event("h"), rescued, broken, stats)
    assert {name: host.kind for name, host in result.hosts.items()} == {"h": Kind.OK, "s": Kind.TASK}
    assert result.status is Status.FAILED
