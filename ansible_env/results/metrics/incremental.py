"""Metrics in the output of a script that still runs. The phase task reads them again, in the whole output."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from ansible_env.errors import AnsibleEnvError, MetricsTimeoutError
from ansible_env.results.metrics.json_output import JsonMetrics
from ansible_env.results.metrics.parse import Value, parse
from ansible_env.results.metrics.pattern import compile_pattern

MAX_UNREAD = 64 * 1024
"""Most characters of a host's output that wait for a search; what is older is left to the end of the phase."""
PARSE_LIMIT = 0.05
"""Longest time of one search in seconds. A pattern that takes longer is not used again before the end of the phase."""
LONGEST_METRIC = 200
"""Longest line, in characters, that can be a metric alone."""


class IncrementalReader:
    """Collects the lines of several hosts, and reads metrics on request. Not safe for threads."""

    def __init__(self, pattern: str | None, *, document: JsonMetrics | None) -> None:
        """Use the pattern and the JSON metrics of the environment."""
        self._pattern = compile_pattern(pattern) if pattern else None
        self._document = document
        self._unread: dict[str, str] = {}

    def add(self, host: str, lines: Iterable[str]) -> None:
        """Receive complete lines of stdout."""
        if self._pattern is not None or self._document:
            text = self._unread.get(host, "") + "".join(f"{line}\n" for line in lines)
            self._unread[host] = text[-MAX_UNREAD:]

    def take(self) -> dict[str, str]:
        """Return the text that was not searched yet, by host, and forget it."""
        taken, self._unread = self._unread, {}
        return taken

    def give_back(self, host: str, text: str) -> None:
        """Put back text that was not searched, before newer text."""
        self._unread[host] = (text + self._unread.get(host, ""))[-MAX_UNREAD:]

    def is_metric(self, line: str) -> bool:
        """Whether a line is a metric and nothing else."""
        if self._document and line.lstrip().startswith("{"):
            return bool(self.read(line))
        pattern = self._pattern  # another thread may reset it
        if pattern is None or len(line) > LONGEST_METRIC:
            return False
        try:
            return pattern.for_text(line).fullmatch(line.rstrip("\r"), timeout=PARSE_LIMIT) is not None
        except TimeoutError:
            self._pattern = None
            return False

    def read(self, text: str) -> dict[str, Value]:
        """Return the metrics in a text."""
        metrics: dict[str, Value] = {}
        if self._pattern is not None:
            try:
                metrics |= parse(text, self._pattern, timeout=PARSE_LIMIT)
            except MetricsTimeoutError:
                self._pattern = None
            except AnsibleEnvError:
                pass
        if self._document and text.rstrip().rpartition("\n")[2].lstrip().startswith("{"):
            with contextlib.suppress(AnsibleEnvError):  # not JSON
                metrics |= parse(text, None, document=self._document)
        return metrics
