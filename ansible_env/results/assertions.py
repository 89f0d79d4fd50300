"""Assertions: comparisons that a metric must satisfy, like `>= 0.95 * baseline` or `<= 12 ms`.

The limit of a comparison is a number, or is computed from the baseline's value:

    ">= 1000"            "<= 12 ms"            "== 0"
    ">= 0.95 * baseline" "<= 110% of baseline" "<= baseline + 5%"  "<= baseline + 2 ms"

A unit is converted to the unit at the end of the metric's name (`latency_p99_ms`). A unit of another kind is refused.
If the name ends with no known unit, the unit of the limit has no effect.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_env.results.values import is_number

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
_NUMBER = r"(?P<number>[+-]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
_UNIT = r"(?P<unit>[^\W\d_]\S*|%)?"
_COMPARISON = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(.+?)\s*", re.DOTALL)
_PLAIN = re.compile(rf"{_NUMBER}\s*{_UNIT}")
_TIMES = re.compile(rf"{_NUMBER}\s*\*\s*baseline|baseline\s*\*\s*{_NUMBER.replace('number', 'after')}")
_SHARE = re.compile(rf"{_NUMBER}\s*%\s+of\s+baseline")
_SHIFTED = re.compile(rf"baseline(?:\s*(?P<sign>[+-])\s*{_NUMBER}\s*{_UNIT})?")

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0}
_BYTES = {"b": 1, "bytes": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BYTES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_KINDS: Sequence[Mapping[str, float]] = (_SECONDS, _BYTES)


class AssertionSyntaxError(ValueError):
    """A text is not an assertion. The message says what is wrong, without the metric's name."""


class RuleSyntaxError(ValueError):
    """A value is not a rule. `hint` says what to write."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Assertion:
    """One comparison that a metric must satisfy."""

    metric: str
    text: str
    """The comparison as it was written."""
    compare: str
    factor: float
    """Factor of the baseline; 0 if the limit does not depend on it."""
    offset: float

    @property
    def needs_baseline(self) -> bool:
        """Whether the limit depends on the baseline."""
        return self.factor != 0

    def limit(self, baseline: float | None) -> float | None:
        """Return the value to compare the metric with, or None if it depends on an unknown baseline."""
        if not self.needs_baseline:
            return self.offset
        return None if baseline is None else self.factor * baseline + self.offset

    def without_baseline(self) -> Assertion:
        """Return it where there is no baseline. Raise AssertionSyntaxError if its limit depends on one."""
        if self.needs_baseline:
            raise AssertionSyntaxError(f"{self.text!r} needs a baseline: only `assert` has one")
        return self

    def holds(self, value: float, baseline: float | None = None) -> bool:
        """Whether a value satisfies the comparison; false if its limit is unknown."""
        limit = self.limit(baseline)
        return limit is not None and COMPARISONS[self.compare](value, limit)

    def __str__(self) -> str:
        return f"{self.metric} {self.text}"


@dataclass(frozen=True, slots=True)
class AssertionResult:
    """Whether a metric satisfied an assertion."""

    assertion: Assertion
    passed: bool
    value: float | None
    limit: float | None
    baseline: float | None
    message: str
    """The measured value and its distance from the limit."""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON data."""
        return {
            "metric": self.assertion.metric,
            "assert": self.assertion.text,
            **{name: getattr(self, name) for name in ("passed", "value", "limit", "baseline", "message")},
        }


def parse_assertion(metric: str, text: str) -> Assertion:
    """Parse the comparison `text` for a metric.

    Raises:
        AssertionSyntaxError: the text is not a comparison.
    """
    match = _COMPARISON.fullmatch(text)
    if match is None:
        raise AssertionSyntaxError(f"{text!r} does not begin with one of {' '.join(COMPARISONS)}")
    compare, limit = match.groups()
    factor, offset = _limit(metric, limit)
    if not math.isfinite(factor) or not math.isfinite(offset):
        raise AssertionSyntaxError(f"{limit!r} is not a number")
    return Assertion(metric, f"{compare} {limit}", compare, factor, offset)


