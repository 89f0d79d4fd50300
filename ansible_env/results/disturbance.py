"""Whether a measurement was disturbed: what else happened on the host, and how much of that is too much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_env.results.assertions import AssertionSyntaxError, RuleSyntaxError, parse_assertion

SHORTEST = 1.0
"""Seconds that a script must run to be judged."""
OFF = "off"
LIMITS: Mapping[str, str] = {
    "foreign_cpu_percent": "> 25",
    "steal_percent": "> 10",
    "foreign_io_mib_per_s": "> 20",
    "swapped_in_mib": "> 1",
    "oom_kills": "> 0",
    "throttled": "> 0",
    "clock_step_s": "> 0",
    "pressure_cpu_percent": OFF,
    "pressure_io_percent": OFF,
    "pressure_memory_percent": OFF,
}
"""What is measured, and from when on it disturbs. docs/howto/trustworthy-numbers.md says why.

`foreign_cpu_percent` is the CPU time of everything but the script, in percent of one CPU; `steal_percent` is in percent
of all CPUs. The pressure of /proc/pressure includes the script's own, so that no limit fits all.
"""


class DisturbanceSyntaxError(RuleSyntaxError):
    """A value is no limit."""


@dataclass(frozen=True, slots=True)
class DisturbanceLimits:
    """From when on a host's run is marked as disturbed: `disturbed_if` of the environment file."""

    own: Mapping[str, str] = field(default_factory=dict)
    """Limits in place of `LIMITS`."""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> DisturbanceLimits:
        """Return the limits of plain data: what is measured to a comparison, or to `off`.

        Raises:
            DisturbanceSyntaxError: a name is unknown, or a value is no limit.
        """
        return cls({name: parse_limit(name, value) for name, value in data.items()})

    def reason(self, disturbance: Mapping[str, float]) -> str:
        """Return what has disturbed a run; empty if nothing has."""
        limits = {**LIMITS, **self.own}
        return ", ".join(
            f"{name} is {value:g} ({limits[name]})"
            for name, value in disturbance.items()
            if limits.get(name, OFF) != OFF and parse_assertion(name, limits[name]).holds(value)
        )


DEFAULT_LIMITS = DisturbanceLimits()


def parse_limit(name: str, value: Any) -> str:
    """Parse one limit.

    Raises:
        DisturbanceSyntaxError: the name is unknown, or the value is no limit.
    """
    if name not in LIMITS:
        raise DisturbanceSyntaxError(f"{name!r} is not measured", f"known: {', '.join(LIMITS)}")
    if value is False or value == OFF:
        return OFF
    if not isinstance(value, str):
        raise DisturbanceSyntaxError("must be a comparison such as '> 50', or off")
    try:
        return parse_assertion(name, value).text
    except AssertionSyntaxError as error:
        raise DisturbanceSyntaxError(f"{error}; or off") from None


def worst_of(values: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the largest value of each name, of several scripts."""
    found: dict[str, float] = {}
    for mapping in values:
        for name, value in mapping.items():
            found[name] = max(value, found.get(name, value))
    return found


def used_by(values: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return what several scripts have used together: sums, and the largest memory."""
    found: dict[str, float] = {}
    for mapping in values:
        for name, value in mapping.items():
            known = found.get(name, 0.0)
            found[name] = max(known, value) if name.startswith("max_") else known + value
    return found
