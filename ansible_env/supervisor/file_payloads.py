"""The payloads that ask a target for files, and what they print. They write nothing on the target."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_env.results.file_patterns import placed_name, shell_name, shell_pattern
from ansible_env.supervisor.protocol import ReplyError

PIECE = 2**18
"""Bytes of one reply. Each of Ansible's workers needs some twenty times as much memory for it."""
AT_ONCE = 2**18
"""Bytes of small files that come together with the names."""
MOST_FILES = 1000
"""Most files of one pattern."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file on the target, or what is there in its place."""

    what: str
    """`file`, or what it is instead."""
    number: int
    """The pattern that it fits: 0 for the file with metrics, else counted from 1."""
    size: int
    older: bool
    """Whether it was written before the script began."""
    name: str
    content: bytes | None = None
    """All of it, if it is small; else it has to be fetched."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file."""

    name: str
    number: int
    length: int
    is_last: bool


def list_payload(nonce: str, results_file: str | None, patterns: Sequence[str], run_directory: str, start: str) -> str:
    """Return the payload that lists files, and prints the small ones.

    Args:
        nonce: marks the reply.
        results_file: the name of the file with metrics.
        patterns: those of further files.
        run_directory: that of the script, which shows when the script began.
        start: the shell text that changes to the directory of relative paths.
    """
    words = [(0, placed_name(results_file))] if results_file else []
    words += [(number, shell_pattern(pattern)) for number, pattern in enumerate(patterns, 1)]
    loops = [f"c=0; for f in {word}; do show {number} || break; done" for number, word in words]
    shell = _SHOW % {"begin": shlex.quote(f"{run_directory}/begin"), "at_once": AT_ONCE, "most": MOST_FILES}
    return _payload(nonce, start, [shell, *loops, r"printf 'end\0'"])


def parts_payload(nonce: str, parts: Sequence[Part], start: str) -> str:
    """Return the payload that prints pieces of files."""
    calls = [f"part {shell_name(p.name)} {p.number} {p.length} {int(p.is_last)}" for p in parts]
    return _payload(nonce, start, [_PART % {"piece": PIECE}, *calls])


def parse_entries(data: bytes, nonce: str) -> list[Entry]:
    """Read the reply to `list_payload`. Raise ReplyError if it is cut short."""
    body = _body(data, nonce)
    entries: list[Entry] = []
    while True:
        header, nul, body = body.partition(b"\0")
        if not nul:
            raise ReplyError("the list of files is cut short")
        if header == b"end":
            return entries
        try:
            what, number, size, older, given, name = header.split(b" ", 5)
            length = int(given)
            content = body[:length] if length == int(size) else None
            text = name.decode("utf-8", "surrogateescape")
            entries.append(Entry(what.decode("ascii"), int(number), int(size), older == b"1", text, content))
        except ValueError as error:
            raise ReplyError("the list of files cannot be read") from error
        if len(body) < length:
            raise ReplyError("a file is cut short")
        body = body[length:]


def parse_parts(data: bytes, nonce: str, parts: Sequence[Part]) -> Iterator[bytes | None]:
    """Yield the pieces in the reply to `parts_payload`; None for one of a file that has become shorter.

    Raise ReplyError if the reply is cut short.
    """
    body = _body(data, nonce)
    for part in parts:
        size, nul, body = body.partition(b"\0")
        if not nul or len(body) < part.length:
            raise ReplyError("a file is cut short")
        short = part.is_last and not (size.isdigit() and int(size) >= part.number * PIECE + part.length)
        yield None if short else body[: part.length]
        body = body[part.length :]


def _body(data: bytes, nonce: str) -> bytes:
    """Return what follows the header. Text before it (banners, login scripts) is skipped."""
    _, header, body = data.partition(f"ansible_env:{nonce} files\n".encode())
    if not header:
        raise ReplyError("the target's shell gave no answer")
    return body


def _payload(nonce: str, start: str, lines: Sequence[str]) -> str:
    text = "\n".join([f"printf 'ansible_env:{nonce} files\\n'", *lines])
    return f"{{\nexec 2>/dev/null\nLC_ALL=C; export LC_ALL\n{start}\n{text}\nexit 0\n}}\n"


# A file that becomes shorter meanwhile is filled up: the next one begins where the header says.
_SHOW = r"""l=%(at_once)s
show() {
w=file s=0 o=0 g=0
if [ -d "$f" ]; then w=directory
elif [ ! -e "$f" ]; then w=missing
elif [ ! -f "$f" ]; then w=special
elif [ ! -r "$f" ]; then w=unreadable
elif [ "$c" -ge %(most)s ]; then w=many
else
c=$((c + 1)) s=$(($(wc -c <"$f")))
[ ! "$f" -ot %(begin)s ] || o=1
[ "$s" -gt "$l" ] || g=$s
l=$((l - g))
fi
printf '%%s %%s %%s %%s %%s %%s\0' "$w" "$1" "$s" "$o" "$g" "$f"
[ "$g" = 0 ] || { cat <"$f"; cat /dev/zero; } | head -c "$g"
[ "$w" != many ]
}"""

_PART = r"""part() {
n=; [ "$4" = 0 ] || n=$(($(wc -c <"$1")))
printf '%%s\0' "$n"
{ dd bs=%(piece)s skip="$2" count=1 <"$1"; cat /dev/zero; } | head -c "$3"
}"""
