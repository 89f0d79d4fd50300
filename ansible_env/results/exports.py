"""Exports: values such as an address or a port that a script prints and later phases need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ansible_env.results.metrics.parse import DEFAULT_TIMEOUT, MetricsParseError
from ansible_env.results.metrics.pattern import Pattern, compile_value
from ansible_env.results.metrics.search import Search

MAX_VALUE = 100_000
"""Longest value in bytes. It becomes an environment variable, which cannot be much longer."""
_HINT = "as '^port=(\\d+)$', or an Ansible template: '{{ ansible_host }}'"


def is_template(source: str) -> bool:
    """Whether the source is an Ansible template rather than a pattern."""
    return "{{" in source


def compile_export(pattern: str) -> Pattern:
    """Compile a pattern with one group, the value.

    Raises:
        MetricsPatternError: the pattern is not valid or does not have one group.
    """
    return compile_value(pattern, "exports", _HINT)


def find_exports(patterns: Mapping[str, str], stdout: Callable[[], Iterable[str]]) -> dict[str, str]:
    """Return the last value that each pattern matches, as text.

    The patterns search the text that a terminal would show, window by window with a time limit, as for metrics.

    Args:
        patterns: a pattern by the name of each value.
        stdout: returns the whole output in pieces of any length. It is called once for each pattern.

    Raises:
        MetricsTimeoutError: a pattern takes too long.
        MetricsParseError: a value is too long.
    """
    values: dict[str, str] = {}
    for name, pattern in patterns.items():
        for _, value in Search(compile_export(pattern), DEFAULT_TIMEOUT).findings(stdout()):
            values[name] = value
        if len(values.get(name, "").encode("utf-8", "surrogatepass")) > MAX_VALUE:
            raise MetricsParseError(f"exports: the value of {name!r} has more than {MAX_VALUE} bytes")
    return values


def join_exports(hosts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Join the exports of several hosts. Different values of one name are separated by spaces, as shell words."""
    joined: dict[str, list[str]] = {}
    for values in hosts:
        for name, value in values.items():
            joined.setdefault(name, []).append(value)
    return {name: " ".join(dict.fromkeys(values)) for name, values in joined.items()}
