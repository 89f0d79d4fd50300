"""pydantic's errors as faults: where, what is wrong in plain words, and the nearest right name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from ansible_env.config.documents import KeyPath
from ansible_env.config.fields import Fault
from ansible_env.config.text import kind_of, nearest

__all__ = ["faults_of"]

_MAPPINGS = {"model_type", "model_attributes_type", "dict_type"}


def faults_of(error: ValidationError, keys: Mapping[KeyPath, Iterable[str]]) -> list[Fault]:
    """Return every fault in a validation error.

    `keys` holds the keys that exist at a level of the file, for the hint; level `()` is the top.
    """
    faults: list[Fault] = []
    for item in error.errors(include_url=False):
        where: KeyPath = item["loc"]
        if item["type"] == "faults":
            faults += [((*where, *inner), what, hint) for inner, what, hint in item["ctx"]["faults"]]
        else:
            faults.append((where, *_words(item["type"], item["msg"], item.get("input"), where, keys)))
    return faults


def _words(
    kind: str, message: str, value: Any, where: KeyPath, keys: Mapping[KeyPath, Iterable[str]]
) -> tuple[str, str | None]:
    hint = "quote it" if isinstance(value, bool | int | float) else None
    if kind == "extra_forbidden":
        return "unknown key", nearest(where[-1], keys.get(where[:-1]) or keys.get(where[:1], ()))
    if kind == "missing":
        return "is missing", None
    if kind == "string_type":
        return f"must be text, not {kind_of(value)}", hint
    if kind == "string_too_short":
        return "must not be empty", None
    if kind in {"bool_type", "bool_parsing"}:
        return f"must be true or false, not {kind_of(value)}", None
    if kind in _MAPPINGS:
        return f"must be a mapping, not {kind_of(value)}", None
    return message, None
