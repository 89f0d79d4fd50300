"""Status against mlos_bench's own (`mlos_bench/environments/status.py`, main)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_env.results.status import COMPLETED_STATUSES, Status, worst

VALUES = {
    "UNKNOWN": 0,
    "PENDING": 1,
    "READY": 2,
    "RUNNING": 3,
    "SUCCEEDED": 4,
    "CANCELED": 5,
    "FAILED": 6,
    "TIMED_OUT": 7,
}

# One row for each method, and the statuses for which it is true. mlos_bench 0.6.2 says FAILED for is_timed_out.
METHODS = {
    "is_good": "PENDING READY RUNNING SUCCEEDED",
    "is_completed": "SUCCEEDED CANCELED FAILED TIMED_OUT",
    "is_pending": "PENDING",
    "is_ready": "READY",
    "is_running": "RUNNING",
    "is_succeeded": "SUCCEEDED",
    "is_canceled": "CANCELED",
    "is_failed": "FAILED",
    "is_timed_out": "TIMED_OUT",
}


def test_names_and_values():
    assert {status.name: status.value for status in Status} == VALUES


@pytest.mark.parametrize("method", METHODS)
def test_methods(method):
    assert {status.name for status in Status if getattr(status, method)()} == set(METHODS[method].split())


def test_every_method_is_in_the_table():
    assert {name for name in vars(Status) if name.startswith("is_")} == set(METHODS)


def test_completed_statuses():
    assert Status.completed_statuses() == {status for status in Status if status.is_completed()}
    assert Status.completed_statuses() is COMPLETED_STATUSES


@pytest.mark.parametrize("status", Status)
def test_parse_takes_every_form_of_a_status(status):
    name, number = status.name, status.value
    for form in (status, name, name.lower(), f"  {name.title()}\n", number, str(number), f" {number} "):
        assert Status.parse(form) is status, form


@pytest.mark.parametrize(
    "value", [None, "", " ", "no such", "8", "-1", "--1", -1, 8, True, False, "4.0", "IS_GOOD", "²", "9" * 5000]
)
def test_parse_gives_unknown_for_what_is_none(value):
    assert Status.parse(value) is Status.UNKNOWN


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.text()))
def test_parse_never_raises(value):
    assert Status.parse(value) in Status


ORDER = ["FAILED", "TIMED_OUT", "CANCELED", "UNKNOWN", "PENDING", "RUNNING", "READY", "SUCCEEDED"]


def test_worst_is_a_total_order():
    assert set(ORDER) == set(VALUES)
    for bad, good in itertools.combinations(ORDER, 2):
        assert worst([Status[good], Status[bad], Status[good]]) is Status[bad]


def test_worst_of_nothing_is_unknown():
    assert worst([]) is Status.UNKNOWN
