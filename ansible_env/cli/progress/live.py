"""Progress on a terminal: lines that scroll, and below them a view that is redrawn in place."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live

from ansible_env.cli import console
from ansible_env.cli.options import Display, ProgressForm
from ansible_env.cli.progress.lines import LineProgress, Progress
from ansible_env.cli.progress.views import PhaseView, RunningTrial, sweep_layout
from ansible_env.config.model import EnvironmentConfig
from ansible_env.results.fold.events import FINAL, PHASE_TASK
from ansible_env.results.host_result import HostResult
from ansible_env.results.metrics.incremental import IncrementalReader
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.trial import Trial

REDRAWS = 4
"""Redraws in a second. The controller may be the machine that is measured."""
READING = 0.05
"""Seconds of one redraw that may go into the search for metrics."""


class _View(Live):
    """A live view that writes lines above itself before it is drawn: while it is drawn, they would be within it."""

    def __init__(self, write_above: Callable[[], object], **options: Any) -> None:
        self._write_above = write_above
        super().__init__(**options)

    def refresh(self) -> None:
        """Write the lines, and draw the view again."""
        self._write_above()
        super().refresh()


class LiveProgress(Progress):
    """What all live views have in common.

    `_lock` of the base class keeps lines in order and is held while they are written, which waits for the drawing. So
    `_parts`, which its own thread calls, must not take it.
    """

    def __init__(self, stream: TextIO, **options: Any) -> None:
        super().__init__(stream, **options)
        # The stream is a terminal, or `--progress live` says so.
        self._console = Console(file=stream, force_terminal=True, highlight=False, markup=False, emoji=False)
        self._live: Live | None = None
        self._notices: deque[str] = deque()  # also from a signal handler, so without a lock
        self._seeing = threading.Lock()

    @abstractmethod
    def _parts(self, width: int, height: int, now: float) -> Sequence[RenderableType]:
        """Return what to show now. Called with `_seeing` held."""

    def start(self) -> None:
        """Show the view."""
        self._live = _View(
            self._write_above,
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=REDRAWS,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        console.set_display(self._notices.append)

    def stop(self) -> None:
        """Remove the view, if there is one."""
        if self._live is not None:
            console.set_display(None)
            self._write_notices()
            live, self._live = self._live, None
            live.stop()
            self._write_notices()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Remove the view while something else writes to the terminal."""
        shown = self._live is not None
        self.stop()
        try:
            yield
        finally:
            if shown:
                self.start()

    def _draw(self) -> RenderableType:
        width, height = self._console.size
        with self._seeing:
            return Group(*self._parts(width, max(3, height - 2), time.monotonic()))

    def _write_above(self) -> None:
        if self._live is not None:  # else it is being removed: they are written after that
            self._write_notices()

    def _write_notices(self) -> None:
        while self._notices:
            self._emit(f"{self._notices.popleft()}\n")

    def _emit(self, text: str) -> None:
        if self._live is None:
            super()._emit(text)
        else:
            self._console.out(text.removesuffix("\n"), highlight=False)


