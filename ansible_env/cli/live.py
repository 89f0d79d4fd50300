"""What happens, on a terminal: a view of all hosts that is drawn anew while a phase runs."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console, Group
from rich.live import Live

from ansible_env.cli import screen
from ansible_env.cli.pace import Pace
from ansible_env.cli.panel import panel
from ansible_env.cli.progress import Progress, ProgressForm
from ansible_env.cli.view import MetricsReader, PhaseView
from ansible_env.config import EnvironmentConfig
from ansible_env.result import PhaseResult

REDRAWS = 4
"""A second. The controller may be the machine that is measured."""
READING = 0.05
"""Seconds of one redraw that may go into looking for metrics."""


class LiveProgress(Progress):
    """Lines of output scroll by above the view, of the hosts that are followed: the only one, or those asked for.

    Three threads call it: the engine's, the main one, and the one that draws. `_lock` of the base class keeps lines in
    order and is held while they are written, which waits for the drawing; so the drawing takes only `_seeing`.
    """

    def __init__(self, stream: TextIO, config: EnvironmentConfig, **options: Any) -> None:
        super().__init__(stream, **options)
        # It is known that there is a terminal, or somebody wants it to be taken for one.
        self._console = Console(file=stream, force_terminal=True, highlight=False, markup=False, emoji=False)
        self._config = config
        self._seeing = threading.Lock()
        self._view: PhaseView | None = None
        self._reader = MetricsReader.of(config)
        self._title = ""
        self._names: tuple[str, ...] = ()
        self._pace: Pace | None = None
        self._live: Live | None = None
        self._notices: deque[str] = deque()

    def trial(self, title: str, hosts: Sequence[str], pace: Pace | None = None) -> None:
        """Say that a trial begins."""
        self._title, self._names, self._pace = title, tuple(hosts), pace
        super().trial(title, hosts, pace)

    def begin(self, phase: str) -> None:
        """Show the view."""
        self._enter(phase)
        view = PhaseView(phase, self._names, getattr(self._config.timeouts, phase, None))
        with self._seeing:
            self._view, self._reader = view, MetricsReader.of(self._config)
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=REDRAWS,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        screen.occupy(self)

    def end(self, result: PhaseResult) -> None:
        """Take the view away, and say how the phase ended."""
        self.stop()
        super().end(result)

    def stop(self) -> None:
        """Take the view away, if there is one."""
        if self._live is not None:
            screen.occupy(None)
            live, self._live = self._live, None
            live.stop()
            self._write_notices()

    def notify(self, text: str) -> None:
        """Write lines above the view; also from a signal handler, and so without waiting for anybody."""
        self._notices.append(text)

    def on_lines(self, host: str, stream: str, lines: Sequence[str], rest: str) -> None:
        """Keep the last line, and look for metrics in those that are complete."""
        with self._seeing:
            if self._view is not None:
                self._view.on_output(host, [*lines[-20:], rest])
                if stream == "stdout" and self._view.phase == "run":
                    self._reader.add(host, lines)

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Follow the hosts' states."""
        super().on_event(event)
        with self._seeing:
            if self._view is not None:
                self._view.on_event(event)

    def shows(self, host: str) -> bool:
        """Whether the lines of a host are written above the view."""
        return bool(self._verbosity) or self.follows(host, default=len(self._names) == 1)

    def _draw(self) -> Group:
        self._write_notices()
        self._read_metrics()
        now = time.monotonic()
        with self._seeing:
            if self._view is None:
                return Group()
            self._view.look(now)
            width, height = self._console.size
            required = self._config.required_metrics if self._view.phase == "run" else ()
            return Group(
                *panel(
                    self._view,
                    self._title,
                    width=width,
                    height=max(3, height - 2),
                    now=now,
                    pace=self._pace,
                    required=required,
                )
            )

    def _read_metrics(self) -> None:
        begun = time.monotonic()
        with self._seeing:
            unread = self._reader.take()
        for host, text in unread.items():
            if time.monotonic() - begun > READING:
                with self._seeing:
                    self._reader.give_back(host, text)
                continue
            found = self._reader.read(text)
            with self._seeing:
                if found and self._view is not None and host in self._view.hosts:
                    self._view.hosts[host].metrics |= found

    def _write_notices(self) -> None:
        while self._notices:
            self._emit(self._notices.popleft())

    def _emit(self, text: str) -> None:
        if self._live is None:
            super()._emit(text)
        else:
            self._console.out(text.removesuffix("\n"), highlight=False)


def make_progress(
    stream: TextIO, config: EnvironmentConfig, *, form: ProgressForm = ProgressForm.AUTO, **options: Any
) -> Progress:
    """Return what tells of the progress: the view where somebody sits before a terminal that can show it."""
    if options.get("quiet") or form is ProgressForm.PLAIN or (form is ProgressForm.AUTO and not _is_screen(stream)):
        return Progress(stream, **options)
    return LiveProgress(stream, config, **options)


def _is_screen(stream: TextIO) -> bool:
    """Whether a stream is a terminal on which lines can be drawn anew; those of CI only look like it."""
    dumb = os.environ.get("TERM", "dumb").lower() in ("", "dumb", "unknown")
    utf8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
    return stream.isatty() and utf8 and not dumb and not os.environ.get("CI")
