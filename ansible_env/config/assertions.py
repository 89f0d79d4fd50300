"""The field `assert` of an environment file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, InstanceOf, PlainSerializer

from ansible_env.config.faults import Fault
from ansible_env.config.fields import mapping_schema, read_mapping
from ansible_env.config.text import kind_of
from ansible_env.results.assertions import Assertion, AssertionSyntaxError, parse_assertion


def _assertions(value: Any) -> tuple[Assertion, ...]:
    if isinstance(value, tuple) and all(isinstance(item, Assertion) for item in value):
        return value
    texts = read_mapping(value, "metrics to comparisons", _faults)
    return tuple(parse_assertion(metric, text) for metric, item in texts.items() for text in _texts(item))


def _texts(item: Any) -> Sequence[Any]:
    return item if isinstance(item, list | tuple) else [item]


def _faults(metric: str, item: Any) -> Iterator[Fault]:
    for text in _texts(item):
        if not isinstance(text, str):
            what = f"must be a comparison, as '>= 10', not {kind_of(text)}"
            yield (), what, "write '>= …' or '<= …' before it"
            continue
        try:
            parse_assertion(metric, text)
        except AssertionSyntaxError as error:
            yield (), str(error), None


def _data(assertions: tuple[Assertion, ...]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for assertion in assertions:
        texts.setdefault(assertion.metric, []).append(assertion.text)
    return texts


_COMPARISON = {"type": "string", "pattern": r"^\s*(>=|<=|==|!=|>|<)"}

AssertionsField = Annotated[
    tuple[InstanceOf[Assertion], ...],
    BeforeValidator(_assertions),
    PlainSerializer(_data),
    mapping_schema(
        {"anyOf": [_COMPARISON, {"type": "array", "items": _COMPARISON}]},
        examples=[{"throughput": ">= 0.95 * baseline", "latency_p99": "<= 12 ms"}],
    ),
]
