"""Which metrics are valid."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ansible_env.results.assertions import AssertionSyntaxError
from ansible_env.results.metrics.validity import MetricRules
from ansible_env.results.outcomes import Kind

INVALID = {
    "below": ({"score": "> 0"}, {"score": -1}, "score is -1, and must be > 0"),
    "two rules": ({"score": ["> 0", "<= 10"]}, {"score": 11}, "score is 11, and must be <= 10"),
    "a pattern": ({"*_errors": "== 0"}, {"read_errors": 2, "n": 1}, "read_errors is 2, and must be == 0"),
    "a unit": ({"p99_ms": "<= 1 s"}, {"p99_ms": 1001}, "p99_ms is 1001, and must be <= 1 s"),
    "text": ({"score": "> 0"}, {"score": "218us"}, "score is '218us', and must be finite and > 0"),
    "null": ({"score": "finite"}, {"score": None}, "score is None, and must be finite"),
    "a truth value": ({"score": "finite"}, {"score": True}, "score is True, and must be finite"),
    "nan under a comparison": ({"score": "!= 0"}, {"score": math.nan}, "score is nan, and must be finite and != 0"),
    "infinity under a comparison": ({"score": "> 0"}, {"score": math.inf}, "score is inf, and must be finite and > 0"),
    "nan without a rule": ({}, {"lat": math.nan}, "lat is nan, and must be finite; `valid: {lat: any}` allows it"),
    "infinity without a rule": ({}, {"lat": -math.inf}, "lat is -inf, and must be finite"),
}


@pytest.mark.parametrize(("valid", "metrics", "message"), INVALID.values(), ids=list(INVALID))
def test_invalid(valid: dict[str, Any], metrics: dict[str, Any], message: str) -> None:
    fault = MetricRules.parse((), valid).fault(metrics)
    assert fault is not None
    assert fault[0] is Kind.METRICS_INVALID
    assert fault[1].startswith(message)


VALID: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "within": ({"score": ["> 0", "<= 10"]}, {"score": 10}),
    "not measured": ({"score": "> 0"}, {"other": -1}),
    "any": ({"lat": "any"}, {"lat": math.nan}),
    "any by a pattern": ({"*": "any"}, {"a": math.inf, "b": "x", "c": None}),
    "text without a rule": ({}, {"version": "1.2", "none": None}),
}


@pytest.mark.parametrize(("valid", "metrics"), VALID.values(), ids=list(VALID))
def test_valid(valid: dict[str, Any], metrics: dict[str, Any]) -> None:
    assert MetricRules.parse((), valid).fault(metrics) is None


@pytest.mark.parametrize("value", ["218.37us", None, True, math.nan])
def test_a_required_metric_is_a_finite_number(value: object) -> None:
    fault = MetricRules(["score"]).fault({"score": value})
    assert fault is not None
    assert fault[0] is Kind.METRICS_INVALID
    assert MetricRules.parse(["score"], {"score": "any"}).fault({"score": value}) is None


def test_a_missing_metric_comes_first() -> None:
    fault = MetricRules.parse(["score"], {"lat": "> 0"}).fault({"lat": -1})
    assert fault == (Kind.METRICS_MISSING, "not in the output: score")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("positive", "finite or any"),
        (">= baseline", "only `assert` has one"),
        ("> nan", "not a"),
        ("> 5 apples pie", "not a limit"),
    ],
)
def test_what_is_no_rule_is_refused(rule: str, message: str) -> None:
    with pytest.raises(AssertionSyntaxError, match=message):
        MetricRules.parse((), {"score": rule})
