"""Metrics of several hosts or repetitions, made into one set."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from ansible_env.metrics import Value


def group_metrics(sets: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """Return the mean of each numeric metric over the hosts that have it; another value if they agree on it."""
    if len(sets) == 1:
        return dict(sets[0])
    names = dict.fromkeys(name for metrics in sets for name in metrics)
    found = {name: [metrics[name] for metrics in sets if name in metrics] for name in names}
    return {name: _one(values) for name, values in found.items() if _one(values) is not None}


def _one(values: Sequence[Value]) -> Value:
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values):
        return statistics.fmean(numbers)
    return values[0] if all(value == values[0] for value in values) else None
