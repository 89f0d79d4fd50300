"""Aggregates, against what the standard library and numpy's definitions say of them."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_env.results.aggregate import NAMES, aggregate, cv, function, group_metrics, per_host, stdev

NUMBERS: list[Any] = [4, 1, 3, 10]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sum", 18),
        ("mean", 4.5),
        ("median", 3.5),
        ("min", 1),
        ("max", 10),
        ("count", 4),
        ("stdev", statistics.stdev(NUMBERS)),
        ("cv", statistics.stdev(NUMBERS) / 4.5),
        ("harmonic_mean", statistics.harmonic_mean(NUMBERS)),
        ("geometric_mean", statistics.geometric_mean(NUMBERS)),
        # numpy.percentile([4, 1, 3, 10], …)
        ("p0", 1),
        ("p25", 2.5),
        ("p50", 3.5),
        ("p90", 8.2),
        ("p99", 9.82),
        ("p99.9", 9.982),
    ],
)
def test_each(name, expected):
    assert aggregate(name, NUMBERS) == pytest.approx(expected)
    assert aggregate(name, NUMBERS[::-1]) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["p100", "p", "p-1", "avg", "", "p999"])
def test_what_is_no_aggregate(name):
    assert function(name) is None


@pytest.mark.parametrize("name", sorted({*NAMES} - {"count", "stdev", "cv"}))
def test_of_one_host_it_is_its_own_value_whatever_the_type(name):
    for value in (3, 2.5, "text", True, None):
        assert aggregate(name, [value]) is value
    assert aggregate("count", ["text"]) == 1


def test_one_host_has_no_spread():
    assert group_metrics([{"x": 1}], {"x": "stdev"}) == {}
    assert group_metrics([{"x": 1}], {"x": "cv"}) == {}
    assert stdev([1.0]) is None
    assert cv([0.0, 0.0]) is None


def test_text_counts_and_is_kept_where_all_agree():
    assert aggregate("sum", ["a", "a"]) == "a"
    assert aggregate("sum", ["a", 1]) is None
    assert aggregate("count", ["a", 1]) == 2


@pytest.mark.parametrize("name", ["harmonic_mean", "geometric_mean"])
def test_means_that_are_not_defined(name):
    assert aggregate(name, [-1, 2]) is None
    assert aggregate(name, [0, 2]) == 0


def test_a_name_goes_before_patterns_and_these_in_their_order():
    sets = [{"rps": 1, "a_p99": 1, "a_p50": 1, "n": 1}, {"rps": 2, "a_p99": 5, "a_p50": 3, "n": 3}]
    wanted = {"*_p99": "max", "a_*": "min", "*": "mean", "rps": "sum"}
    assert group_metrics(sets, wanted) == {"rps": 3, "a_p99": 5, "a_p50": 1, "n": 2}


def test_per_host():
    assert per_host({"a": {"x": 1}, "b": {"x": 2, "y": "z"}}) == {"x{a}": 1, "x{b}": 2, "y{b}": "z"}


@given(st.sampled_from([*NAMES, "p1"]), st.lists(st.integers() | st.floats() | st.just(10**400), min_size=1))
def test_whatever_a_script_prints_raises_nothing(name, numbers):
    found = aggregate(name, numbers)
    assert found is None or isinstance(found, int | float)


@given(st.lists(st.floats(0.001, 1e6), min_size=2, max_size=20))
def test_the_order_of_the_means(numbers):
    harmonic, geometric, mean = (aggregate(f"{n}mean", numbers) for n in ("harmonic_", "geometric_", ""))
    assert harmonic <= geometric * (1 + 1e-9) <= mean * (1 + 1e-8)  # type: ignore[operator]
    assert math.isclose(aggregate("sum", numbers), math.fsum(numbers))  # type: ignore[arg-type]


def test_a_metric_that_is_null_everywhere_is_null():
    assert group_metrics([{"a": None, "b": 1}, {"a": None, "b": None}]) == {"a": None}
