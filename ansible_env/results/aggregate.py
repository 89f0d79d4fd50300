"""Aggregation of the metrics of several hosts or repetitions."""

from __future__ import annotations

import fnmatch
import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence

from ansible_env.results.metrics.parse import Value
from ansible_env.results.values import is_number

DEFAULT = "mean"
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")

Function = Callable[[Sequence[float]], float | None]


def _exact(compute: Callable[[Sequence[float]], float], numbers: Sequence[float]) -> float:
    """Return what `compute` returns. If a number does not fit into a float, compute with infinities instead."""
    try:
        return compute(numbers)
    except (ValueError, OverflowError):  # opposite infinities, or a sum or an integer that is too large
        return compute([_float(number) for number in numbers])


def _mean(numbers: Sequence[float]) -> float:
    try:
        return statistics.fmean(numbers)
    except (ValueError, OverflowError):
        return sum(_float(number) / len(numbers) for number in numbers)


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _percentile(numbers: Sequence[float], percent: float) -> float:
    """Return a percentile, interpolated linearly between the two nearest values, like numpy's default."""
    ordered = sorted(numbers)
    position = (len(ordered) - 1) * percent / 100
    below, above = ordered[math.floor(position)], ordered[math.ceil(position)]
    if below == above:
        return below
    weight = position - math.floor(position)
    return _float(below) * (1 - weight) + _float(above) * weight


def stdev(numbers: Sequence[float]) -> float | None:
    """Return the standard deviation of a sample, or None for a single number, which has no spread."""
    if len(numbers) < 2:
        return None
    floats = [_float(number) for number in numbers]
    mean = _mean(floats)
    try:
        # Divide by n - 1: the hosts or repetitions are a sample.
        return math.sqrt(math.fsum((number - mean) ** 2 for number in floats) / (len(floats) - 1))
    except (ValueError, OverflowError):
        return math.inf if all(map(math.isfinite, floats)) else math.nan


def cv(numbers: Sequence[float]) -> float | None:
    """Return the coefficient of variation, stdev / |mean|, or None for a single number or a mean of 0."""
    deviation, mean = stdev(numbers), _mean(numbers)
    return None if deviation is None or mean == 0 else deviation / abs(mean)


def _harmonic(numbers: Sequence[float]) -> float | None:
    """Return the harmonic mean (for rates), or None if a number is negative: it is not defined there."""
    floats = [_float(number) for number in numbers]
    if any(number < 0 for number in floats):
        return None
    if 0 in floats:
        return 0.0
    total = math.fsum(1 / number for number in floats)
    return len(floats) / total if total else math.inf


def _geometric(numbers: Sequence[float]) -> float | None:
    """Return the geometric mean (for ratios), or None if a number is negative: it is not defined there."""
    floats = [_float(number) for number in numbers]
    if any(number < 0 for number in floats):
        return None
    return 0.0 if 0 in floats else math.exp(_mean([math.log(number) for number in floats]))


_FUNCTIONS: dict[str, Function] = {
    "mean": _mean,
    "sum": lambda numbers: _exact(sum, numbers),
    "median": lambda numbers: _percentile(numbers, 50),
    "min": min,
    "max": max,
    "stdev": stdev,
    "cv": cv,
    "count": len,
    "harmonic_mean": _harmonic,
    "geometric_mean": _geometric,
}
NAMES = (*_FUNCTIONS, "p50", "p95", "p99")
"""Names of aggregates for messages. Every percentile from p0 to p99.9… is an aggregate as well."""
_KEEPS_ONE = ("mean", "sum", "median", "min", "max", "harmonic_mean", "geometric_mean")
"""Aggregates that return a single value unchanged, in its own type."""


def function(name: str) -> Function | None:
    """Return the aggregate of a name, or None if there is none."""
    if match := _PERCENTILE.fullmatch(name):
        percent = float(match[1])
        return lambda numbers: _percentile(numbers, percent)
    return _FUNCTIONS.get(name)


def aggregate(name: str, values: Sequence[Value]) -> Value:
    """Return the aggregate of one metric's values from several hosts, or None if they have none.

    `count` counts values of any type. Other aggregates of values that are not numbers return the value that all hosts
    agree on.
    """
    if name == "count":
        return len(values)
    numbers = [value for value in values if is_number(value)]
    if len(numbers) < len(values):
        return values[0] if all(value == values[0] for value in values) else None
    if len(numbers) == 1 and (name in _KEEPS_ONE or _PERCENTILE.fullmatch(name)):
        return numbers[0]
    compute = function(name)
    return compute(numbers) if compute else None


def group_metrics(sets: Sequence[Mapping[str, Value]], wanted: Mapping[str, str] | None = None) -> dict[str, Value]:
    """Return one set of metrics for those of several hosts.

    Args:
        sets: the metrics of each host. A metric is aggregated over the hosts that have it.
        wanted: the name of an aggregate by metric, or by a pattern with `*`. A metric's own name takes precedence over
            patterns; of several patterns that match, the first one counts. The default is the mean.
    """
    wanted = wanted or {}
    if len(sets) == 1 and not wanted:
        return dict(sets[0])
    names = dict.fromkeys(name for metrics in sets for name in metrics)
    values = {
        name: aggregate(_wanted(name, wanted), [metrics[name] for metrics in sets if name in metrics]) for name in names
    }
    null = {name for name in names if all(metrics.get(name) is None for metrics in sets)}
    return {name: value for name, value in values.items() if value is not None or name in null}


def _wanted(name: str, wanted: Mapping[str, str]) -> str:
    if name in wanted:
        return wanted[name]
    return next((how for pattern, how in wanted.items() if fnmatch.fnmatchcase(name, pattern)), DEFAULT)


def per_host(sets: Mapping[str, Mapping[str, Value]]) -> dict[str, Value]:
    """Return `metric{host}` for each metric of each host, for stores that hold flat names only."""
    return {f"{name}{{{host}}}": value for host, metrics in sets.items() for name, value in metrics.items()}
