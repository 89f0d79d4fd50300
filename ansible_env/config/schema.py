"""The JSON Schema of an environment file in either form, our own and that of mlos_bench, for editors."""

from __future__ import annotations

from typing import Any

from ansible_env.config.forms import MLOS_CLASSES
from ansible_env.config.model import EnvironmentConfig

_SCALAR = {"type": ["string", "number", "boolean"]}
_FILES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_EXTRA: dict[str, Any] = {
    "$schema": {"type": "string", "description": "Schema of this file, for editors."},
    "include_tunables": _FILES | {"description": "Files of tunables, relative to this file or a folder above it."},
    "include_services": {"description": "Services of mlos_bench; ignored."},
}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an environment file, for editors."""
    flat = EnvironmentConfig.model_json_schema(ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = flat.pop("$defs")
    fields = flat["properties"]
    fields["tunables"] = {"$ref": "#/$defs/Tunables", "description": fields["tunables"]["description"]}
    _strip_titles(flat, definitions)
    beside = ("name", "description")
    properties = {
        "class": {"enum": list(MLOS_CLASSES)},
        **{key: fields[key] for key in beside},
        "config": _object({key: value for key, value in fields.items() if key not in beside}),
        **_EXTRA,
    }
    mlos = _object(properties, "class", "name") | {"description": "An environment in mlos_bench's form."}
    flat["properties"] = fields | _EXTRA
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "environment.schema.json",
        "title": "ansible_env environment",
        "description": EnvironmentConfig.__doc__,
        "anyOf": [{"$ref": "#/$defs/Environment"}, {"$ref": "#/$defs/MlosEnvironment"}],
        "$defs": definitions | {"Environment": flat, "MlosEnvironment": mlos} | _tunables(),
    }


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """Return the schema of a mapping that has no other keys."""
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def _strip_titles(*schemas: Any) -> None:
    """Remove the titles that pydantic derives from field names. Editors show them above the descriptions."""
    for schema in schemas:
        if isinstance(schema, dict):
            if isinstance(schema.get("title"), str):
                del schema["title"]
            _strip_titles(*schema.values())
        elif isinstance(schema, list):
            _strip_titles(*schema)


def _tunables() -> dict[str, Any]:
    """Return mlos_bench's tunable-params-schema.json in short. `tunable_rules` checks the same rules."""
    tunable = {"anyOf": [_numeric("int", "integer"), _numeric("float", "number"), _categorical()]}
    params = {"type": "object", "minProperties": 1, "additionalProperties": False}
    return {
        "Tunables": {
            "type": "object",
            "description": "Groups of tunables, by name.",
            "properties": {"$schema": {"type": "string"}},
            "patternProperties": {"^[^$]": {"$ref": "#/$defs/TunableGroup"}},
            "additionalProperties": False,
        },
        "TunableGroup": _object(
            {
                "description": {"type": "string"},
                "cost": {"type": "number", "description": "Cost of changing a value of this group."},
                "params": params | {"patternProperties": {"^[^!]+$": tunable}},
            },
            "cost",
            "params",
        ),
        "Weights": {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 1},
        "Distribution": _distribution(),
    }


def _tunable(kind: str, properties: dict[str, Any], required: str) -> dict[str, Any]:
    plain = {"type": ["string", "number", "boolean", "null"]}
    meta = {"anyOf": [plain, {"type": "array", "items": plain}]}
    common = {
        "type": {"const": kind},
        "description": {"type": "string"},
        "meta": {"type": "object", "additionalProperties": meta},
    }
    return _object(common | properties, "type", "default", required)


def _numeric(kind: str, json_type: str) -> dict[str, Any]:
    number = {"type": json_type}
    special = {"type": ["number", "string", "boolean", "null"]}
    properties = {
        "default": number,
        "range": {"type": "array", "items": number, "minItems": 2, "maxItems": 2, "uniqueItems": True},
        "special": {"type": "array", "items": special, "minItems": 1, "uniqueItems": True},
        "special_weights": {"$ref": "#/$defs/Weights"},
        "range_weight": {"type": "number", "minimum": 0},
        "log": {"type": "boolean"},
        "quantization_bins": {"type": "integer", "exclusiveMinimum": 1},
        "distribution": {"$ref": "#/$defs/Distribution"},
    }
    return _tunable(kind, properties, "range")


def _categorical() -> dict[str, Any]:
    properties = {
        "default": _SCALAR,
        "values": {"type": "array", "items": _SCALAR, "minItems": 1, "uniqueItems": True},
        "values_weights": {"$ref": "#/$defs/Weights"},
    }
    return _tunable("categorical", properties, "values")


def _distribution() -> dict[str, Any]:
    above_0 = {"type": "number", "exclusiveMinimum": 0}

    def one(kind: str, **params: dict[str, Any]) -> dict[str, Any]:
        properties = {"type": {"const": kind}, "params": _object(params, *params)}
        return _object(properties, *(["type", "params"] if params else ["type"]))

    return {
        "anyOf": [
            one("uniform"),
            one("beta", alpha=above_0, beta=above_0),
            one("normal", mu={"type": "number"}, sigma=above_0),
        ]
    }
