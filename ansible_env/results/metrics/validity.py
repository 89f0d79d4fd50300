"""Which metrics are valid: those that are required, and the rules of `valid`, like `score: "> 0"`.

A rule is `finite`, `any`, or a comparison of `assert` without a baseline. A required metric must be a finite number.
Any other metric may be a text, but not NaN or infinite. `any` lifts both rules.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_env.results.assertions import Assertion, AssertionSyntaxError, parse_assertion
from ansible_env.results.outcomes import Kind
from ansible_env.results.values import is_number

ANY = "any"
FINITE = "finite"
DECIDED_BY_METRICS = (Kind.OK, Kind.METRICS_MISSING, Kind.METRICS_INVALID)
"""Kinds that the metrics decide between. A script that failed keeps its kind."""


@dataclass(frozen=True, slots=True)
class ValidRule:
    """What a metric, or each metric whose name matches a pattern, must be."""

    metric: str
    """The name of a metric, or a pattern as `*_errors`."""
    text: str
    """`finite`, `any`, or a comparison."""
    comparison: Assertion | None = None

    def applies(self, name: str) -> bool:
        """Whether the rule is about the metric of a name."""
        return fnmatch.fnmatchcase(name, self.metric)

    def allows(self, value: Any) -> bool:
        """Whether a value satisfies the rule."""
        if self.text == ANY:
            return True
        if not is_number(value) or not math.isfinite(value):
            return False
        return self.comparison is None or self.comparison.holds(float(value))


def parse_rule(metric: str, text: str) -> ValidRule:
    """Parse a rule for the metrics of a name or a pattern.

    Raises:
        AssertionSyntaxError: the text is not a rule.
    """
    if text.strip() in (ANY, FINITE):
        return ValidRule(metric, text.strip())
    try:
        comparison = parse_assertion(metric, text)
    except AssertionSyntaxError as error:
        raise AssertionSyntaxError(f"{error}; a rule is also {FINITE} or {ANY}") from None
    return ValidRule(metric, comparison.text, comparison.without_baseline())


@dataclass(frozen=True, slots=True)
class MetricRules:
    """What the metrics of a host must be for a success."""

    required: Sequence[str] = ()
    """Metrics without which a host has failed."""
    valid: Sequence[ValidRule] = ()

    @classmethod
    def parse(cls, required: Iterable[str] = (), valid: Mapping[str, Any] | None = None) -> MetricRules:
        """Return the rules of plain data: names, and metrics to one rule or a list of rules.

        Raises:
            AssertionSyntaxError: a text is not a rule.
        """
        rules = []
        for pattern, item in (valid or {}).items():
            for text in item if isinstance(item, list | tuple) else [item]:
                if not isinstance(text, str):
                    raise AssertionSyntaxError(f"{pattern}: {text!r} is not a rule: write it as a text, as '> 0'")
                try:
                    rules.append(parse_rule(str(pattern), text))
                except AssertionSyntaxError as error:
                    raise AssertionSyntaxError(f"{pattern}: {error}") from None
        return cls(tuple(required), tuple(rules))

    def without_required(self) -> MetricRules:
        """Return the rules for metrics that may be missing."""
        return replace(self, required=())

    def fault(self, metrics: Mapping[str, Any]) -> tuple[Kind, str] | None:
        """Return the outcome kind and the message for metrics that break a rule, or None."""
        if message := missing(self.required, metrics):
            return Kind.METRICS_MISSING, message
        if invalid := list(self._invalid(metrics)):
            return Kind.METRICS_INVALID, "; ".join(invalid)
        return None

    def _invalid(self, metrics: Mapping[str, Any]) -> Iterator[str]:
        for name, value in metrics.items():
            rules = [rule for rule in self.valid if rule.applies(name)]
            broken = [rule.text for rule in rules if not rule.allows(value)]
            if broken and not (is_number(value) and math.isfinite(value)):
                broken = list(dict.fromkeys([FINITE, *broken]))
            if broken:
                yield f"{name} is {_shown(value)}, and must be {' and '.join(broken)}"
            elif any(rule.text == ANY for rule in rules):
                continue
            elif name in self.required and not is_number(value):
                yield f"{name} is {_shown(value)}, and a required metric must be a number"
            elif is_number(value) and not math.isfinite(value):
                yield f"{name} is {_shown(value)}, and must be finite; `valid: {{{name}: any}}` allows it"


NO_RULES = MetricRules()


def missing(required: Iterable[str], values: Mapping[str, Any]) -> str:
    """Return the message about names without a value; empty if there are none."""
    names = [name for name in required if name not in values]
    return f"not in the output: {', '.join(names)}" if names else ""


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
