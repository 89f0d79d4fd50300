"""Metrics of several hosts or repetitions, made into one set."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from ansible_env.metrics import Value


def group_metrics(sets: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """Return the mean of each numeric metric over the hosts that have it; another value if they agree on it."""
    if len(sets) == 1:
        return dict(sets[0])
    names = dict.fromkeys(name for metrics in sets for name in metrics)
    found = {name: _one([metrics[name] for metrics in sets if name in metrics]) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _one(values: Sequence[Value]) -> Value:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values):
        return _mean(numbers)
    return values[0] if all(value == values[0] for value in values) else None


def _mean(numbers: Sequence[float]) -> float:
    """Return the mean, of anything that a script may have printed: also of inf, and of what no float can hold."""
    try:
        return statistics.fmean(numbers)
    except (ValueError, OverflowError):  # inf and -inf; a sum, or an integer, too large
        return sum(_float(number) / len(numbers) for number in numbers)


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
