"""What a script found out and others need, from its stdout: an address, a port."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ansible_env.results.metrics.parse import DEFAULT_TIMEOUT, MetricsParseError
from ansible_env.results.metrics.pattern import Pattern, compile_value
from ansible_env.results.metrics.search import Search

__all__ = ["MAX_VALUE", "compile_export", "find_exports", "in_a_row", "is_template"]

MAX_VALUE = 100_000
"""Bytes of a value: it becomes an environment variable, which cannot have many more."""
_HINT = "as '^port=(\\d+)$', or a template of Ansible's: '{{ ansible_host }}'"


def is_template(source: str) -> bool:
    """Whether Ansible is to find the value, and not a pattern."""
    return "{{" in source


def compile_export(pattern: str) -> Pattern:
    """Compile a pattern with one group, which is the value.

    Raises:
        MetricsPatternError: it is none.
    """
    return compile_value(pattern, "exports", _HINT)


def find_exports(patterns: Mapping[str, str], stdout: Callable[[], Iterable[str]]) -> dict[str, str]:
    """Return the last value that each pattern finds, as text.

    Searched is what a terminal would show, window by window, with a limit on time, as for metrics.

    Args:
        patterns: by the names of the values.
        stdout: gives all of the output, in pieces of any length; called for each pattern.

    Raises:
        MetricsTimeoutError: a pattern takes too long.
        MetricsParseError: a value is too long.
    """
    found: dict[str, str] = {}
    for name, pattern in patterns.items():
        for _, value in Search(compile_export(pattern), DEFAULT_TIMEOUT).findings(stdout()):
            found[name] = value
        if len(found.get(name, "").encode("utf-8", "surrogatepass")) > MAX_VALUE:
            raise MetricsParseError(f"exports: the value of {name!r} has more than {MAX_VALUE} bytes")
    return found


def in_a_row(hosts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Put together what several hosts have found: different values with blanks between them, as a shell's words."""
    found: dict[str, list[str]] = {}
    for values in hosts:
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return {name: " ".join(dict.fromkeys(values)) for name, values in found.items()}
