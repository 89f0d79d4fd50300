"""What a script found out and others need, from its stdout: an address, a port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import regex

from ansible_env.errors import MetricsPatternError, MetricsTimeoutError, Problem

__all__ = ["compile_export", "find_exports", "is_template"]

TIMEOUT = 5.0
"""Seconds that a pattern may take."""
_HINT = "as '^port=(\\d+)$', or a template of Ansible's: '{{ ansible_host }}'"


def is_template(source: str) -> bool:
    """Whether Ansible is to find the value, and not a pattern."""
    return "{{" in source


def compile_export(pattern: str) -> Any:
    """Compile a pattern with one group, which is the value; with MULTILINE set.

    Raises:
        MetricsPatternError: it is none.
    """
    try:
        compiled = regex.compile(pattern, regex.MULTILINE | regex.VERSION0)
    except (regex.error, RecursionError, OverflowError) as error:
        raise MetricsPatternError(Problem(f"is not a regular expression: {error}", hint=_HINT)) from error
    if compiled.groups != 1:
        raise MetricsPatternError(Problem("must have one group, which is the value", hint=_HINT))
    return compiled


def find_exports(patterns: Mapping[str, str], stdout: str) -> dict[str, str]:
    """Return the last value that each pattern finds, as it was printed.

    Raises:
        MetricsTimeoutError: a pattern takes too long.
    """
    found: dict[str, str] = {}
    for name, pattern in patterns.items():
        try:
            values = compile_export(pattern).findall(stdout, timeout=TIMEOUT)
        except TimeoutError as error:
            raise MetricsTimeoutError(f"the pattern of {name!r} took longer than {TIMEOUT:g} s") from error
        if values:
            found[name] = values[-1]
    return found
