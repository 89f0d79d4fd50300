"""From a script's stdout to `{name: typed value}`.

The rules are those of mlos_bench 0.6.2 (`environments/script_env.py:120-139`, `util.py:try_parse_val`), with these
additions: named groups, a JSON object, text as a terminal would show it, and limits on time and size. Output and
patterns may take unlimited time in `re`, which cannot be interrupted. `regex` does the matching instead, adapted to
agree with `re` where the two differ (see `pattern._for_regex`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from ansible_env.results.metrics.json_output import JsonMetrics, MetricsParseError, Value
from ansible_env.results.metrics.pattern import Pattern
from ansible_env.results.metrics.search import Search

__all__ = ["MetricsParseError", "Value", "limited", "parse", "parse_value"]

DEFAULT_TIMEOUT = 5.0
"""Seconds of CPU time that a pattern may take in one window of the output (see `search.WINDOW`)."""
MAX_METRICS = 10_000
"""Most metrics of one script. A pattern that finds more matches the log, not metrics."""
MAX_JSON_CHARS = 500_000
"""Longest JSON text of all metrics of one script. ansible-runner silently drops task results above 700 kB."""


def parse_value(text: str) -> int | float | str:
    """Convert a value like mlos_bench's `try_parse_val`: 10 is an int, 1.0, 1e3 and nan are floats, else it is text.

    `1_000` is 1000. An integer that a float cannot hold (2**53 + 1) becomes a float, as in mlos_bench.
    """
    try:
        as_float = float(text)
    except ValueError:
        return text
    try:
        as_int = int(text)
    except (ValueError, OverflowError):
        return as_float
    return as_int if as_int == as_float else as_float


def parse(
    stdout: str | Iterable[str],
    pattern: Pattern | None,
    *,
    document: JsonMetrics | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> dict[str, Value]:
    """Return the metrics in a script's stdout, which is cleaned first. Of equal names, the last one counts.

    Args:
        stdout: the text, or its pieces of any length. More than `WINDOW` characters are searched window by window.
        pattern: finds the metrics; None finds none.
        document: which values of the last JSON object are metrics. They override metrics that the pattern finds.
        timeout: seconds of CPU time for each window.

    Raises:
        MetricsTimeoutError: the pattern takes longer than the timeout.
        MetricsParseError: the JSON object is missing or unusable, or there are more than `MAX_METRICS` metrics or
            `MAX_JSON_CHARS` characters of them. No match is not an error: `required_metrics` covers that.
    """
    search = Search(pattern, timeout)
    texts = limited(search.findings([stdout] if isinstance(stdout, str) else stdout))
    metrics: dict[str, Value] = {name: parse_value(str(text)) for name, text in texts.items()}
    if document is not None:
        metrics.update(limited(document.findings(search.tail)))
    if len(metrics) > MAX_METRICS or len(json.dumps(metrics)) > MAX_JSON_CHARS:
        raise _too_much()
    return metrics


def limited(findings: Iterable[tuple[str, Value]]) -> dict[str, Value]:
    """Return the last value of each name. Hold no more than the limits allow, however many findings there are.

    Raises:
        MetricsParseError: there are more.
    """
    kept: dict[str, Value] = {}
    size = 0
    for name, value in findings:
        size += len(str(value)) - len(str(kept[name])) if name in kept else len(name) + len(str(value))
        kept[name] = value
        if size > MAX_JSON_CHARS or len(kept) > MAX_METRICS:
            raise _too_much()
    return kept


def _too_much() -> MetricsParseError:
    limits = f"more than {MAX_METRICS} metrics, or {MAX_JSON_CHARS} characters of them"
    return MetricsParseError(f"{limits}: the pattern matches other text too, or the script prints too many")
