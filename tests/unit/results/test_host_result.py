"""The result of a host, and how those of several scripts become one."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_env.results import host_result
from ansible_env.results.host_result import HostResult, combine
from ansible_env.results.outcomes import Kind

NOW = datetime(2025, 11, 22, 20, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1.5)


def host(name: str = "h", kind: Kind = Kind.OK, **fields: Any) -> HostResult:
    return HostResult(name, kind, **fields)


def test_combine_of_one_is_that_one():
    one = host(rc=0, metrics={"x": 1})
    assert combine([one]) is one


def test_combine_of_successes():
    both = combine(
        [
            host(rc=0, metrics={"x": 1, "y": 1}, started=NOW, finished=NOW, stdout="a", stderr="b", stdout_log="/l",
                 reconnects=1, left_running=(1,), message="succeeded"),
            host(rc=0, metrics={"x": 2}, started=LATER, finished=LATER, stdout="c", stderr="d", truncated=True,
                 reconnects=2, left_running=(2,), message="succeeded"),
        ]
    )  # fmt: skip
    assert (both.kind, both.rc, both.metrics) == (Kind.OK, 0, {"x": 2, "y": 1})
    assert (both.started, both.finished, both.elapsed) == (NOW, LATER, 1.5)
    assert (both.stdout, both.stderr, both.truncated) == ("ac", "bd", True)
    assert (both.stdout_log, both.reconnects, both.left_running) == ("/l", 3, (1, 2))


def test_elapsed_of_a_host_whose_clock_was_set():
    assert host(started=NOW, finished=LATER + timedelta(hours=2), clock_step=7200.0).elapsed == 1.5
    assert host(started=NOW, finished=LATER - timedelta(hours=2), clock_step=-7200.0).elapsed == 1.5


def test_combine_reports_the_failure():
    bad = host(kind=Kind.EXIT, rc=3, message="exit status 3", metrics={"x": 9}, metrics_partial=True)
    both = combine([host(rc=0, metrics={"y": 1}), bad])
    assert (both.kind, both.rc, both.message, both.metrics_partial) == (Kind.EXIT, 3, "exit status 3", True)
    assert both.metrics == {"y": 1, "x": 9}


def test_combine_of_an_allowed_restart_has_no_exit_status_of_its_own():
    assert combine([host(rc=0), host(rc=None)]).rc == 0
    assert combine([host(rc=0), host(kind=Kind.LOST_RESULT, rc=None)]).rc is None


def test_every_field_has_one_rule_for_combining():
    names = [field.name for field in dataclasses.fields(HostResult)]
    assert sorted([*host_result._OF_DECIDING, *host_result._COMBINED]) == sorted(names)


def test_no_field_is_lost_when_results_are_combined():
    full = HostResult(
        "h", Kind.EXIT, "exit status 1", 1, {"x": 1}, metrics_partial=True, started=NOW, finished=LATER, stdout="out",
        stderr="err", truncated=True, stdout_log="/o", stderr_log="/e", task="t", reconnects=2, left_running=(7,),
        leftovers=("8 sleep",), disturbance={"steal_percent": 3.0}, disturbed="steal", resources={"cpu_user_s": 1.0},
        telemetry=((NOW, "cpu", 0.5),), clock_offset=0.1, clock_error=0.2, clock_step=7200.0, exports={"A": "1"},
        attempts=3, files=("a",), files_dir="/d", files_note="older than the script: a",
    )  # fmt: skip
    defaults = host()
    for field in dataclasses.fields(HostResult):
        if field.name != "host":
            assert getattr(full, field.name) != getattr(defaults, field.name), f"give {field.name} a value here"
    assert combine([host(rc=0), full]) == full
