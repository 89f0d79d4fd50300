"""In what the hosts of some trials are unlike those of others, by their fingerprints. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Difference", "differences"]

MACHINE = "machine_id"
_PASSING = frozenset({"load"})
"""What is another thing each time."""
_TOLERANCE = 0.01
"""By which memory may differ: a kernel takes a little more or less of it."""

Fingerprints = Iterable[Mapping[str, Mapping[str, Any]]]
"""Of each trial: by host, by fact."""
Values = dict[Any, list[str]]


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact that is not the same on both sides."""

    fact: str
    a: Mapping[Any, list[str]]
    """Its values, and the hosts that have them."""
    b: Mapping[Any, list[str]]


def differences(a: Fingerprints, b: Fingerprints) -> list[Difference]:
    """Return the facts that both sides know and that differ between them.

    A host that is on both sides is compared with itself. Where the hosts are others, the values count, whichever host
    has them.
    """
    first, second = _by_fact(a), _by_fact(b)
    found = []
    for fact in first:
        if fact in _PASSING or fact not in second:
            continue
        one, other = first[fact], second[fact]
        close = _TOLERANCE if fact.endswith("_kib") else 0.0
        if one.keys() == other.keys():
            same = all(_same(values, other[host], close) for host, values in one.items())
        else:
            same = _same(_values(one), _values(other), close)
        if not same:
            found.append(Difference(fact, _who(one), _who(other)))
    return found


def _by_fact(trials: Fingerprints) -> dict[str, dict[str, list[Any]]]:
    """Return all values, by fact and host: a host may have been changed between two trials."""
    found: dict[str, dict[str, list[Any]]] = {}
    for trial in trials:
        for host, facts in trial.items():
            for fact, value in facts.items():
                values = found.setdefault(fact, {}).setdefault(host, [])
                if value not in values:
                    values.append(value)
    return found


def _values(hosts: Mapping[str, list[Any]]) -> list[Any]:
    return [value for values in hosts.values() for value in values]


def _same(one: Iterable[Any], other: Iterable[Any], close: float) -> bool:
    """Whether each value of one side is one of the other's, too."""
    one, other = list(one), list(other)
    return all(any(_alike(x, y, close) for y in other) for x in one) and all(
        any(_alike(x, y, close) for x in one) for y in other
    )


def _alike(x: Any, y: Any, close: float) -> bool:
    return bool(x == y) or (close > 0 and abs(x - y) <= close * max(x, y))


def _who(hosts: Mapping[str, list[Any]]) -> Values:
    found: Values = {}
    for host, values in hosts.items():
        for value in values:
            found.setdefault(value, []).append(host)
    return found
