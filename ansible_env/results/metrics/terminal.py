"""Text as a terminal would have left it."""

from __future__ import annotations

import re

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
