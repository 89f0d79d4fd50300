"""Results patterns: checked with `re` and run by `regex`, which can be interrupted."""

from __future__ import annotations

import functools
import re
import warnings
from dataclasses import dataclass, field
from typing import Any

import regex

from ansible_env.errors import MetricsPatternError, Problem

_HINT = "write r'^(\\w+)=(\\S+)$' for `name=value` lines, or name every group: '(?P<throughput>...)'"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A checked pattern for stdout, made by `compile_pattern` or `compile_value`."""

    source: str
    names: tuple[str, ...]
    """The metrics that named groups can yield; empty if a group matches the name."""
    pair: tuple[int, int] | None
    """Numbers of the groups for a metric's name and value; None for a pattern of named groups."""
    plain: Any = field(repr=False, compare=False)
    key: str = "results_stdout_pattern"
    """The key of the environment file that holds the pattern."""

    @property
    def is_value(self) -> bool:
        """Whether the pattern has one group, a value whose name is given elsewhere."""
        return not (self.names or self.pair)

    def for_text(self, text: str) -> Any:
        """Return the compiled pattern for a text: a slower one where `regex` and `re` differ on its characters."""
        return _compile(self.source, unicode=True) if _DIFFERS.search(text) else self.plain


@functools.lru_cache(maxsize=32)
def compile_pattern(pattern: str) -> Pattern:
    r"""Check and compile a results pattern, with MULTILINE set.

    - Two groups: a metric's name and its value, as in mlos_bench. `(?P<name>...)` and `(?P<value>...)`, in either
      order, mean the same.
    - Named groups only: each is a metric of that name.

    Raises:
        MetricsPatternError: the pattern has other groups, or `re` does not compile it.
    """
    compiled = _checked(pattern, _HINT)
    pair = _pair(compiled)
    if pair is None and (not compiled.groups or len(compiled.groupindex) != compiled.groups):
        rule = "must have two groups, a metric's name and its value, or named groups only"
        raise _refused(pattern, f"{rule}; it has {_groups(compiled)}")
    return Pattern(pattern, () if pair else tuple(compiled.groupindex), pair, _limited(pattern, _HINT))


def compile_value(pattern: str, key: str, hint: str) -> Pattern:
    """Check and compile a pattern with one group, the value of `key`.

    Raises:
        MetricsPatternError: the pattern has other groups, or `re` does not compile it.
    """
    compiled = _checked(pattern, hint)
    if compiled.groups != 1:
        what = f"must have one group, which is the value; it has {_groups(compiled)}"
        raise _refused(pattern, what, hint)
    return Pattern(pattern, (), None, _limited(pattern, hint), key)


def _checked(pattern: str, hint: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            # "Possible nested set": _for_regex refuses or rewrites what regex would read differently.
            warnings.simplefilter("ignore")
            return re.compile(pattern, re.MULTILINE)
    except (re.error, RecursionError, OverflowError) as error:
        raise _refused(pattern, f"is not a regular expression: {error}", hint) from error


def _limited(pattern: str, hint: str) -> Any:
    try:
        return _compile(pattern, unicode=False)
    except (regex.error, RecursionError, OverflowError) as error:
        raise _refused(pattern, f"cannot be run with a time limit (package regex): {error}", hint) from error


_DIFFERS = re.compile(r"[^\x00-\x1b\x20-\x7f]")


def _pair(compiled: re.Pattern[str]) -> tuple[int, int] | None:
    """Return the group numbers of name and value, or None if the pattern does not have these two groups."""
    index = compiled.groupindex
    if compiled.groups != 2:
        return None
    if set(index) == {"name", "value"}:
        return index["name"], index["value"]
    return None if len(index) == 2 else (1, 2)


def _groups(compiled: re.Pattern[str]) -> str:
    """Describe how many groups a pattern has: `one group`, `3 groups, 1 of them named`."""
    count, named = compiled.groups, len(compiled.groupindex)
    text = {0: "no group", 1: "one group"}.get(count, f"{count} groups")
    return f"{text}, {named} of them named" if named else text


def _refused(pattern: str, why: str, hint: str = _HINT) -> MetricsPatternError:
    return MetricsPatternError(Problem(f"{pattern!r} {why}", hint=hint))


@functools.lru_cache(maxsize=8)
def _compile(pattern: str, *, unicode: bool) -> Any:
    verbose = bool(re.search(r"(?<!\\)\(\?[aimsu]*x", pattern))
    unicode = unicode and not re.search(r"(?<!\\)\(\?[imsux]*a", pattern)
    return regex.compile(_for_regex(pattern, verbose=verbose, unicode=unicode), regex.MULTILINE | regex.VERSION0)


_TOKENS = r"\(\?#[^)]*\)|\\N\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?:\d+|\d*,\d*)\}|."
_TOKEN = re.compile(_TOKENS, re.DOTALL)
_VERBOSE_TOKEN = re.compile(r"#[^\n]*|" + _TOKENS, re.DOTALL)
_POSIX_CLASS = re.compile(r"\[:\^?\w+:\]$")
_SET_ESCAPE = re.compile(r"\\.", re.DOTALL)
# `\w` of re matches what str.isalnum() accepts; that of regex has combining marks, but no superscripts.
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

    - `{` that does not begin `{m,n}` is a plain character in re, but fuzzy matching (`{e<=1}`) in regex: escaped.
    - `[[:alpha:]]` is a POSIX class in regex, but a set followed by `]` in re, which is never intended: refused.
    - With `unicode`, `\w \W \s \S \b \B` are spelled out: the two differ outside ASCII and on \x1c-\x1f. That is
      slower, so it is used for text with such characters only. `\W` and `\S` in a set keep regex's meaning, as does
      everything in a pattern with ASCII groups (`(?a:...)`).
    """
    parts: list[str] = []
    for match in (_VERBOSE_TOKEN if verbose else _TOKEN).finditer(pattern):
        piece = match.group()
        if len(piece) > 2 and piece[0] == "[":
            if posix := _POSIX_CLASS.search(piece):
                why = f"uses {posix.group()}, which Python's re does not know"
                raise _refused(pattern, why, "write a-z, 0-9, \\s or \\w inside the brackets")
            if unicode:
                piece = _SET_ESCAPE.sub(lambda escape: _IN_SET.get(escape.group(), escape.group()), piece)
        elif piece == "{":
            piece = r"\{"
        elif unicode:
            piece = _OUTSIDE.get(piece, piece)
        parts.append(piece)
    return "".join(parts)
