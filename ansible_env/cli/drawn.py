"""Progress on a terminal: lines that scroll by, and below them a part that is drawn anew all the time."""

from __future__ import annotations

import contextlib
import os
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import Any, TextIO

from rich.console import Console, RenderableType
from rich.live import Live

from ansible_env.cli import console
from ansible_env.cli.progress import Progress

REDRAWS = 4
"""A second. The controller may be the machine that is measured."""


class DrawnProgress(Progress):
    """What all views have in common.

    `_lock` of the base class keeps lines in order and is held while they are written, which waits for the drawing. So
    `_draw`, which is called by a thread of its own, must not take it.
    """

    def __init__(self, stream: TextIO, **options: Any) -> None:
        super().__init__(stream, **options)
        # It is known that there is a terminal, or somebody wants it to be taken for one.
        self._console = Console(file=stream, force_terminal=True, highlight=False, markup=False, emoji=False)
        self._live: Live | None = None
        self._notices: deque[str] = deque()

    @abstractmethod
    def _draw(self) -> RenderableType:
        """Return what is to be seen now."""

    def start(self) -> None:
        """Show the view."""
        self._live = Live(
            get_renderable=self._drawn,
            console=self._console,
            refresh_per_second=REDRAWS,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        console.set_display(self)

    def stop(self) -> None:
        """Take the view away, if there is one."""
        if self._live is not None:
            console.set_display(None)
            live, self._live = self._live, None
            live.stop()
            self._write_notices()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Take the view away for as long as somebody else writes."""
        shown = self._live is not None
        self.stop()
        try:
            yield
        finally:
            if shown:
                self.start()

    def notify(self, text: str) -> None:
        """Write lines above the view; also from a signal handler, and so without waiting for anybody."""
        self._notices.append(text)

    def _drawn(self) -> RenderableType:
        self._write_notices()
        return self._draw()

    def _write_notices(self) -> None:
        while self._notices:
            self._emit(f"{self._notices.popleft()}\n")

    def _emit(self, text: str) -> None:
        if self._live is None:
            super()._emit(text)
        else:
            self._console.out(text.removesuffix("\n"), highlight=False)


def is_screen(stream: TextIO) -> bool:
    """Whether a stream is a terminal on which lines can be drawn anew; those of CI only look like it."""
    dumb = os.environ.get("TERM", "dumb").lower() in ("", "dumb", "unknown")
    utf8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
    return stream.isatty() and utf8 and not dumb and not os.environ.get("CI")
