"""Assertions: what is one, and whether a metric satisfies it."""

from __future__ import annotations

import math

import pytest

from ansible_env.results.assertions import AssertionSyntaxError, check_assertions, parse_assertion


def limit(text, metric="m", baseline=200.0):
    return parse_assertion(metric, text).limit(baseline)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (">= 12", 12),
        ("<=12 ms", 12),
        ("< 1_000.5 req/s", 1000.5),
        ("== -3e-2", -0.03),
        ("<= 80 %", 80),
        (">= .5", 0.5),
        (">= 0.95 * baseline", 190),
        (">= baseline*0.95", 190),
        (">= 95% of baseline", 190),
        ("<= baseline", 200),
        ("<= baseline + 5%", 210),
        ("<= baseline - 5 %", 190),
        ("<= baseline + 3 ms", 203),
        ("<= -1 * baseline", -200),
    ],
)
def test_limits(text, expected):
    assert limit(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "text", "expected"),
    [
        ("latency_p99_ms", "<= 0.5 s", 500),
        ("latency_p99_ms", "<= 12", 12),
        ("latency.us", "<= 2 ms", 2000),
        ("size_mib", "<= 1 GiB", 1024),
        ("size_mib", "<= 1 MB", 1e6 / 2**20),
        ("ops", "<= 2 ms", 2),  # a unit that is the whole name is a name
        ("ms", "<= 1 s", 1),
        ("items", "<= 2 s", 2),
        ("rate_ops", ">= 5 ops/s", 5),
        ("rate", ">= 5 kiops", 5),
        ("rate", ">= 5 req/s", 5),
        ("apples", ">= 5 apples", 5),
    ],
)
def test_units(metric, text, expected):
    assert limit(text, metric) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("12", "does not begin with one of"),
        ("", "does not begin"),
        ("=> 3", "does not begin"),
        (">= many", "is not a limit"),
        (">= 2 * base", "is not a limit"),
        (">= 1 2", "is not a limit"),
        (">= 0 * baseline", "write 0"),
        ("<= 1e999", "not a number"),
        (">= baseline - 100%", "write 0"),
        (">= __import__('os')", "is not a limit"),
        ("> 5 apples", "'apples' is no unit"),
        ("> baseline + 5 apples", "'apples' is no unit"),
    ],
)
def test_what_is_none(text, words):
    with pytest.raises(AssertionSyntaxError, match=words):
        parse_assertion("m", text)


def test_units_that_do_not_go_together():
    with pytest.raises(AssertionSyntaxError, match="does not fit"):
        parse_assertion("latency_ms", "<= 1 GiB")


@pytest.mark.parametrize(
    ("text", "value", "passed"),
    [
        (">= 10", 10, True),
        ("> 10", 10, False),
        ("<= 10", 10.01, False),
        ("< 10", 9, True),
        ("== 0", 0, True),
        ("!= 0", 0, False),
        (">= 0.95 * baseline", 95, True),
        (">= 0.95 * baseline", 94.9, False),
        (">= 0", math.nan, False),
        (">= 0", True, False),
        (">= 0", "fast", False),
        (">= 0", None, False),
    ],
)
def test_verdicts(text, value, passed):
    (result,) = check_assertions([parse_assertion("m", text)], {"m": value}, {"m": 100})
    assert result.passed is passed


def test_the_message_says_by_how_much():
    assertion = parse_assertion("throughput", ">= 0.95 * baseline")
    (result,) = check_assertions([assertion], {"throughput": 855}, {"throughput": 1000})
    words = "throughput >= 0.95 * baseline: 855, limit 950, baseline 1000: 10 % below"
    assert (result.message, result.limit) == (words, 950)
    assert check_assertions([assertion], {}, {})[0].message.endswith("the metric was not measured")
    assert check_assertions([assertion], {"throughput": 1}, {"x": 1})[0].message.endswith(
        "the baseline has no such metric"
    )
    assert check_assertions([parse_assertion("errors", "== 0")], {"errors": 3})[0].message.endswith("3 above")
    assert result.to_dict()["assert"] == ">= 0.95 * baseline"
