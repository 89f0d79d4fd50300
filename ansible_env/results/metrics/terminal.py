"""Text as a terminal would show it."""

from __future__ import annotations

import re

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
