"""From a script's stdout to `{name: typed value}`. Pure: no Ansible, no files, no processes.

The rules are those of mlos_bench 0.6.2 (`environments/script_env.py:120-139`, `util.py:try_parse_val`), with
what it lacks: named groups, a JSON line, text as a terminal would leave it, limits on time and size. Output
and patterns are not trusted with our time: `re` cannot be interrupted, so `regex` does the matching, made to
agree with `re` where the two differ (see `_for_regex`).
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import regex

from ansible_env.errors import AnsibleEnvError, MetricsPatternError, MetricsTimeoutError, Problem

__all__ = [
    "DEFAULT_TIMEOUT",
    "MAX_JSON_CHARS",
    "MAX_METRICS",
    "MetricsParseError",
    "Pattern",
    "Value",
    "clean",
    "compile_pattern",
    "parse",
    "parse_value",
]

Value = int | float | str | bool | None

DEFAULT_TIMEOUT = 5.0
"""Seconds of CPU time that a pattern may take; output above `TIMEOUT_CHARS` gets more, in proportion."""
TIMEOUT_CHARS = 16 * 2**20
MAX_METRICS = 10_000
"""More names than this from one script is a pattern that matches the log, not metrics."""
MAX_JSON_CHARS = 500_000
"""All metrics of one script as JSON; ansible-runner silently drops a task result of more than 700 kB."""

_HINT = "write r'^(\\w+)=(\\S+)$' for `name=value` lines, or name every group: '(?P<throughput>...)'"


class MetricsParseError(AnsibleEnvError, ValueError):
    """The output of a script is not what was agreed on: no or bad JSON line, or far too many metrics."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A checked `results_stdout_pattern`; made by `compile_pattern`."""

    source: str
    names: tuple[str, ...]
    """The metrics that a pattern of named groups can give; empty if a group of the match holds the name."""
    pair: tuple[int, int] | None
    """Numbers of the groups with a metric's name and its value; None for a pattern of named groups."""
    _plain: Any = field(repr=False, compare=False)
    _unicode: Any = field(repr=False, compare=False)


def compile_pattern(pattern: str) -> Pattern:
    r"""Check and compile a results pattern, with MULTILINE set.

    - Two groups: the metric's name, then its value, as in mlos_bench. `(?P<name>...)` and `(?P<value>...)`,
      in either order, are that same pair.
    - Named groups only: each is a metric of that name.

    Raises MetricsPatternError for anything else, and, in `re`'s words, for what `re` does not compile.
    """
    try:
        with warnings.catch_warnings():
            # "Possible nested set": what regex would read differently is refused or rewritten by _for_regex.
            warnings.simplefilter("ignore")
            compiled = re.compile(pattern, re.MULTILINE)
    except (re.error, RecursionError, OverflowError) as error:
        raise _refused(pattern, f"is not a regular expression: {error}") from error
    pair = _pair(compiled)
    if pair is None and (not compiled.groups or len(compiled.groupindex) != compiled.groups):
        rule = "must have two groups, a metric's name and its value, or named groups only"
        raise _refused(pattern, f"{rule}; it has {_groups(compiled)}")
    try:
        plain = _compile(pattern, unicode=False)
        unicode = _compile(pattern, unicode=True)
    except (regex.error, RecursionError, OverflowError) as error:
        raise _refused(pattern, f"cannot be run with a time limit (package regex): {error}") from error
    return Pattern(pattern, () if pair else tuple(compiled.groupindex), pair, plain, unicode)


def _pair(compiled: re.Pattern[str]) -> tuple[int, int] | None:
    """Return the group numbers of name and value, or None if this is no two-group pattern."""
    index = compiled.groupindex
    if compiled.groups != 2:
        return None
    if set(index) == {"name", "value"}:
        return index["name"], index["value"]
    return None if len(index) == 2 else (1, 2)


def _groups(compiled: re.Pattern[str]) -> str:
    """Return how many groups a pattern has, in words: `one group`, `3 groups, 1 of them named`."""
    count, named = compiled.groups, len(compiled.groupindex)
    text = {0: "no group", 1: "one group"}.get(count, f"{count} groups")
    return f"{text}, {named} of them named" if named else text


def _refused(pattern: str, why: str, hint: str = _HINT) -> MetricsPatternError:
    return MetricsPatternError(Problem(f"{pattern!r} {why}", hint=hint))


