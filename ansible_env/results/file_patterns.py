"""Names of files on a host: the patterns of `collect`, and where a file goes in the bundle."""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes

from ansible_env.errors import ConfigError, Problem

_SPECIAL = re.compile(r"(\[[!^]?[\w.-]+\]|[*?])", re.ASCII)
"""What is special in a pattern: `*`, `?`, and a set of plain characters."""
_LONGEST_PART = 255
"""Bytes of a file's name on Linux."""


def check_pattern(text: object, key: str = "collect") -> str:
    """Return a pattern, or the name of a file, that has been checked.

    Raises:
        ConfigError: it is no text, is empty, or has a part that the host's shell would not take as it is written.
    """
    faults = (
        (not isinstance(text, str) or not text.strip(), "is no name of a file", "write a path, as out/*.json"),
        (not str(text).isprintable(), "has a control character", None),
        (".." in str(text).split("/"), "contains `..`", "write the whole path"),
        ("**" in str(text), "contains `**`, which the host's shell does not know", "write one pattern for each depth"),
        (str(text).startswith("~"), "begins with `~`", "relative paths are relative to the user's home already"),
        ("$" in str(text), "contains `$`, but no parameter is replaced here", "write a fixed path, or `*`"),
        (str(text).endswith("/"), "names a directory", f"{text!s}* are its files"),
    )
    for is_fault, what, hint in faults:
        if is_fault:
            raise ConfigError(Problem(f"{text!r} {what}", key, hint=hint))
    return str(text)


def shell_pattern(text: str) -> str:
    """Return the word of sh for a pattern. Relative ones begin with `./`: no name looks like an option."""
    return "".join(
        part if _SPECIAL.fullmatch(part) else shell_name(part) for part in _SPECIAL.split(_placed(text)) if part
    )


def shell_name(text: str) -> str:
    """Return the word of sh for the name of a file."""
    return "'" + text.replace("'", "'\\''") + "'"


def _placed(text: str) -> str:
    return text if text.startswith("/") else f"./{text}"


def placed_name(text: str) -> str:
    """Return the name of a file as `shell_pattern` leads to it, in one word of sh."""
    return shell_name(_placed(text))


def bundle_path(name: str) -> str | None:
    """Return the relative path for a host's file; None for a name that would lead elsewhere, or is too long.

    The host says what its files are called. Characters that cannot be shown are written as `%1B`.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    shown = ["".join(c if c.isprintable() else _escaped(c) for c in part) for part in parts]
    if not parts or any(part == ".." or len(part.encode()) > _LONGEST_PART for part in shown):
        return None
    return "/".join(shown)


def _escaped(character: str) -> str:
    return quote_from_bytes(character.encode("utf-8", "surrogateescape"), safe="")