class LivePhases(LiveProgress, LineProgress):
    """Shows a line for each host of a phase. Above it lines of output scroll by: of the only host, or of `--follow`.

    Three threads call it: the engine's, the main one, and the one that draws.
    """

    def __init__(self, stream: TextIO, config: EnvironmentConfig, **options: Any) -> None:
        super().__init__(stream, **options)
        self._config = config
        self._view: PhaseView | None = None
        self._reader = self._new_reader()

    def on_phase_started(self, trial: Trial, phase: str, playbook: str, hosts: Sequence[str]) -> None:
        """Show the view."""
        self.stop()
        self._enter(phase)
        with self._seeing:
            title = self._title(trial)
            self._view = PhaseView(title, phase, tuple(self._hosts), getattr(self._config.timeouts, phase, None))
            self._reader = self._new_reader()
        self.start()

    def on_phase_finished(self, trial: Trial, result: PhaseResult) -> None:
        """Remove the view, and show how the phase ended."""
        self.stop()
        super().on_phase_finished(trial, result)

    def on_lines(self, host: str, stream: str, lines: Sequence[str], rest: str) -> None:
        """Keep the latest line, and search the complete ones for metrics."""
        with self._seeing:
            if self._view is not None:
                measured = stream == "stdout" and self._view.phase == "run"
                self._view.on_output(host, [*lines[-20:], rest], *([self._reader.is_metric] if measured else []))
                if measured:
                    self._reader.add(host, lines)

    def on_event(self, trial: Trial, event: Mapping[str, Any]) -> None:
        """Follow the tasks of the hosts."""
        super().on_event(trial, event)
        data = event.get("event_data")
        if not isinstance(data, Mapping) or not isinstance(host := data.get("host"), str):
            return
        with self._seeing:
            if self._view is not None and event.get("event") == "runner_on_start":
                ours = data.get("task_action") == PHASE_TASK
                self._view.on_task_started(host, "" if ours else str(data.get("task") or data.get("task_action") or ""))
            elif self._view is not None and event.get("event") in FINAL:
                self._view.on_task_ended(host)

    def on_host_result(self, trial: Trial, phase: str, result: HostResult) -> None:
        """Show the result of a host."""
        with self._seeing:
            if self._view is not None:
                self._view.on_result(result)

    def shows(self, host: str) -> bool:
        """Whether the lines of a host are written above the view."""
        return bool(self._verbosity) or self.follows(host, default=len(self._hosts) == 1)

    def _draw(self) -> RenderableType:
        self._read_metrics()
        return super()._draw()

    def _parts(self, width: int, height: int, now: float) -> Sequence[RenderableType]:
        if self._view is None:
            return ()
        required = self._config.required_metrics if self._view.phase == "run" else ()
        return self._view.layout((width, height), now, self._remaining, required)

    def _new_reader(self) -> IncrementalReader:
        return IncrementalReader(self._config.results_stdout_pattern, document=self._config.json_metrics)

    def _read_metrics(self) -> None:
        started = time.monotonic()
        with self._seeing:
            reader, unread = self._reader, self._reader.take()
        for host, text in unread.items():
            if time.monotonic() - started > READING:
                with self._seeing:
                    reader.give_back(host, text)
                continue
            metrics = reader.read(text)
            with self._seeing:
                if metrics and self._view is not None and host in self._view.hosts:
                    self._view.hosts[host].metrics |= metrics


class LiveSweep(LiveProgress):
    """Shows a bar, and a line for each trial that runs. Trials call it from several threads."""

    def __init__(self, stream: TextIO, axes: Sequence[str] = (), **options: Any) -> None:
        """Use a stream; `axes` are the parameters that differ between the trials."""
        super().__init__(stream, **options)
        self._axes = axes
        self._running: dict[str, RunningTrial] = {}

    def on_trial_started(self, trial: Trial) -> None:
        """Show a trial."""
        given = {**trial.request.globals, **trial.values}
        values = {name: given[name] for name in self._axes if name in given}
        with self._seeing:
            self._running[trial.uid] = RunningTrial(trial.number, trial.hosts, values, time.monotonic())

    def on_phase_started(self, trial: Trial, phase: str, playbook: str, hosts: Sequence[str]) -> None:
        """Show the phase of a trial."""
        with self._seeing:
            self._running[trial.uid].phase = phase

    def on_trial_finished(self, trial: Trial) -> None:
        """Remove a trial."""
        with self._seeing:
            self._running.pop(trial.uid, None)
            super().on_trial_finished(trial)

    def _parts(self, width: int, height: int, now: float) -> Sequence[RenderableType]:
        return sweep_layout(list(self._running.values()), self._remaining, (width, height), now)


def phase_progress(stream: TextIO, options: Display, config: EnvironmentConfig, trials: int) -> LineProgress:
    """Return the progress of trials one after the other."""
    given: Any = {"trials": trials, "quiet": options.quiet, "verbosity": options.verbose}
    given["follow"] = options.follow or ()
    return LivePhases(stream, config, **given) if _is_live(stream, options) else LineProgress(stream, **given)


def sweep_progress(stream: TextIO, options: Display, trials: int, axes: Sequence[str]) -> Progress:
    """Return the progress of trials in parallel, which differ in these parameters."""
    if _is_live(stream, options):
        return LiveSweep(stream, axes, trials=trials)
    return Progress(stream, trials=trials, quiet=options.quiet)


def _is_live(stream: TextIO, options: Display) -> bool:
    """Whether to show a live view: on a terminal that can redraw lines; the streams of CI only resemble one."""
    if options.quiet or options.progress is not ProgressForm.AUTO:
        return not options.quiet and options.progress is ProgressForm.LIVE
    dumb = os.environ.get("TERM", "dumb").lower() in ("", "dumb", "unknown")
    utf8 = (stream.encoding or "").lower().replace("-", "") == "utf8"
    return stream.isatty() and utf8 and not dumb and not os.environ.get("CI")
