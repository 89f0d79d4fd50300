"""What happens, on a terminal: a view of all hosts that is drawn anew while a phase runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.console import Group

from ansible_env.cli.drawn import DrawnProgress, is_screen
from ansible_env.cli.options import ProgressForm
from ansible_env.cli.panel import panel
from ansible_env.cli.progress import Progress
from ansible_env.cli.view import MetricsReader, PhaseView
from ansible_env.config.model import EnvironmentConfig
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.trial import Trial

READING = 0.05
"""Seconds of one redraw that may go into looking for metrics."""


class LiveProgress(DrawnProgress):
    """Lines of output scroll by above the view, of the hosts that are followed: the only one, or those asked for.

    Three threads call it: the engine's, the main one, and the one that draws, which takes only `_seeing`.
    """

    def __init__(self, stream: TextIO, config: EnvironmentConfig, **options: Any) -> None:
        super().__init__(stream, **options)
        self._config = config
        self._seeing = threading.Lock()
        self._view: PhaseView | None = None
        self._reader = MetricsReader.of(config)
        self._title = ""
        self._names: tuple[str, ...] = ()

    def on_trial_started(self, trial: Trial) -> None:
        """Show that a trial starts."""
        self._title, self._names = self.title(trial), trial.hosts
        super().on_trial_started(trial)

    def on_phase_started(self, trial: Trial, phase: str, playbook: str, hosts: Sequence[str]) -> None:
        """Show the view."""
        self.stop()
        self._enter(phase)
        view = PhaseView(phase, self._names, getattr(self._config.timeouts, phase, None))
        with self._seeing:
            self._view, self._reader = view, MetricsReader.of(self._config)
        self.start()

    def on_phase_finished(self, trial: Trial, result: PhaseResult) -> None:
        """Take the view away, and show how the phase ended."""
        self.stop()
        super().on_phase_finished(trial, result)

    def on_lines(self, host: str, stream: str, lines: Sequence[str], rest: str) -> None:
        """Keep the last line, and look for metrics in those that are complete."""
        with self._seeing:
            if self._view is not None:
                measured = stream == "stdout" and self._view.phase == "run"
                last = [*lines[-20:], rest]
                if measured:
                    self._view.on_output(host, last, self._reader.is_metric)
                    self._reader.add(host, lines)
                else:
                    self._view.on_output(host, last)

    def on_event(self, trial: Trial, event: Mapping[str, Any]) -> None:
        """Follow the hosts' states."""
        super().on_event(trial, event)
        with self._seeing:
            if self._view is not None:
                self._view.on_event(event)

    def shows(self, host: str) -> bool:
        """Whether the lines of a host are written above the view."""
        return bool(self._verbosity) or self.follows(host, default=len(self._names) == 1)

    def _draw(self) -> Group:
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
                    pace=self.pace,
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


def make_progress(
    stream: TextIO, config: EnvironmentConfig, *, form: ProgressForm = ProgressForm.AUTO, **options: Any
) -> Progress:
    """Return what tells of the progress: the view where somebody sits before a terminal that can show it."""
    if options.get("quiet") or form is ProgressForm.PLAIN or (form is ProgressForm.AUTO and not is_screen(stream)):
        return Progress(stream, **options)
    return LiveProgress(stream, config, **options)
