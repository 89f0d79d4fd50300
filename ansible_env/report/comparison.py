"""Comparison of two sets of measurements: a difference, or noise. SciPy does the statistics (extra `compare`).

- The interval of a median is exact and assumes no distribution: its bounds are two of the values
  (`scipy.stats.quantile_test`).
- Independent sets: Mann-Whitney U. Pairs, such as the same hosts in two trials: Wilcoxon's signed ranks. Both are exact
  for few values. Tests of many metrics find differences by chance, so the p-values are adjusted for the false discovery
  rate (Benjamini and Hochberg, 1995).
- The interval of the change is a bootstrap of the ratio of the medians, with a fixed seed.
"""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_env.storage.database.frame import optional

CONFIDENCE = 0.95
RESAMPLES = 4999
LEAST_FOR_INTERVAL = 4
"""Least values of each side for a bootstrap."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two sets."""

    count: int
    median: float
    low: float | None
    """Bounds of the interval of the median; None if there are too few values."""
    high: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of one metric."""

    metric: str
    a: Side
    b: Side
    paired: bool
    change: float | None
    """From A to B, relative to A: 0.1 is 10 % more; None if A's median is 0."""
    change_low: float | None
    change_high: float | None
    p: float | None
    """Probability that noise alone causes a difference of at least this size, adjusted for the number of metrics; None
    for too few values."""
    least_p: float
    """The smallest p that this number of values can yield."""
    alpha: float

    @property
    def verdict(self) -> str:
        """`higher` or `lower` (B than A), `noise`, or `too few` values to decide."""
        if self.p is None or self.least_p > self.alpha:
            return "too few"
        if self.p > self.alpha:
            return "noise"
        return "higher" if self.b.median > self.a.median else "lower" if self.b.median < self.a.median else "differs"


Samples = Mapping[str, Sequence[float]]
Bounds = tuple[float, float] | tuple[None, None]


def compare(a: Samples, b: Samples, *, paired: bool = False, alpha: float = 0.05) -> list[Comparison]:
    """Compare each metric of both sets. If `paired`, the values belong to the same things, in the same order.

    Raises:
        ConfigError: SciPy is not installed.
    """
    stats = optional("scipy.stats", "compare")
    compared = [
        _compare(stats, name, a[name], b[name], paired, alpha) for name in a if name in b and a[name] and b[name]
    ]
    tested = [comparison for comparison in compared if comparison.p is not None]
    adjusted = stats.false_discovery_control([c.p for c in tested]) if tested else []
    values = {c.metric: float(p) for c, p in zip(tested, adjusted, strict=True)}
    return [replace(comparison, p=values.get(comparison.metric)) for comparison in compared]


def _compare(stats: Any, name: str, a: Sequence[float], b: Sequence[float], paired: bool, alpha: float) -> Comparison:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about few or equal values: the result shows these
        p, least = _signed_ranks(stats, a, b) if paired else _ranks(stats, a, b)
        low, high = _change_interval(stats, a, b, paired)
        sides = _side(stats, a), _side(stats, b)
    before, after = sides[0].median, sides[1].median
    change = (after - before) / abs(before) if before else None
    return Comparison(name, *sides, paired, change, low, high, p, least, alpha)


def _side(stats: Any, values: Sequence[float]) -> Side:
    median = statistics.median(values)
    if len(values) == 1:
        return Side(1, median, None, None)
    interval = stats.quantile_test(values, q=median, p=0.5).confidence_interval(confidence_level=CONFIDENCE)
    return Side(len(values), median, *_bounds(interval))


def _ranks(stats: Any, a: Sequence[float], b: Sequence[float]) -> tuple[float | None, float]:
    least = 2 / math.comb(len(a) + len(b), len(a))
    if least >= 1:
        return None, 1.0
    if len({*a, *b}) == 1:
        return 1.0, least
    ties = len({*a, *b}) < len(a) + len(b)
    # With ties the exact distribution is that of all permutations. For many values, the normal one is accurate enough.
    few = math.comb(len(a) + len(b), len(a)) <= 20_000
    method = stats.PermutationMethod(n_resamples=20_000) if ties and few else "auto"
    return float(stats.mannwhitneyu(a, b, method=method).pvalue), least


def _signed_ranks(stats: Any, a: Sequence[float], b: Sequence[float]) -> tuple[float | None, float]:
    differences = [y - x for x, y in zip(a, b, strict=True)]
    least = 2 / 2 ** len(differences)
    if least >= 1:
        return None, 1.0
    if not any(differences):
        return 1.0, least
    return float(stats.wilcoxon(differences).pvalue), least


def _bounds(interval: Any) -> Bounds:
    low, high = float(interval.low), float(interval.high)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else (None, None)


def _change_interval(stats: Any, a: Sequence[float], b: Sequence[float], paired: bool) -> Bounds:
    if min(len(a), len(b)) < LEAST_FOR_INTERVAL or 0 in (statistics.median(a), min(map(abs, a))):
        return None, None
    numpy = optional("numpy", "compare")

    def ratio(x: Any, y: Any, axis: int = -1) -> Any:
        first = numpy.median(x, axis=axis)
        return (numpy.median(y, axis=axis) - first) / abs(first)

    interval = stats.bootstrap(
        (list(a), list(b)),
        ratio,
        paired=paired,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=numpy.random.default_rng(0),
    ).confidence_interval
    return _bounds(interval)
