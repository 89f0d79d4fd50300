"""Expansion of `$var` in the values of const_args, as in `mlos_bench/dict_templater.py`, safe for outside values.

mlos_bench visits const_args in their order and substitutes each text twice: first from const_args (earlier ones
expanded, later ones not yet), then from the globals. This module does the same, with one difference: it never expands
a value that came from outside (a global, a trial's number). The second pass of mlos_bench does, so a `$` in a value
given on the command line may disappear or insert another parameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Any


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of text. `live` text was written by the author of the file; only that is expanded."""

    text: str
    live: bool


_Pieces = tuple[_Piece, ...]


def expand(const_args: Mapping[str, Any], outside: Mapping[str, Any]) -> dict[str, Any]:
    """Return const_args with `$name` and `${name}` replaced in texts and lists of texts.

    Args:
        const_args: the values of the file.
        outside: values from outside. Those of the same names replace const_args; the others serve the second pass.

    An unknown name stays unchanged; `$$` becomes `$`.
    """
    globals_: dict[str, _Pieces] = {name: (_Piece(str(value), False),) for name, value in outside.items()}
    lookup: dict[str, _Pieces] = {
        name: globals_.get(name) or (_Piece(str(value), True),) for name, value in const_args.items()
    }
    result: dict[str, Any] = {}
    for name, value in const_args.items():
        if name in outside:
            result[name] = outside[name]
        elif isinstance(value, str):
            pieces = _both_passes(value, lookup, globals_)
            lookup[name], result[name] = pieces, _text(pieces)
        elif isinstance(value, list | tuple):
            items = [_both_passes(v, lookup, globals_) if isinstance(v, str) else v for v in value]
            result[name] = [_text(item) if isinstance(item, tuple) else item for item in items]
            live = all(
                piece.live or "$" not in piece.text for item in items if isinstance(item, tuple) for piece in item
            )
            lookup[name] = (_Piece(str(result[name]), live),)
        else:
            result[name] = value
    return result


def undefined(const_args: Mapping[str, Any], outside: Iterable[str]) -> list[tuple[str, str]]:
    """Return the arguments that refer to a name without a value, and these names."""
    known = {*const_args, *outside}
    values = {name: value for name, value in const_args.items() if name not in outside}
    return [(name, other) for name, value in values.items() for other in sorted(references(value) - known)]


def references(value: Any) -> frozenset[str]:
    """Return the names that a value of const_args refers to."""
    if isinstance(value, list | tuple):
        return frozenset().union(*map(references, value))
    if not isinstance(value, str):
        return frozenset()
    names = (match["named"] or match["braced"] for match in Template.pattern.finditer(value))
    return frozenset(name for name in names if name)


def _both_passes(text: str, lookup: Mapping[str, _Pieces], globals_: Mapping[str, _Pieces]) -> _Pieces:
    pieces = _substitute((_Piece(text, True),), lookup)
    # Without globals, mlos_bench skips the second pass, and with it the second `$$` → `$`.
    return _substitute(pieces, globals_) if globals_ else pieces


def _substitute(pieces: Iterable[_Piece], names: Mapping[str, _Pieces]) -> _Pieces:
    """Apply `Template.safe_substitute` to the live pieces."""
    out: list[_Piece] = []
    for piece in pieces:
        if not piece.live:
            out.append(piece)
            continue
        end = 0
        for match in Template.pattern.finditer(piece.text):
            out.append(_Piece(piece.text[end : match.start()], True))
            name = match["named"] or match["braced"]
            if name in names:
                out.extend(names[name])
            else:
                out.append(_Piece("$" if match["escaped"] else match[0], True))
            end = match.end()
        out.append(_Piece(piece.text[end:], True))
    return _joined(out)


def _joined(pieces: Iterable[_Piece]) -> _Pieces:
    """Join adjacent live pieces, which the next pass must see as one text."""
    out: list[_Piece] = []
    for piece in pieces:
        if out and out[-1].live and piece.live:
            out[-1] = _Piece(out[-1].text + piece.text, True)
        elif piece.text:
            out.append(piece)
    return tuple(out)


def _text(pieces: Iterable[_Piece]) -> str:
    return "".join(piece.text for piece in pieces)
