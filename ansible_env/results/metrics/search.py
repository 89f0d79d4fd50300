"""Searching a pattern in output that is read piece by piece, cleaned as a terminal would show it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_env.errors import MetricsTimeoutError
from ansible_env.results.metrics.pattern import Pattern

# Every escape sequence of a terminal, complete or cut off: CSI, the strings (OSC, DCS, SOS, PM, APC) up to
# BEL or ST but never beyond their line, then the short ones. Each match includes its ESC, so none remains.
_ESCAPE = re.compile(
    r"(?P<erase>\x1b\[2K)"
    r"|(?P<erase_rest>\r(?:\x1b\[[0-9;]*m)*\x1b\[0?K)"
    r"|\x1b(?:\[[0-?]*[ -/]*[@-~]?|[\]PX^_][^\x07\x1b\r\n]*(?:\x07|\x1b\\)?|[ -/]+[0-~]?|[0-~])?"
)
_ERASED = {"erase": "\x1b", "erase_rest": "\r\x1b", None: ""}


def clean(text: str) -> str:
    r"""Return `text` as a terminal would show it, so that output parses the same with and without a tty.

    Colours, titles and other escape sequences are removed; `\r\n` becomes `\n`. Of a line that `\r` rewrites, the last
    writing remains, as a whole: `100%\rdone` and `100%\rok` become `done` and `ok`. (A terminal would show `ok0%`, but
    the rest of a longer writing is not a message.) A `\r` with nothing after it rewrites nothing, unless the line was
    erased (`ESC[K`, `ESC[2K`). Cursor movement between lines is not followed.

    Any str is valid. Text without `\r` and ESC is returned unchanged; the result never has either.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if "\x1b" in text:
        # A lone ESC marks an erased line; nothing else leaves one.
        text = _ESCAPE.sub(lambda match: _ERASED[match.lastgroup], text)
    if "\r" in text or "\x1b" in text:
        text = "\n".join(map(_last_writing, text.split("\n")))
    return text


def _last_writing(line: str) -> str:
    return line.rpartition("\x1b")[2].rstrip("\r").rpartition("\r")[2]


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
