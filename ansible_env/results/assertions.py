"""Budgets: what a metric must keep to, as `>= 0.95 * baseline` or `<= 12 ms`. Pure.

A budget is a comparison with a limit: a number, or something made of the baseline's value.

    ">= 1000"            "<= 12 ms"            "== 0"
    ">= 0.95 * baseline" "<= 110% of baseline" "<= baseline + 5%"  "<= baseline + 2 ms"

A unit is for people, and is checked where that can be done: if the metric's name ends with one (`latency_p99_ms`), a
limit in another one of the same kind is converted, and one of another kind is refused.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Budget", "BudgetError", "Verdict", "judge", "parse_budget"]

_COMPARES: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
_NUMBER = r"(?P<number>[+-]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
_UNIT = r"(?P<unit>[^\W\d_]\S*|%)?"
_OPERATOR = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(.+?)\s*", re.DOTALL)
_PLAIN = re.compile(rf"{_NUMBER}\s*{_UNIT}")
_TIMES = re.compile(rf"{_NUMBER}\s*\*\s*baseline|baseline\s*\*\s*{_NUMBER.replace('number', 'after')}")
_SHARE = re.compile(rf"{_NUMBER}\s*%\s+of\s+baseline")
_SHIFTED = re.compile(rf"baseline(?:\s*(?P<sign>[+-])\s*{_NUMBER}\s*{_UNIT})?")

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0}
_BYTES = {"b": 1, "bytes": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BYTES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_KINDS: Sequence[Mapping[str, float]] = (_SECONDS, _BYTES)


class BudgetError(ValueError):
    """A text is no budget. Its message says what is wrong, without the metric's name."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One comparison that a metric must pass."""

    metric: str
    text: str
    """As it was written."""
    compare: str
    factor: float
    """Of the baseline; 0 where it plays no part."""
    offset: float

    @property
    def needs_baseline(self) -> bool:
        """Whether the limit is made of the baseline."""
        return self.factor != 0

    def limit(self, baseline: float | None) -> float | None:
        """Return what the metric is compared with; None where the baseline's value is not known."""
        if not self.needs_baseline:
            return self.offset
        return None if baseline is None else self.factor * baseline + self.offset

    def __str__(self) -> str:
        return f"{self.metric} {self.text}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a budget was kept."""

    budget: Budget
    passed: bool
    value: float | None
    limit: float | None
    baseline: float | None
    message: str
    """What was measured, and by how much it is beside the limit."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "metric": self.budget.metric,
            "assert": self.budget.text,
            "passed": self.passed,
            "value": self.value,
            "limit": self.limit,
            "baseline": self.baseline,
            "message": self.message,
        }


def parse_budget(metric: str, text: str) -> Budget:
    """Read a budget.

    Raises:
        BudgetError: it is none.
    """
    match = _OPERATOR.fullmatch(text)
    if match is None:
        raise BudgetError(f"{text!r} does not begin with one of {' '.join(_COMPARES)}")
    compare, limit = match.groups()
    factor, offset = _limit(metric, limit)
    if not math.isfinite(factor) or not math.isfinite(offset):
        raise BudgetError(f"{limit!r} is not a number")
    return Budget(metric, f"{compare} {limit}", compare, factor, offset)


def judge(
    budgets: Sequence[Budget], metrics: Mapping[str, Any], baseline: Mapping[str, Any] | None = None
) -> list[Verdict]:
    """Judge the metrics; one that is missing, or is no number, keeps no budget."""
    return [_verdict(budget, _number(metrics, budget), _number(baseline or {}, budget)) for budget in budgets]


def _limit(metric: str, text: str) -> tuple[float, float]:
    """Return the factor of the baseline, and what is added to it."""
    if found := _PLAIN.fullmatch(text):
        return 0.0, _as_float(found["number"]) * _scale(metric, found["unit"])
    if found := _TIMES.fullmatch(text):
        return _factor(_as_float(found["number"] or found["after"])), 0.0
    if found := _SHARE.fullmatch(text):
        return _factor(_as_float(found["number"]) / 100), 0.0
    if found := _SHIFTED.fullmatch(text):
        if found["number"] is None:
            return 1.0, 0.0
        amount = _as_float(found["number"]) * (-1 if found["sign"] == "-" else 1)
        if found["unit"] == "%":
            return _factor(1 + amount / 100), 0.0
        return 1.0, amount * _scale(metric, found["unit"])
    hint = "a number, `0.95 * baseline`, `95% of baseline`, `baseline - 5%`"
    raise BudgetError(f"{text!r} is no limit: {hint}")


def _factor(value: float) -> float:
    if value == 0:
        raise BudgetError("0 times the baseline is 0: write 0")
    return value


def _as_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BudgetError(f"{text!r} is not a number") from None


def _scale(metric: str, unit: str | None) -> float:
    """Return what a number in a unit has to be multiplied with to be in that of the metric's name."""
    own = re.split(r"[^A-Za-zµ]+", metric.split("{")[0])[-1].lower()
    if unit is None or len(own) == len(metric):
        return 1.0
    for kind in _KINDS:
        if own in kind:
            if unit.lower() in kind:
                return kind[unit.lower()] / kind[own]
            if any(unit.lower() in other for other in _KINDS):
                raise BudgetError(f"{unit!r} and {own!r}, with which the metric's name ends, do not go together")
    return 1.0


def _number(metrics: Mapping[str, Any], budget: Budget) -> float | None:
    value = metrics.get(budget.metric)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _verdict(budget: Budget, value: float | None, baseline: float | None) -> Verdict:
    limit = budget.limit(baseline)
    if value is None:
        return Verdict(budget, False, None, limit, baseline, f"{budget}: the metric was not measured")
    if limit is None:
        return Verdict(budget, False, value, None, None, f"{budget}: the baseline has no such metric")
    passed = _COMPARES[budget.compare](value, limit)
    of = f", baseline {_text(baseline)}" if budget.needs_baseline else ""
    words = f"{budget}: {_text(value)}, limit {_text(limit)}{of}"
    return Verdict(budget, passed, value, limit, baseline, f"{words}: {_distance(value, limit)}")


def _distance(value: float, limit: float) -> str:
    if not math.isfinite(value) or value == limit:
        return "at the limit" if value == limit else "no number"
    side = "above" if value > limit else "below"
    if limit == 0:
        return f"{_text(abs(value))} {side}"
    return f"{abs(value - limit) / abs(limit) * 100:.3g} % {side}"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"
