"""How precisely the mean of a metric is known after some trials: intervals that stay valid under repeated looks.

A series that ends as soon as its interval is narrow, or excludes 0, looks at the data many times. Ordinary 95 %
intervals fail more often than 5 % then (P. Armitage, C. K. McPherson, B. C. Rowe: Repeated significance tests on
accumulating data, J. R. Stat. Soc. A 132, 1969). So:

- The looks are planned: after `least` values, then whenever there are a quarter more, and after `most` (`looks`).
- Each look has the share alpha / looks of the error probability (Bonferroni). All intervals of a series together, and
  so the one at which it ends, cover with at least 1 - alpha, whatever ends the series: they are repeated confidence
  intervals (C. Jennison, B. W. Turnbull: Interim analyses: the repeated confidence interval approach, J. R. Stat.
  Soc. B 51, 1989). The quantiles are Student's: exact for normal noise, approximate for other noise.
- Hosts are blocks: where each host has two values or more, the interval is about the mean of these hosts, and the
  differences between hosts do not widen it. Otherwise they do.

Only the standard library is used, because SciPy is an extra (`compare`) and a caller should not need it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

ALPHA = 0.05
"""The probability with which any interval of a series may miss."""
GROWTH = 1.25
"""How many more values there are at the next look."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The mean of some values, and the bounds between which the true mean is."""

    count: int
    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the distance of the bounds."""
        return (self.high - self.low) / 2

    @property
    def precision(self) -> float:
        """Half of the width relative to the mean: 0.02 is ± 2 %; infinite for a mean of 0."""
        return self.half_width / abs(self.mean) if self.mean else math.inf if self.half_width else 0.0


@functools.lru_cache(maxsize=64)
def looks(least: int, most: int) -> tuple[int, ...]:
    """Return the numbers of values after which a series is judged, in ascending order.

    Raises:
        ValueError: `least` is less than 2, or `most` is less than `least`.
    """
    if not 2 <= least <= most:
        raise ValueError(f"no looks between {least} and {most} values")
    planned = [least]
    while planned[-1] < most:
        planned.append(min(most, math.ceil(planned[-1] * GROWTH)))
    return tuple(planned)


def interval(blocks: Mapping[str, Sequence[float]], looks: int, alpha: float = ALPHA) -> Interval | None:
    """Return the interval of the mean at one of some looks; None if there are too few values or one is not finite.

    Args:
        blocks: the values of each host.
        looks: the number of looks that the series may have.
        alpha: the probability with which any of the intervals may miss.
    """
    groups = [values for values in blocks.values() if values]
    values = [float(value) for group in groups for value in group]
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    if min(map(len, groups)) < 2:
        groups = [values]
    means = [fmean(group) for group in groups]
    free = len(values) - len(groups)
    squares = math.fsum((value - mean) ** 2 for group, mean in zip(groups, means, strict=True) for value in group)
    error = math.sqrt(squares / free * math.fsum(1 / len(group) for group in groups)) / len(groups)
    mean, reach = fmean(means), quantile(1 - alpha / looks / 2, free) * error
    return Interval(len(values), mean, mean - reach, mean + reach)


@functools.lru_cache(maxsize=1024)
def quantile(probability: float, free: int) -> float:
    """Return the quantile of Student's t distribution above its median, for a whole number of degrees of freedom."""
    low, high = 0.0, 1.0
    while _within(high, free) < 2 * probability - 1:
        low, high = high, high * 2
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, free) < 2 * probability - 1 else (low, middle)
    return high


def _within(t: float, free: int) -> float:
    """Return the probability of -t to t (M. Abramowitz, I. A. Stegun: Handbook, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(free))
    square = math.cos(angle) ** 2
    first = 2 if free % 2 else 1
    term = math.cos(angle) if free % 2 else 1.0
    total = term if free > 1 else 0.0
    for number in range(first, free - 2, 2):
        term *= square * number / (number + 1)
        total += term
    total *= math.sin(angle)
    return (angle + total) * 2 / math.pi if free % 2 else total