def check_assertions(
    assertions: Sequence[Assertion], metrics: Mapping[str, Any], baseline: Mapping[str, Any] | None = None
) -> list[AssertionResult]:
    """Check the assertions. A metric that is missing or not a number fails."""
    return [_check(each, _number(metrics, each), _number(baseline or {}, each)) for each in assertions]


def _limit(metric: str, text: str) -> tuple[float, float]:
    """Return the factor of the baseline and the offset that is added to it."""
    if match := _PLAIN.fullmatch(text):
        return 0.0, _as_float(match["number"]) * _scale(metric, match["unit"])
    if match := _TIMES.fullmatch(text):
        return _factor(_as_float(match["number"] or match["after"])), 0.0
    if match := _SHARE.fullmatch(text):
        return _factor(_as_float(match["number"]) / 100), 0.0
    if match := _SHIFTED.fullmatch(text):
        if match["number"] is None:
            return 1.0, 0.0
        amount = _as_float(match["number"]) * (-1 if match["sign"] == "-" else 1)
        if match["unit"] == "%":
            return _factor(1 + amount / 100), 0.0
        return 1.0, amount * _scale(metric, match["unit"])
    hint = "a number, `0.95 * baseline`, `95% of baseline`, `baseline - 5%`"
    raise AssertionSyntaxError(f"{text!r} is not a limit: {hint}")


def _factor(value: float) -> float:
    if value == 0:
        raise AssertionSyntaxError("0 times the baseline is 0: write 0")
    return value


def _as_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise AssertionSyntaxError(f"{text!r} is not a number") from None


def _scale(metric: str, unit: str | None) -> float:
    """Return the factor that converts a number in `unit` to the unit of the metric's name."""
    own = re.split(r"[^A-Za-zµ]+", metric.split("{")[0])[-1].lower()
    if unit is None:
        return 1.0
    for kind in _KINDS if len(own) != len(metric) else ():  # a unit that is the whole name is a name
        if own in kind:
            if unit.lower() in kind:
                return kind[unit.lower()] / kind[own]
            if any(unit.lower() in other for other in _KINDS):
                raise AssertionSyntaxError(f"{unit!r} does not fit {own!r}, the unit in the metric's name")
    if not _is_unit(unit, own):
        known = ", ".join(("ms", "s", "KiB", "MB", "%", "ops/s"))
        raise AssertionSyntaxError(f"{unit!r} is no unit: write {known}, or the end of the metric's name, or nothing")
    return 1.0


def _is_unit(unit: str, own: str) -> bool:
    """Whether a text is a unit, even if none that can be converted: a rate, or the last word of the metric's name."""
    known = "%" in unit or "/" in unit or any(unit.lower() in kind for kind in _KINDS)
    return known or unit.lower() == own or unit.lower().endswith(("ops", "ps"))


def _number(metrics: Mapping[str, Any], assertion: Assertion) -> float | None:
    value = metrics.get(assertion.metric)
    return float(value) if is_number(value) else None


def _check(assertion: Assertion, value: float | None, baseline: float | None) -> AssertionResult:
    limit = assertion.limit(baseline)
    if value is None:
        return AssertionResult(assertion, False, None, limit, baseline, f"{assertion}: the metric was not measured")
    if limit is None:
        message = f"{assertion}: the baseline has no such metric"
        return AssertionResult(assertion, False, value, None, None, message)
    passed = assertion.holds(value, baseline)
    of = f", baseline {_text(baseline)}" if assertion.needs_baseline else ""
    message = f"{assertion}: {_text(value)}, limit {_text(limit)}{of}: {_distance(value, limit)}"
    return AssertionResult(assertion, passed, value, limit, baseline, message)


def _distance(value: float, limit: float) -> str:
    if not math.isfinite(value) or value == limit:
        return "at the limit" if value == limit else "not a number"
    side = "above" if value > limit else "below"
    if limit == 0:
        return f"{_text(abs(value))} {side}"
    return f"{abs(value - limit) / abs(limit) * 100:.3g} % {side}"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
