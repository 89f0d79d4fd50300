"""Faults in the definitions of tunables and their groups.

The rules are those of mlos_bench 0.6.2: `mlos_bench/config/schemas/tunables/tunable-params-schema.json`, and the checks
of `mlos_bench/tunables/tunable.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_env.config.documents import KeyPath
from ansible_env.config.faults import Fault
from ansible_env.config.text import kind_of, nearest

TYPES = ("int", "float", "categorical")
_COMMON = {"type", "description", "default", "meta"}
_CATEGORICAL = _COMMON | {"values", "values_weights"}
_NUMERIC = _COMMON | {
    "range", "special", "special_weights", "range_weight", "log", "quantization_bins", "distribution",
}  # fmt: skip
_DISTRIBUTIONS = {"uniform": set[str](), "beta": {"alpha", "beta"}, "normal": {"mu", "sigma"}}
_HINTS = {"quantization": "mlos_bench takes 'quantization_bins', a number of bins"}


def group_faults(group: object) -> Iterator[Fault]:
    """Yield the faults of a group, without those of its tunables."""
    if not isinstance(group, Mapping):
        yield (), f"a group must be a mapping with 'cost' and 'params', not {kind_of(group)}", None
        return
    for key in group:
        if key not in {"cost", "params", "description"}:
            hint = nearest(key, ("cost", "params", "description"))
            yield (str(key),), "unknown key in a group of tunables", hint
    if "cost" not in group:
        yield (), "'cost' is missing: the cost of changing a value of this group", "0 if there is none"
    elif not _is_number(group["cost"]):
        yield ("cost",), f"must be a number, not {kind_of(group['cost'])}", None
    if "params" not in group:
        yield (), "'params' is missing: the tunables of this group", None
    elif not isinstance(group["params"], Mapping) or not group["params"]:
        yield ("params",), "must be a mapping of at least one tunable", None
    yield from _text_fault(group, "description")


def definition_faults(definition: object) -> Iterator[Fault]:
    """Yield the faults of one tunable, except whether its default is a valid value."""
    if not isinstance(definition, Mapping):
        yield (), f"a tunable must be a mapping with 'type' and 'default', not {kind_of(definition)}", None
        return
    kind = definition.get("type")
    if kind not in TYPES:
        what = "'type' is missing" if "type" not in definition else f"unknown type {kind!r}"
        hint = nearest(kind, TYPES) or "int, float or categorical"
        yield (("type",) if "type" in definition else ()), what, hint
        return
    allowed = _CATEGORICAL if kind == "categorical" else _NUMERIC
    for key in definition:
        if key not in allowed:
            known = key in (_CATEGORICAL | _NUMERIC)
            what = f"has no meaning for a tunable of type {kind}" if known else "unknown key in a tunable"
            yield (str(key),), what, None if known else _HINTS.get(str(key)) or nearest(key, allowed)
    yield from _text_fault(definition, "description")
    yield from _meta_faults(definition.get("meta", {}))
    yield from (_categorical_faults if kind == "categorical" else _numeric_faults)(definition)


def _categorical_faults(definition: Mapping[str, Any]) -> Iterator[Fault]:
    scalar = (str, int, float)
    if "default" not in definition:
        yield (), "'default' is missing", None
    elif not isinstance(definition["default"], scalar):
        what = f"must be text, a number or true/false, not {kind_of(definition['default'])}"
        yield ("default",), what, "quote it" if definition["default"] is None else None
    values = definition.get("values")
    if "values" not in definition:
        yield (), "'values' is missing: the list of possible values", None
    elif not isinstance(values, list | tuple) or not values:
        yield ("values",), f"must be a list of at least one value, not {kind_of(values)}", None
    else:
        for index, value in enumerate(values):
            if not isinstance(value, scalar):
                what = f"must be text, a number or true/false, not {kind_of(value)}"
                yield ("values", index), what, "quote it" if value is None else None
            elif str(value) in map(str, values[:index]):
                yield ("values", index), f"the value {value!r} is listed twice (values compare as text)", None
        yield from _weights_faults(definition, "values_weights", len(values))


def _numeric_faults(definition: Mapping[str, Any]) -> Iterator[Fault]:
    whole = definition["type"] == "int"
    if "default" not in definition:
        yield (), "'default' is missing", None
    else:
        yield from _number_faults(("default",), definition["default"], whole)
    yield from _range_faults(definition, whole)
    yield from _special_faults(definition)
    if "log" in definition and not isinstance(definition["log"], bool):
        yield ("log",), f"must be true or false, not {kind_of(definition['log'])}", None
    bins = definition.get("quantization_bins", 2)
    if not _is_whole(bins) or bins < 2:
        yield ("quantization_bins",), "must be a whole number, 2 or more", None
    if "distribution" in definition:
        yield from _distribution_faults(definition["distribution"])


def _special_faults(definition: Mapping[str, Any]) -> Iterator[Fault]:
    special = definition.get("special", ())
    if "special" in definition and (not isinstance(special, list | tuple) or not special):
        yield ("special",), f"must be a list of at least one value, not {kind_of(special)}", None
        special = ()
    for index, value in enumerate(special):
        if value is not None and not isinstance(value, str | int | float):
            yield ("special", index), f"must be a number or text, not {kind_of(value)}", None
        elif any(value == other and type(value) is type(other) for other in special[:index]):
            yield ("special", index), f"the value {value!r} is listed twice", None
    yield from _weights_faults(definition, "special_weights", len(special))
    if ("range_weight" in definition) != ("special_weights" in definition):
        yield (), "'special_weights' and 'range_weight' go together: give both, or none", None
    if "range_weight" in definition and not _is_weight(definition["range_weight"]):
        yield ("range_weight",), "must be a number, 0 or more", None


def _range_faults(definition: Mapping[str, Any], whole: bool) -> Iterator[Fault]:
    if "range" not in definition:
        yield (), "'range' is missing: the lowest and the highest value", None
        return
    bounds = definition["range"]
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        yield ("range",), "must be a list of two numbers, the lowest and the highest value", None
        return
    faults = [fault for i in (0, 1) for fault in _number_faults(("range", i), bounds[i], whole)]
    yield from faults
    if not faults and bounds[0] >= bounds[1]:
        what = f"is empty: {bounds[0]} is not below {bounds[1]}"
        yield ("range",), what, f"write [{bounds[1]}, {bounds[0]}]" if bounds[0] > bounds[1] else None


def _number_faults(where: KeyPath, value: object, whole: bool) -> Iterator[Fault]:
    if whole and not _is_whole(value):
        what = f"{value!r}" if _is_number(value) else kind_of(value)
        yield where, f"must be a whole number, not {what}, for a tunable of type int", _number_hint(value)
    elif not whole and not _is_number(value):
        yield where, f"must be a number, not {kind_of(value)}", _number_hint(value)


def _number_hint(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    # YAML 1.1 has no floats without a point: `1e-3` is text.
    return f"write {number!r}" if math.isfinite(number) and "e" not in repr(number) else "write 1e-9 as 1.0e-9"


def _weights_faults(definition: Mapping[str, Any], key: str, count: int) -> Iterator[Fault]:
    if key not in definition:
        return
    weights = definition[key]
    if not isinstance(weights, list | tuple) or not weights or not all(map(_is_weight, weights)):
        yield (key,), "must be a list of numbers, 0 or more", None
    elif len(weights) != count:
        yield (key,), f"has {len(weights)} weights for {count} values", None


def _distribution_faults(distribution: object) -> Iterator[Fault]:
    where = ("distribution",)
    if not isinstance(distribution, Mapping):
        yield where, f"must be a mapping with 'type', not {kind_of(distribution)}", None
        return
    for key in set(distribution) - {"type", "params"}:
        yield (*where, str(key)), "unknown key in a distribution", nearest(key, ("type", "params"))
    kind = distribution.get("type")
    if kind not in _DISTRIBUTIONS:
        hint = nearest(kind, _DISTRIBUTIONS) or "uniform, beta or normal"
        yield (*where, "type"), f"unknown distribution {kind!r}", hint
        return
    params, wanted = distribution.get("params", {}), _DISTRIBUTIONS[str(kind)]
    if not isinstance(params, Mapping) or set(params) != wanted:
        names = " and ".join(sorted(wanted)) or "nothing"
        yield (*where, "params"), f"must hold {names} for the distribution {kind}", None
        return
    for key, value in params.items():
        if not _is_number(value) or (key != "mu" and value <= 0):
            yield (*where, "params", key), "must be a number" + (" above 0" if key != "mu" else ""), None


def _meta_faults(meta: object) -> Iterator[Fault]:
    if not isinstance(meta, Mapping):
        yield ("meta",), f"must be a mapping, not {kind_of(meta)}", None
        return
    for key, value in meta.items():
        items = value if isinstance(value, list | tuple) else [value]
        if not all(item is None or isinstance(item, str | int | float) for item in items):
            yield ("meta", str(key)), "must be a plain value, or a list of plain values", None


def _text_fault(mapping: Mapping[str, Any], key: str) -> Iterator[Fault]:
    if key in mapping and not isinstance(mapping[key], str):
        yield (key,), f"must be text, not {kind_of(mapping[key])}", "quote it"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and value == int(value)


def _is_weight(value: Any) -> bool:
    return _is_number(value) and bool(value >= 0)
