"""Who writes to the terminal: at most one view has it, and everybody else goes by it."""

from __future__ import annotations

import sys
from typing import Protocol

PROGRAM = "ansible-env"


class Screen(Protocol):
    """Draws a part of the terminal anew all the time."""

    def notify(self, text: str) -> None:
        """Write lines above that part; may be called from any thread and from a signal handler."""


_current: Screen | None = None


def occupy(screen: Screen | None) -> None:
    """Give the terminal to a view, or take it back."""
    global _current
    _current = screen


def notify(text: str) -> bool:
    """Hand lines to the view; False where there is none, and nobody has written them."""
    screen = _current
    if screen is not None:
        screen.notify(text)
    return screen is not None


def say(text: str) -> None:
    """Write lines for people to stderr."""
    if not notify(text):
        sys.stderr.write(f"{text}\n")
