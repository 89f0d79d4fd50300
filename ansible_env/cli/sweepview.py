"""The live view of a sweep: how far it is, how long the rest will take, and the trials under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Group
from rich.text import Text

from ansible_env.cli.drawn import DrawnProgress, is_screen
from ansible_env.cli.options import ProgressForm
from ansible_env.cli.pace import Pace, about, bar, clock
from ansible_env.cli.progress import Progress
from ansible_env.report.formatting import number, some, visible
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.trial import Trial

WIDEST_BAR = 40


@dataclass(slots=True)
class UnderWay:
    """A trial under way."""

    number: int
    hosts: tuple[str, ...]
    values: Mapping[str, Any]
    phase: str
    begun: float


class SweepProgress(DrawnProgress):
    """Shows a bar and a line for each trial under way. Trials of several threads call it."""

    def __init__(self, stream: TextIO, pace: Pace, axes: Sequence[str] = (), **options: Any) -> None:
        """Take where to write, the pace of the trials, and the parameters that differ between them."""
        super().__init__(stream, **options)
        self._pace = pace
        self._axes = axes
        self._seeing = threading.Lock()
        self._under_way: dict[str, UnderWay] = {}

    def on_trial_started(self, trial: Trial) -> None:
        """Show a trial."""
        given = {**trial.request.globals, **trial.values}
        values = {name: given[name] for name in self._axes if name in given}
        with self._seeing:
            self._under_way[trial.uid] = UnderWay(trial.number, trial.hosts, values, "", time.monotonic())

    def on_phase_started(self, trial: Trial, phase: str, playbook: str, hosts: Sequence[str]) -> None:
        """Show the phase that a trial is in."""
        with self._seeing:
            self._under_way[trial.uid].phase = phase

    def on_event(self, trial: Trial, event: Mapping[str, Any]) -> None:
        """Show nothing of single events."""

    def on_output(self, trial: Trial, host: str, stream: str, text: str) -> None:
        """Show no output: lines of many trials would mix."""

    def on_phase_finished(self, trial: Trial, result: PhaseResult) -> None:
        """Show nothing: the next phase follows."""

    def on_trial_finished(self, trial: Trial) -> None:
        """Take a trial away; one that is repeated does not count."""
        with self._seeing:
            self._under_way.pop(trial.uid, None)
            if not trial.repeated:
                self._pace.end(time.monotonic())

    def _draw(self) -> Group:
        width, height = self._console.size
        with self._seeing:
            lines = sweep_panel(
                list(self._under_way.values()), self._pace, width=width, height=height - 2, now=time.monotonic()
            )
        return Group(*lines)


def sweep_panel(trials: Sequence[UnderWay], pace: Pace, *, width: int, height: int, now: float) -> list[Text]:
    """Return the lines of the view, each at most `width` cells, at most `height` of them."""
    words = f"  {pace.ended} of {pace.total} trials, {about(pace.left(now))}"
    size = max(4, min(WIDEST_BAR, width - cell_len(words)))
    lines = [Text.assemble((bar(pace.ended, pace.total or 0, size), "cyan"), words)]
    room = max(1, height - 1)
    shown = sorted(trials, key=lambda trial: trial.begun)
    rest = len(shown) - room
    if rest > 0:
        shown = shown[: room - 1]  # those that have taken longest
    cells = [(str(t.number), some(t.hosts, 2), t.phase, clock(now - t.begun)) for t in shown]
    widths = [max((cell_len(row[column]) for row in cells), default=0) for column in range(4)]
    for trial, (label, hosts, phase, spent) in zip(shown, cells, strict=True):
        name = Text(hosts)
        name.truncate(min(widths[1], max(8, width // 3)), overflow="ellipsis", pad=True)
        given = " ".join(f"{visible(key)}={number(value)}" for key, value in trial.values.items())
        head = (("●", "cyan"), f" trial {label.rjust(widths[0])}  ")
        lines.append(
            Text.assemble(*head, name, f"  {phase.ljust(widths[2])} {spent.rjust(widths[3])}  ", (given, "dim"))
        )
    if rest > 0:
        lines.append(Text(f"… and {rest + 1} more under way", "dim"))
    lines = lines[: max(1, height)]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def make_sweep_progress(stream: TextIO, form: ProgressForm, plain: Progress, total: int, **options: Any) -> Progress:
    """Return the view where somebody sits before a terminal that can show it, else `plain`."""
    if options.get("quiet") or form is ProgressForm.PLAIN or (form is ProgressForm.AUTO and not is_screen(stream)):
        return plain
    return SweepProgress(stream, Pace(total, time.monotonic()), **options)
