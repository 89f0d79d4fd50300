"""The field `assert` of an environment file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, InstanceOf, PlainSerializer, WithJsonSchema

from ansible_env.config.fields import Fault, refuse, refuse_one
from ansible_env.config.text import kind_of
from ansible_env.results.assertions import Assertion, AssertionSyntaxError, parse_assertion

__all__ = ["AssertionsField"]


def _assertions(value: Any) -> tuple[Assertion, ...]:
    if isinstance(value, tuple) and all(isinstance(item, Assertion) for item in value):
        return value
    if not isinstance(value, Mapping):
        refuse_one(f"must be a mapping of metrics to comparisons, not {kind_of(value)}")
    assertions: list[Assertion] = []
    faults: list[Fault] = []
    for metric, texts in value.items():
        if not isinstance(metric, str) or not metric:
            faults.append(((str(metric),), f"a metric's name must be text, not {kind_of(metric)}", "quote it"))
            continue
        for text in texts if isinstance(texts, list | tuple) else [texts]:
            if not isinstance(text, str):
                what = f"must be a comparison, as '>= 10', not {kind_of(text)}"
                faults.append(((metric,), what, "write '>= …' or '<= …' before it"))
                continue
            try:
                assertions.append(parse_assertion(metric, text))
            except AssertionSyntaxError as error:
                faults.append(((metric,), str(error), None))
    if faults:
        refuse(faults)
    return tuple(assertions)


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
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"anyOf": [_COMPARISON, {"type": "array", "items": _COMPARISON}]},
            "examples": [{"throughput": ">= 0.95 * baseline", "latency_p99": "<= 12 ms"}],
        }
    ),
]