def _compile(pattern: str, *, unicode: bool) -> Any:
    verbose = bool(re.search(r"(?<!\\)\(\?[aimsu]*x", pattern))
    unicode = unicode and not re.search(r"(?<!\\)\(\?[imsux]*a", pattern)
    return regex.compile(_for_regex(pattern, verbose=verbose, unicode=unicode), regex.MULTILINE | regex.VERSION0)


_TOKENS = r"\(\?#[^)]*\)|\\N\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?:\d+|\d*,\d*)\}|."
_TOKEN = re.compile(_TOKENS, re.DOTALL)
_VERBOSE_TOKEN = re.compile(r"#[^\n]*|" + _TOKENS, re.DOTALL)
_POSIX_CLASS = re.compile(r"\[:\^?\w+:\]$")
_SET_ESCAPE = re.compile(r"\\.", re.DOTALL)
# What str.isalnum() accepts is `\w` of re; that of regex has combining marks, but no superscripts.
_WORD = r"\p{L}\p{Numeric_Type=Decimal}\p{Numeric_Type=Digit}\p{Numeric_Type=Numeric}_"
_SPACE = r"\s\x1c-\x1f"
_IN_SET = {r"\w": _WORD, r"\s": _SPACE}
_OUTSIDE = {
    r"\w": f"[{_WORD}]",
    r"\W": f"[^{_WORD}]",
    r"\s": f"[{_SPACE}]",
    r"\S": f"[^{_SPACE}]",
    r"\b": f"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))",
    r"\B": f"(?:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))",
}


def _for_regex(pattern: str, *, verbose: bool, unicode: bool) -> str:
    r"""Rewrite a valid `re` pattern so that `regex` (VERSION0) gives it the same meaning.

    - `{` that begins no `{m,n}` is a plain character to re, but fuzzy matching (`{e<=1}`) to regex: escaped.
    - `[[:alpha:]]` is a POSIX class to regex; to re it is a set followed by `]`, which nobody wants: refused.
    - With `unicode`, `\w \W \s \S \b \B` are spelled out, as the two differ outside ASCII and on \x1c-\x1f.
      It is slower, so used only for text with such characters. `\W`, `\S` in a set keep regex's meaning, as
      does everything in a pattern with ASCII groups (`(?a:...)`).
    """
    parts: list[str] = []
    for match in (_VERBOSE_TOKEN if verbose else _TOKEN).finditer(pattern):
        piece = match.group()
        if len(piece) > 2 and piece[0] == "[":
            if found := _POSIX_CLASS.search(piece):
                why = f"uses {found.group()}, which Python's re does not know"
                raise _refused(pattern, why, "write a-z, 0-9, \\s or \\w inside the brackets")
            if unicode:
                piece = _SET_ESCAPE.sub(lambda escape: _IN_SET.get(escape.group(), escape.group()), piece)
        elif piece == "{":
            piece = r"\{"
        elif unicode:
            piece = _OUTSIDE.get(piece, piece)
        parts.append(piece)
    return "".join(parts)


# Every escape sequence of a terminal, complete or cut off: CSI, the strings (OSC, DCS, SOS, PM, APC) up to
# BEL or ST but never beyond their line, then the short ones. Each takes its ESC, so none is left behind.
_ESCAPE = re.compile(
    r"(?P<erase>\x1b\[2K)"
    r"|(?P<erase_rest>\r(?:\x1b\[[0-9;]*m)*\x1b\[0?K)"
    r"|\x1b(?:\[[0-?]*[ -/]*[@-~]?|[\]PX^_][^\x07\x1b\r\n]*(?:\x07|\x1b\\)?|[ -/]+[0-~]?|[0-~])?"
)
_ERASED = {"erase": "\x1b", "erase_rest": "\r\x1b", None: ""}


