"""Text for users: host output that cannot act on a terminal, and readable numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from ansible_env.results.values import is_number

# Colours and cursor movements (CSI), titles and links (OSC): they have no visible text.
_SEQUENCES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)")
# All other characters that may act on a terminal or hide text: C0, DEL, C1, line separators, marks that change the
# direction of writing, halves of surrogate pairs.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Return one line of untrusted text for a terminal, without control characters."""
    if text.isascii() and text.isprintable():
        return text
    text = _SEQUENCES.sub("", text).expandtabs(8)
    return _CONTROLS.sub(_picture, text)


def visible_line(text: str) -> str:
    """Return one line of output for a terminal. Of text that a carriage return rewrites, only the last part remains."""
    if "\r" in text:
        text = next((part for part in reversed(text.split("\r")) if part), "")
    return visible(text)


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def number(value: object) -> str:
    """Return a value for a table: numbers with five significant digits and thousands separators."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**15 else f"{Decimal(value):.5g}"
    if not isinstance(value, float):
        return visible(str(value))
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    magnitude = math.floor(math.log10(abs(value)))
    if not -5 <= magnitude < 15:
        return f"{value:.5g}"
    text = f"{value:,.{max(0, 4 - magnitude)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def parameter(value: object) -> str:
    """Return the value of a parameter for a table: a number as it is given, without rounding and separators."""
    return str(value) if is_number(value) else number(value)


def duration(seconds: float | timedelta | None) -> str:
    """Return a time span with its units, such as `1 h 5 min`; `seconds` may be a timedelta."""
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def plural(count: int, noun: str) -> str:
    """Return `1 host`, `2 hosts`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def some(names: Iterable[str], limit: int = 8) -> str:
    """Return the names as a list in one line, shortened to `limit` names."""
    every = [visible(name) for name in names]
    shown = ", ".join(every[:limit])
    return f"{shown} and {len(every) - limit} more" if len(every) > limit else shown
