"""Metrics in the JSON that a script, or the tool in it, prints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_env.common import join_surrogates
from ansible_env.errors import AnsibleEnvError, MetricsPatternError, Problem

Value = int | float | str | bool | None

_OBJECT = re.compile(r"^\{", re.MULTILINE)
"""The begin of an object that is not inside another one: tools indent those, as fio, iperf3 and mpstat do."""


class MetricsParseError(AnsibleEnvError, ValueError):
    """The output of a script has no usable JSON, or far too many metrics."""


@dataclass(frozen=True, slots=True)
class JsonMetrics:
    """Which values of the last JSON object in an output are metrics."""

    scalars: bool = True
    """Whether all values outside of arrays are metrics; those of objects in it have dotted names (`latency.p99`)."""
    paths: Mapping[str, str] = field(default_factory=dict)
    """Metric to the path of its value, with keys and indexes of arrays: `jobs.0.read.iops`."""

    @classmethod
    def of(cls, scalars: bool, paths: Mapping[str, str] | None = None) -> JsonMetrics | None:
        """Return what `results_json` and `metrics` of an environment file ask for; None for nothing.

        Raises:
            MetricsPatternError: a path is empty.
        """
        for name, path in (paths or {}).items():
            if not isinstance(path, str) or not path.strip("."):
                hint = "write the keys and indexes that lead to a number: jobs.0.read.iops"
                raise MetricsPatternError(Problem(f"{path!r} is no path", f"metrics.{name}", hint=hint))
        return cls(scalars, dict(paths or {})) if scalars or paths else None

    def findings(self, text: str) -> Iterator[tuple[str, Value]]:
        """Yield each metric in an output, and its value.

        Raises:
            MetricsParseError: there is no JSON object, or a path leads to an object or an array.
        """
        return self.findings_in(last_object(text))

    def findings_in(self, data: Any) -> Iterator[tuple[str, Value]]:
        """Yield each metric in an object, or in an array of one object, and its value.

        Raises:
            MetricsParseError: it is another array, or a path leads to an object or an array.
        """
        if self.scalars:
            yield from _scalars(_only(data))
        for name, path in self.paths.items():
            for value in _resolved(data, path.split(".")):
                if isinstance(value, dict | list):
                    what = "an object" if isinstance(value, dict) else "an array"
                    raise MetricsParseError(f"metrics: {name} is {what} at {path!r}; a metric is one value")
                yield name, _text(value)
                break


def last_object(text: str) -> dict[str, Any]:
    """Return the JSON object on the last line that is not blank, or else the last one that begins a line.

    Raises:
        MetricsParseError: there is none.
    """
    line = text.rstrip().rpartition("\n")[2].strip()
    if not line:
        raise MetricsParseError("results_json: the script printed nothing; it must print a JSON object")
    why = "is not a JSON object"
    try:
        data = json.loads(line)
        if isinstance(data, dict):
            return data
    except (ValueError, RecursionError) as error:
        why = f"is not JSON ({error})"
    decoder = json.JSONDecoder()
    for start in reversed([match.start() for match in _OBJECT.finditer(text)][-_TRIES:]):
        try:
            data, _ = decoder.raw_decode(text, start)
        except RecursionError as error:
            raise MetricsParseError(f"results_json: the object is not JSON ({error})") from error
        except ValueError:
            continue
        return dict(data)
    raise MetricsParseError(f"results_json: no JSON object begins a line, and the last line {why}: {line[:80]!r}")


_TRIES = 1000
"""Most places at which an object is looked for, from the end: a log may have many lines that begin with `{`."""


def _only(data: Any) -> Any:
    """Return the object, or the only one of an array."""
    if not isinstance(data, list):
        return data
    if len(data) != 1 or not isinstance(data[0], dict):
        what = f"there are {len(data)} rows" if len(data) != 1 else "the row is no object"
        raise MetricsParseError(f"{what}: select values with `metrics`, as p99: -1.p99 for the last row")
    return data[0]


def _scalars(data: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    path: list[str] = []
    stack = [iter(data.items())]
    while stack:  # no recursion: the script decides how deep the object is
        key, value = next(stack[-1], (None, None))
        if key is None:
            stack.pop()
            del path[-1:]
        elif isinstance(value, dict):
            stack.append(iter(value.items()))
            path.append(key)
        elif not isinstance(value, list):  # a metric is one value: a path selects one of them
            yield join_surrogates(".".join([*path, key]), lone="replace"), _text(value)


def _resolved(data: Any, parts: list[str]) -> Iterator[Any]:
    """Yield the values at a path. A key may contain dots itself, as `percentile.99.000000` of fio."""
    if not parts:
        yield data
    elif isinstance(data, dict):
        for length in range(1, len(parts) + 1):
            if (key := ".".join(parts[:length])) in data:
                yield from _resolved(data[key], parts[length:])
    elif isinstance(data, list) and re.fullmatch(r"-?\d{1,9}", parts[0]):
        index = int(parts[0])
        if -len(data) <= index < len(data):
            yield from _resolved(data[index], parts[1:])


def _text(value: Any) -> Value:
    return join_surrogates(value, lone="replace") if isinstance(value, str) else value