def clean(text: str) -> str:
    r"""Return `text` as a terminal would have left it, so that the same is parsed with and without a tty.

    Colours, titles and other escape sequences go; `\r\n` becomes `\n`; of a line rewritten with `\r` the last
    writing stays, whole: `100%\rdone` and `100%\rok` give `done` and `ok`. (A terminal would show `ok0%`, but
    what a shorter writing leaves of a longer one is nobody's message.) A `\r` with nothing after it rewrites
    nothing, unless the line was erased (`ESC[K`, `ESC[2K`). Cursor movement between lines is not followed.

    Any str is fine. Text without `\r` and ESC comes back as it is, and the result never has either.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if "\x1b" in text:
        # An erased line is marked with a lone ESC, which nothing else leaves behind.
        text = _ESCAPE.sub(lambda match: _ERASED[match.lastgroup], text)
    if "\r" in text or "\x1b" in text:
        text = "\n".join(map(_last_writing, text.split("\n")))
    return text


def _last_writing(line: str) -> str:
    return line.rpartition("\x1b")[2].rstrip("\r").rpartition("\r")[2]


def parse_value(text: str) -> int | float | str:
    """Type a value as mlos_bench's `try_parse_val`: 10 int, 1.0, 1e3, nan float, 1_000 1000, else str.

    An integer that a float cannot hold (2**53 + 1) becomes a float there, so it does here.
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
    stdout: str, pattern: Pattern | None, *, json_line: bool = False, timeout: float = DEFAULT_TIMEOUT
) -> dict[str, Value]:
    """Return the metrics in a script's stdout, which is cleaned first. Of equal names, the last one wins.

    With `json_line`, the last line that is not blank is a JSON object; its scalars are metrics, those
    of objects inside it under dotted names (`latency.p99`). With both, JSON wins. With neither, there are none.

    `timeout` is in seconds of CPU time for up to `TIMEOUT_CHARS` of output, and grows with it.
    Raises MetricsTimeoutError when the pattern takes longer, and MetricsParseError for a missing or unusable
    JSON line and for more than `MAX_METRICS` metrics or `MAX_JSON_CHARS` of them. No match is no error here:
    `required_metrics` judges that.
    """
    stdout = clean(stdout)
    metrics: dict[str, Value] = {}
    if pattern is not None:
        limit = timeout * max(1.0, len(stdout) / TIMEOUT_CHARS)
        found = _last_of_each(_findings(stdout, pattern, limit))
        metrics.update((name, parse_value(str(text))) for name, text in found.items())
    if json_line:
        metrics.update(_last_of_each(_json_findings(stdout)))
    if len(metrics) > MAX_METRICS or len(json.dumps(metrics)) > MAX_JSON_CHARS:
        raise _too_much()
    return metrics


def _last_of_each(findings: Iterable[tuple[str, Value]]) -> dict[str, Value]:
    """Return the last value of each name; hold no more than the limits, however many or long they are."""
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
    return MetricsParseError(f"{limits}: the pattern matches more than metrics, or the script prints too many")


_DIFFERS = re.compile(r"[^\x00-\x1b\x20-\x7f]")


def _findings(stdout: str, pattern: Pattern, limit: float) -> Iterator[tuple[str, Value]]:
    """Yield each name and value as text, in the order of the output: `findall`, but one match at a time."""
    compiled = pattern._unicode if _DIFFERS.search(stdout) else pattern._plain
    try:
        # regex counts the whole iteration against its timeout, and lets other threads run while it matches.
        for match in compiled.finditer(stdout, timeout=limit):
            if pattern.pair:
                name, value = match.group(*pattern.pair)
                yield name or "", value or ""  # findall has "" for a group that did not take part
            else:
                yield from ((key, text) for key, text in match.groupdict().items() if text is not None)
    except TimeoutError as error:
        raise MetricsTimeoutError(
            f"results_stdout_pattern {pattern.source!r} was still matching at its limit of {limit:g} s "
            f"({len(stdout)} characters of output); anchor it with ^, and do not nest repeats as in (a+)+"
        ) from error


def _json_findings(stdout: str) -> Iterator[tuple[str, Value]]:
    """Yield the scalars of the JSON object on the last line that is not blank, with dotted names."""
    line = stdout.rstrip().rpartition("\n")[2].strip()
    if not line:
        raise MetricsParseError("results_json: nothing was printed; the last line must be a JSON object")
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _bad_json(line, f"is not JSON ({error})") from error
    if not isinstance(data, dict):
        raise _bad_json(line, "is not a JSON object")
    path: list[str] = []
    stack = [iter(data.items())]
    while stack:  # no recursion: the depth of the object is the script's choice
        key, value = next(stack[-1], (None, None))
        if key is None:
            stack.pop()
            del path[-1:]
        elif isinstance(value, dict):
            stack.append(iter(value.items()))
            path.append(key)
        elif isinstance(value, list):
            raise _bad_json(line, f"has an array at {'.'.join([*path, key])[:80]!r}; a metric is one value")
        else:
            yield ".".join([*path, key]), value


def _bad_json(line: str, why: str) -> MetricsParseError:
    return MetricsParseError(f"results_json: the last line {why}: {line[:80]!r}")
