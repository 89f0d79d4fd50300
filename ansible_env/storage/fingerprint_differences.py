"""Differences between the hosts of two sets of trials, by their fingerprints."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

MACHINE = "machine_id"
_VOLATILE = frozenset({"load"})
"""Facts that differ each time."""
_TOLERANCE = 0.01
"""Share by which memory may differ: kernels reserve different amounts."""

Fingerprints = Iterable[Mapping[str, Mapping[str, Any]]]
"""For each trial: facts by host."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact that differs between the two sides."""

    fact: str
    a: Mapping[Any, list[str]]
    """Its values, and the hosts that have them."""
    b: Mapping[Any, list[str]]


def differences(a: Fingerprints, b: Fingerprints) -> list[Difference]:
    """Return the facts that both sides know and that differ between them.

    A host on both sides is compared with itself. If the sides have different hosts, only the values are compared.
    """
    first, second = _by_fact(a), _by_fact(b)
    different = []
    for fact in first:
        if fact in _VOLATILE or fact not in second:
            continue
        one, other = first[fact], second[fact]
        close = _TOLERANCE if fact.endswith("_kib") else 0.0
        if one.keys() == other.keys():
            same = all(_same(values, other[host], close) for host, values in one.items())
        else:
            same = _same([*chain(*one.values())], [*chain(*other.values())], close)
        if not same:
            different.append(Difference(fact, _hosts_by_value(one), _hosts_by_value(other)))
    return different


def _by_fact(trials: Fingerprints) -> dict[str, dict[str, list[Any]]]:
    """Return all values by fact and host. A host may have changed between two trials."""
    by_fact: dict[str, dict[str, list[Any]]] = {}
    for trial in trials:
        for host, facts in trial.items():
            for fact, value in facts.items():
                values = by_fact.setdefault(fact, {}).setdefault(host, [])
                if value not in values:
                    values.append(value)
    return by_fact


def _same(one: Collection[Any], other: Collection[Any], close: float) -> bool:
    """Whether each value of one side occurs on the other side."""

    def alike(x: Any, y: Any) -> bool:
        return bool(x == y) or (close > 0 and abs(x - y) <= close * max(x, y))

    return all(any(alike(x, y) for y in b) for a, b in ((one, other), (other, one)) for x in a)


def _hosts_by_value(hosts: Mapping[str, list[Any]]) -> dict[Any, list[str]]:
    by_value: dict[Any, list[str]] = {}
    for host, values in hosts.items():
        for value in values:
            by_value.setdefault(value, []).append(host)
    return by_value
