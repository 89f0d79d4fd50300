"""Fields of an environment file about hosts as a group: aggregates, policies, assertions, keywords of plays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, InstanceOf, PlainSerializer, WithJsonSchema

from ansible_env.config.faults import Fault, refuse, refuse_one
from ansible_env.config.fields import mapping_schema, one_of, read_list, read_mapping, read_names
from ansible_env.config.text import kind_of, nearest
from ansible_env.results import aggregate
from ansible_env.results.assertions import Assertion, AssertionSyntaxError, parse_assertion
from ansible_env.results.disturbance import LIMITS, DisturbanceLimits, DisturbanceSyntaxError, parse_limit
from ansible_env.results.metrics.validity import ValidRule, parse_rule
from ansible_env.results.outcomes import Kind
from ansible_env.results.policies import Success
from ansible_env.results.requirements import (
    COMMANDS,
    FACTS,
    HostRules,
    RequirementSyntaxError,
    parse_commands,
    parse_requirement,
)

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_WORDS = ("all", "any", "majority")
_RETRIED = tuple(str(kind) for kind in Kind if kind not in (Kind.OK, Kind.CANCELED, Kind.REJECTED))


def _aggregate(value: Any) -> dict[str, str]:
    """Read the aggregate of each metric. A single name applies to all metrics."""

    def faults(_: str, name: Any) -> Iterator[Fault]:
        if not isinstance(name, str) or aggregate.function(name) is None:
            hint = nearest(name, aggregate.NAMES) or f"known: {', '.join(aggregate.NAMES)}"
            yield (), f"there is no aggregate {name!r}", hint

    return read_mapping({"*": value} if isinstance(value, str) else value, "metrics to aggregates", faults)


def _success(value: Any) -> Success:
    if isinstance(value, Success):
        return value
    if isinstance(value, str):
        if value in _WORDS:
            return Success(value)  # type: ignore[arg-type]
        refuse_one(f"{value!r} is none of {', '.join(_WORDS)}", nearest(value, _WORDS) or "or {at_least: 3}")
    if not isinstance(value, Mapping) or len(value) != 1 or next(iter(value)) not in ("at_least", "fraction"):
        refuse_one("must be all, any, majority, {at_least: 3} or {fraction: 0.9}")
    rule, amount = next(iter(value.items()))
    is_number = isinstance(amount, int | float) and not isinstance(amount, bool)
    if rule == "at_least" and not (is_number and isinstance(amount, int) and amount >= 1):
        refuse([((rule,), "must be a number of hosts, 1 or more", None)])
    if rule == "fraction" and not (is_number and 0 < amount <= 1):
        refuse([((rule,), "must be a share of the hosts, above 0 and up to 1", None)])
    return Success(rule, amount)


def _success_data(value: Success) -> str | dict[str, float]:
    return value.rule if value.rule in _WORDS else {value.rule: value.amount}


def _share(value: Any) -> int | float | None:
    """Read a number of hosts, or a share such as `10%`, which becomes a float below 1."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    if isinstance(value, float) and 0 <= value < 1:
        return value
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None or float(match[1]) >= 100:
        refuse_one("must be a number of hosts, or a share of them such as '10%'")
    return float(match[1]) / 100


def _serial(value: Any) -> tuple[int | str, ...]:
    """Read batch sizes in Ansible's format: a number, a share such as `30%`, or a list of these."""

    def faults(item: Any) -> Iterator[Fault]:
        number = isinstance(item, int) and not isinstance(item, bool) and item >= 1
        if not number and not (isinstance(item, str) and _PERCENT.fullmatch(item)):
            yield (), "must be a number of hosts, 1 or more, or a share of them such as '30%'", None

    return tuple(read_list(value if isinstance(value, list | tuple) else [value], "batches", faults))


def _retry_on(value: Any) -> tuple[Kind, ...]:
    names = list(map(str, value)) if isinstance(value, tuple) else value
    faults = one_of(_RETRIED, "{} cannot be retried", f"known: {', '.join(_RETRIED)}")
    return tuple(map(Kind, read_names(names, faults)))


_PERCENTAGE: dict[str, Any] = {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"}
_SHARE: list[dict[str, Any]] = [{"type": "integer", "minimum": 1}, _PERCENTAGE]
_HOSTS = {"type": "integer", "minimum": 0}
_FRACTION = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}


def _rule(name: str, amount: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: amount}, "required": [name], "additionalProperties": False}


