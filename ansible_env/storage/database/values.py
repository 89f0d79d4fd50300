"""Values of metrics and parameters as columns of a database."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

Columns = tuple[str, float | None, str | None]
"""Type, number and text."""

LONGEST_NAME = 255
_EXACT = 2**53
"""Largest whole number that a float represents exactly."""


def encode(value: Any) -> Columns:
    """Return the type of a value, a number to sort and compute with, and a text if the number is not exact.

    NaN, infinity and large whole numbers are stored as text: not every database supports them.
    """
    if value is None:
        return "null", None, None
    if isinstance(value, bool):
        return "bool", float(value), None
    if isinstance(value, int):
        return ("int", float(value), None) if abs(value) <= _EXACT else ("int", _as_float(value), str(value))
    if isinstance(value, float):
        return ("float", value, None) if math.isfinite(value) else ("float", None, repr(value))
    if isinstance(value, str):
        return "str", None, clean(value)
    if hasattr(value, "item"):  # a number of numpy's
        return encode(value.item())
    return "json", None, clean(json.dumps(value, default=str))


def decode(kind: str, number: float | None, text: str | None) -> Any:
    """Return the value from its columns."""
    if kind == "float":
        return number if text is None else float(text)
    if kind == "int":
        return int(number or 0) if text is None else int(text)
    if kind == "str":
        return text
    if kind == "bool":
        return bool(number)
    return json.loads(text) if kind == "json" and text is not None else None


def clean(text: str) -> str:
    """Return text that every database accepts: PostgreSQL allows no NUL, and UTF-8 no half surrogate pairs."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def short(name: str) -> str:
    """Return a name that fits into its column. A longer one is cut and gets a hash, which keeps it unique."""
    name = clean(name)
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _as_float(value: int) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None
