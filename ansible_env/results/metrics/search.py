"""Searching a pattern in output that is read piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ansible_env.errors import MetricsTimeoutError
from ansible_env.results.metrics.pattern import Pattern
from ansible_env.results.metrics.terminal import clean

WINDOW = 8 * 2**20
"""Characters searched at a time. It bounds the memory for output of any size."""
OVERLAP = 64 * 2**10
"""Characters at the end of a window that are searched again with the next one. A longer match may be missed."""


class Search:
    """A search in output that is read piece by piece."""

    def __init__(self, pattern: Pattern | None, timeout: float) -> None:
        self._pattern = pattern
        self._timeout = timeout
        self._from = 0
        self.tail = ""
        """The end of the cleaned output: whatever must be searched again, from the beginning of its line."""

    def findings(self, pieces: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield each name and value as text, in the order of the output, one match at a time."""
        raw: list[str] = []
        size = 0
        for piece in pieces:
            raw.append(piece)
            size += len(piece)
            if size > WINDOW:
                lines, newline, rest = "".join(raw).rpartition("\n")
                if not newline:
                    lines, rest = rest, ""
                raw, size = [rest], len(rest)
                yield from self._window(self.tail + clean(lines + newline), last=False)
        yield from self._window(self.tail + clean("".join(raw)), last=True)

    def _window(self, text: str, *, last: bool) -> Iterator[tuple[str, str]]:
        settled = len(text) if last else max(len(text) - OVERLAP, 0)
        end = settled
        if self._pattern is not None:
            for match in self._matches(self._pattern, text):
                if match.start() >= settled and not last:
                    break
                end = max(settled, match.end())
                yield from _named(self._pattern, match)
        begin = text.rfind("\n", 0, end) + 1  # the start of the line: `^` must not match in the middle of one
        if begin < end - OVERLAP:  # a very long line
            begin = end
        self.tail, self._from = (text, 0) if last else (text[begin:], end - begin)

    def _matches(self, pattern: Pattern, text: str) -> Iterator[Any]:
        try:
            # regex counts the whole iteration against its timeout and releases the GIL while it matches.
            yield from pattern.for_text(text).finditer(text, pos=self._from, timeout=self._timeout)
        except TimeoutError as error:
            raise MetricsTimeoutError(
                f"{pattern.key} {pattern.source!r} was still matching at its limit of {self._timeout:g} s "
                f"({len(text)} characters of output); anchor it with ^, and do not nest repeats as in (a+)+"
            ) from error


def _named(pattern: Pattern, match: Any) -> Iterator[tuple[str, str]]:
    if pattern.is_value:
        yield "", match.group(1) or ""
    elif pattern.pair:
        name, value = match.group(*pattern.pair)
        yield name or "", value or ""  # like findall: "" for a group that did not take part
    else:
        yield from ((key, text) for key, text in match.groupdict().items() if text is not None)
