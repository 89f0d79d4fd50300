"""Results of a host and of a group, and their plain data."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_env.results.aggregate import group_metrics
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import OUTCOMES, Kind
from ansible_env.results.phase_result import (
    HostsUnreachable,
    PhaseCanceled,
    PhaseError,
    PhaseFailed,
    PhaseResult,
    PhaseTimedOut,
    deciding_phase,
    phase_result,
)
from ansible_env.results.status import Status
from ansible_env.results.trial import Trial
from ansible_env.storage.store import Store

NOW = datetime(2025, 11, 22, 20, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1.5)


def host(name: str = "h", kind: Kind = Kind.OK, **fields: Any) -> HostResult:
    return HostResult(name, kind, **fields)


def group(*kinds: Kind) -> PhaseResult:
    return phase_result("run", [host(f"h{n}", kind, message=str(kind)) for n, kind in enumerate(kinds)])


@pytest.mark.parametrize("result", [host(), group(Kind.OK)])
def test_results_are_frozen_and_slotted(result):
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.message = "changed"
    assert not hasattr(result, "__dict__")


@pytest.mark.parametrize("kind", Kind)
def test_a_host_takes_status_and_blame_from_its_kind(kind):
    assert host(kind=kind).status is OUTCOMES[kind].status
    assert host(kind=kind).is_infrastructure_failure is OUTCOMES[kind].infrastructure


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        ([Kind.OK], "SUCCEEDED"),
        ([Kind.OK, Kind.OK], "SUCCEEDED"),
        ([Kind.OK, Kind.EXIT], "FAILED"),
        ([Kind.OK, Kind.TIMEOUT], "TIMED_OUT"),
        ([Kind.EXIT, Kind.TIMEOUT], "FAILED"),
        # Somebody asked for the end: what else went wrong then is nothing to learn from.
        ([Kind.OK, Kind.CANCELED], "CANCELED"),
        ([Kind.EXIT, Kind.CANCELED, Kind.TIMEOUT], "CANCELED"),
        # A host that was not asked is a failure of the group.
        ([Kind.NOT_RUN], "FAILED"),
        ([Kind.OK, Kind.NOT_RUN], "FAILED"),
        ([Kind.TIMEOUT, Kind.NOT_RUN], "TIMED_OUT"),
        ([], "FAILED"),
    ],
)
def test_the_group_is_as_its_worst_host(kinds, status):
    assert group(*kinds).status is Status[status]
    assert group(*reversed(kinds)).status is Status[status]


@given(st.lists(st.sampled_from(Kind), min_size=1))
def test_a_group_succeeds_only_where_all_do(kinds):
    assert group(*kinds).status.is_succeeded() is all(kind is Kind.OK for kind in kinds)
    assert group(*kinds).status.is_completed()


@pytest.mark.parametrize(
    ("kinds", "error"),
    [
        ([Kind.EXIT], PhaseFailed),
        ([Kind.NOT_RUN], PhaseFailed),
        ([Kind.UNREACHABLE, Kind.OK], HostsUnreachable),
        ([Kind.UNREACHABLE, Kind.AUTH], HostsUnreachable),
        ([Kind.UNREACHABLE, Kind.EXIT], PhaseFailed),
        ([Kind.BECOME], PhaseFailed),
        ([Kind.TIMEOUT, Kind.OK], PhaseTimedOut),
        ([Kind.CANCELED, Kind.UNREACHABLE], PhaseCanceled),
        ([], PhaseFailed),
    ],
)
def test_raise_for_status(kinds, error):
    result = group(*kinds)
    with pytest.raises(PhaseError) as caught:
        result.raise_for_status()
    assert type(caught.value) is error
    assert caught.value.result is result
    assert str(caught.value) == result.summary()
    assert isinstance(caught.value, TimeoutError) is (error is PhaseTimedOut)


def test_raise_for_status_of_a_success_returns_it():
    result = group(Kind.OK)
    assert result.raise_for_status() is result
    assert not result.unreachable
    assert result.failed_hosts == ()


def test_summary():
    result = phase_result(
        "run",
        [
            host("a"),
            host("b", Kind.EXIT, message="exit status 1", stderr="1\n2\n3\n\n4\n5\n6\n"),
            host("c", Kind.METRICS_MISSING, message="not in the output: x", stdout="only this\n"),
        ],
        "ERROR! said Ansible",
    )
    assert result.summary().splitlines() == [
        "run FAILED",
        "ERROR! said Ansible",
        "b: exit: exit status 1",
        *(f"    {n}" for n in range(2, 7)),
        "c: metrics_missing: not in the output: x",
        "    only this",
    ]
    assert group(Kind.OK).summary() == "run SUCCEEDED"


def test_to_dict_is_plain_json():
    one = host(
        "h", Kind.TIMEOUT, rc=143, metrics={"x": 1, "y": "z", "t": True, "n": None}, metrics_partial=True, started=NOW,
        finished=LATER, left_running=(7,), stdout="ü\ufffd",
    )  # fmt: skip
    data = json.loads(json.dumps(phase_result("run", [one, host("i")]).to_dict()))
    assert (data["phase"], data["status"], list(data["hosts"])) == ("run", "TIMED_OUT", ["h", "i"])
    told = data["hosts"]["h"]
    assert (told["status"], told["kind"], told["rc"]) == ("TIMED_OUT", "timeout", 143)
    assert datetime.fromisoformat(told["started"]) == NOW
    assert (told["left_running"], told["metrics"]["y"], told["metrics_partial"]) == ([7], "z", True)
    assert set(told) == {field.name for field in dataclasses.fields(HostResult)} | {"status", "elapsed"}


def test_times():
    assert host(started=NOW, finished=LATER).elapsed == 1.5
    assert host(started=NOW).elapsed is None
    assert host(finished=NOW).elapsed is None
    assert phase_result("run", [host("a", finished=NOW), host("b", finished=LATER), host("c")]).finished == LATER
    assert phase_result("run", [host("a")]).finished.tzinfo is UTC


# Metrics of the group

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([], {}),
        ([{"x": 1, "s": "a", "n": None}], {"x": 1, "s": "a", "n": None}),
        ([{"x": 1}, {"x": 2}], {"x": 1.5}),
        ([{"x": 1}, {}], {"x": 1.0}),
        ([{"x": 1}, {"y": 2}], {"x": 1.0, "y": 2.0}),
        ([{"v": "1.2"}, {"v": "1.2"}], {"v": "1.2"}),
        ([{"v": "1.2"}, {"v": "1.3"}], {}),
        ([{"x": 1}, {"x": "none"}], {}),
        ([{"b": True}, {"b": True}], {"b": True}),
        ([{"b": True}, {"b": False}], {}),
        ([{"x": INF}, {"x": 1}], {"x": INF}),
        # What a script prints must not raise here, whatever it is.
        ([{"x": 1e308}, {"x": 1e308}], {"x": 1e308}),
        ([{"x": 10**400}, {"x": 1}], {"x": INF}),
        ([{"x": -(10**400)}, {"x": 1}], {"x": -INF}),
    ],
)
def test_metrics_of_a_group(sets, expected):
    assert group_metrics(sets) == expected


def test_the_mean_of_opposite_infinities_is_no_number():
    assert math.isnan(group_metrics([{"x": INF}, {"x": -INF}])["x"])  # type: ignore[arg-type]
    assert math.isnan(group_metrics([{"x": NAN}, {"x": 1}])["x"])  # type: ignore[arg-type]


@given(st.lists(st.dictionaries(st.sampled_from("xy"), st.integers() | st.floats() | st.text() | st.booleans())))
def test_metrics_of_any_group(sets):
    assert set(group_metrics(sets)) <= {"x", "y"}


def test_only_hosts_that_succeeded_count_for_the_group():
    result = phase_result("run", [host("a", metrics={"x": 1}), host("b", Kind.TIMEOUT, metrics={"x": 99})])
    assert result.metrics == {"x": 1}


# The phase that decides a trial

PHASES = {
    "nothing": ({}, None),
    "all succeed": ({"boot": Kind.OK, "setup": Kind.OK, "run": Kind.OK, "teardown": Kind.OK}, "run"),
    "teardown fails": ({"setup": Kind.OK, "run": Kind.OK, "teardown": Kind.EXIT}, "run"),
    "no host after reboot": ({"boot": Kind.UNREACHABLE, "teardown": Kind.OK}, "boot"),
    "setup fails": ({"setup": Kind.EXIT, "teardown": Kind.OK}, "setup"),
    "run after a setup that failed": ({"setup": Kind.EXIT, "run": Kind.OK, "teardown": Kind.OK}, "setup"),
    "run fails": ({"setup": Kind.OK, "run": Kind.TIMEOUT, "teardown": Kind.OK}, "run"),
    "setup alone": ({"setup": Kind.OK}, "setup"),
    "teardown alone": ({"teardown": Kind.EXIT}, "teardown"),
}


@pytest.mark.parametrize(("kinds", "deciding"), PHASES.values(), ids=PHASES)
def test_everybody_agrees_which_phase_decides_a_trial(kinds, deciding, tmp_path):
    phases = {name: phase_result(name, [host(kind=kind)]) for name, kind in kinds.items()}
    trial = Trial("e", phases=phases).finish()
    status = phases[deciding].status if deciding else Status.READY
    for result in (deciding_phase(phases), trial.deciding):
        assert (result.phase if result else None) == deciding
    assert trial.status is status
    with Store(tmp_path / "store.sqlite") as store:
        stored = store.trial(store.add_trial(trial))
    assert (stored.phase, stored.status) == (deciding, status)


@pytest.mark.parametrize("kind", [PhaseFailed, HostsUnreachable, PhaseTimedOut, PhaseCanceled])
def test_an_error_survives_pickle_and_copy(kind):
    error = kind("no", PhaseResult("run", Status.FAILED, {}))
    for found in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(found), str(found), found.result) == (kind, "no", error.result)
