"""Faults of an environment file: where they are, what is wrong in plain words, and the nearest right name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Never

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from ansible_env.config.documents import KeyPath
from ansible_env.config.text import kind_of, nearest

Fault = tuple[KeyPath, str, str | None]
"""Where (relative to a field, an item or the file), what is wrong, and a hint."""

_MAPPINGS = {"model_type", "model_attributes_type", "dict_type"}


def refuse(faults: Iterable[Fault]) -> Never:
    """Raise the error with which a validator reports any number of faults to pydantic."""
    raise PydanticCustomError("faults", "not valid", {"faults": list(faults)})


def refuse_any(faults: Iterable[Fault]) -> None:
    """Refuse a value, from within a validator, if it has faults."""
    if wrong := list(faults):
        refuse(wrong)


def refuse_one(message: str, hint: str | None = None) -> Never:
    """Refuse a value for one reason, from within a validator."""
    refuse([((), message, hint)])


def quote_hint(value: Any) -> str | None:
    """Return the hint for a plain scalar that should be text."""
    return "quote it" if isinstance(value, bool | int | float) else None


def faults_of(error: ValidationError, keys: Mapping[KeyPath, Iterable[str]]) -> list[Fault]:
    """Return every fault in a validation error.

    `keys` holds the valid keys at a level of the file, for the hint; level `()` is the top.
    """
    faults: list[Fault] = []
    for item in error.errors(include_url=False):
        where: KeyPath = item["loc"]
        if item["type"] == "faults":
            faults += [((*where, *inner), what, hint) for inner, what, hint in item["ctx"]["faults"]]
        elif item["type"] == "extra_forbidden":
            hint = nearest(where[-1], keys.get(where[:-1]) or keys.get(where[:1], ()))
            faults.append((where, "unknown key", hint))
        else:
            faults.append((where, *_words(item["type"], item["msg"], item.get("input"))))
    return faults


def _words(kind: str, message: str, value: Any) -> tuple[str, str | None]:
    if kind == "missing":
        return "is missing", None
    if kind == "string_type":
        return f"must be text, not {kind_of(value)}", quote_hint(value)
    if kind in {"string_too_short", "too_short"}:
        return "must not be empty", None
    if kind in {"bool_type", "bool_parsing"}:
        return f"must be true or false, not {kind_of(value)}", None
    if kind in _MAPPINGS:
        return f"must be a mapping, not {kind_of(value)}", None
    return message, None