def _any_of(*schemas: dict[str, Any], **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": list(schemas), **more})


Aggregate = Annotated[
    dict[str, str],
    BeforeValidator(_aggregate),
    _any_of(
        {"type": "string"},
        {"type": "object", "additionalProperties": {"type": "string"}},
        examples=[{"throughput": "sum", "latency_p99": "max", "*": "mean"}],
    ),
]
SuccessField = Annotated[
    InstanceOf[Success],
    BeforeValidator(_success),
    PlainSerializer(_success_data),
    _any_of({"enum": list(_WORDS)}, _rule("at_least", _SHARE[0]), _rule("fraction", _FRACTION)),
]
Share = Annotated[int | float | None, BeforeValidator(_share), _any_of(_HOSTS, _PERCENTAGE, {"type": "null"})]
Serial = Annotated[
    tuple[int | str, ...],
    BeforeValidator(_serial),
    _any_of(*_SHARE, {"type": "array", "items": {"anyOf": _SHARE}}),
]
RetryOn = Annotated[
    tuple[Kind, ...],
    BeforeValidator(_retry_on),
    WithJsonSchema({"type": "array", "items": {"enum": list(_RETRIED)}, "uniqueItems": True}),
]
Order = Literal["inventory", "reverse_inventory", "sorted", "reverse_sorted", "shuffle"]
"""https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_strategies.html#ordering-execution-based-on-inventory"""
Positive = Annotated[int, Field(ge=1)]
NotNegative = Annotated[int, Field(ge=0)]


_Rule = TypeVar("_Rule", Assertion, ValidRule)


def _read_rules(value: Any, kind: type[_Rule], parse: Callable[[str, str], _Rule], what: str) -> tuple[_Rule, ...]:
    """Read a mapping of metrics to one rule or a list of rules."""
    if isinstance(value, tuple) and all(isinstance(item, kind) for item in value):
        return value
    texts = read_mapping(value, what, partial(_rule_faults, parse=parse))
    return tuple(parse(metric, text) for metric, item in texts.items() for text in _texts(item))


def _texts(item: Any) -> Sequence[Any]:
    return item if isinstance(item, list | tuple) else [item]


def _rule_faults(metric: str, item: Any, parse: Callable[[str, str], object]) -> Iterator[Fault]:
    for text in _texts(item):
        if not isinstance(text, str):
            what = f"must be a comparison, as '>= 10', not {kind_of(text)}"
            yield (), what, "write '>= …' or '<= …' before it"
            continue
        try:
            parse(metric, text)
        except AssertionSyntaxError as error:
            yield (), str(error), None


def _rules_data(rules: Sequence[Assertion | ValidRule]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for rule in rules:
        texts.setdefault(rule.metric, []).append(rule.text)
    return texts


def _rules_schema(pattern: str, example: dict[str, str]) -> WithJsonSchema:
    text = {"type": "string", "pattern": pattern}
    return mapping_schema({"anyOf": [text, {"type": "array", "items": text}]}, examples=[example])


AssertionsField = Annotated[
    tuple[InstanceOf[Assertion], ...],
    BeforeValidator(lambda value: _read_rules(value, Assertion, parse_assertion, "metrics to comparisons")),
    PlainSerializer(_rules_data),
    _rules_schema(r"^\s*(>=|<=|==|!=|>|<)", {"throughput": ">= 0.95 * baseline", "latency_p99": "<= 12 ms"}),
]
ValidField = Annotated[
    tuple[InstanceOf[ValidRule], ...],
    BeforeValidator(lambda value: _read_rules(value, ValidRule, parse_rule, "metrics to rules")),
    PlainSerializer(_rules_data),
    _rules_schema(
        r"^\s*(>=|<=|==|!=|>|<|(finite|any)\s*$)", {"score": "> 0", "latency_p99": "finite", "*_errors": "== 0"}
    ),
]


def _require(value: Any) -> HostRules:
    if isinstance(value, HostRules):
        return value

    def faults(fact: str, item: Any) -> Iterator[Fault]:
        try:
            parse_commands(item) if fact == COMMANDS else parse_requirement(fact, item)
        except RequirementSyntaxError as error:
            yield (), str(error), nearest(fact, (*FACTS, COMMANDS)) if fact not in FACTS else error.hint or None

    return HostRules.parse(read_mapping(value, "facts to values", faults))


def _disturbed_if(value: Any) -> DisturbanceLimits:
    if isinstance(value, DisturbanceLimits):
        return value

    def faults(name: str, item: Any) -> Iterator[Fault]:
        try:
            parse_limit(name, item)
        except DisturbanceSyntaxError as error:
            yield (), str(error), nearest(name, tuple(LIMITS)) if name not in LIMITS else error.hint or None

    return DisturbanceLimits.parse(read_mapping(value, "what is measured to limits", faults))


_WANTED = {"type": ["string", "number"]}

RequireField = Annotated[
    InstanceOf[HostRules],
    BeforeValidator(_require),
    PlainSerializer(HostRules.to_plain),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {**dict.fromkeys(FACTS, _WANTED), COMMANDS: {"type": "array", "items": {"type": "string"}}},
            "additionalProperties": False,
            "examples": [{"governor": "performance", "load_1m": "< 0.5", COMMANDS: ["fio"]}],
        }
    ),
]
_LIMIT = {"anyOf": [{"type": "string"}, {"const": False}]}

DisturbedIfField = Annotated[
    InstanceOf[DisturbanceLimits],
    BeforeValidator(_disturbed_if),
    PlainSerializer(lambda limits: dict(limits.own)),
    WithJsonSchema(
        {
            "type": "object",
            "properties": dict.fromkeys(LIMITS, _LIMIT),
            "additionalProperties": False,
            "examples": [{"foreign_cpu_percent": "> 50", "steal_percent": "off"}],
        }
    ),
]
