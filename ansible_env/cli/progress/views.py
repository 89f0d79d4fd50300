"""What a live view shows: the hosts of a phase, or the trials that run in parallel, and how that is laid out."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rich.cells import cell_len
from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ansible_env.cli.failures import headline
from ansible_env.cli.progress.remaining_time import RemainingTime
from ansible_env.report.formatting import number, parameter, some, visible, visible_line
from ansible_env.results.host_result import HostResult
from ansible_env.results.metrics.parse import Value
from ansible_env.results.values import is_number

LATE = 0.8
"""Share of its deadline after which a host needs attention."""
LONGEST_HOST = 24
FEWEST_ROWS = 12
"""Hosts that are shown beside a summary, unless more of them need attention."""
MOST_METRICS = 3
"""Metrics whose spread over the hosts is shown in a summary."""
BAR_WIDTH = 40


class HostState(enum.IntEnum):
    """The state of a host; those that need attention come first."""

    FAILED = 0
    LATE = 1
    RUNNING = 2
    WAITING = 3
    DONE = 4


_SIGNS = dict(zip(HostState, "✗!●·✓", strict=True))
_STYLES = dict(zip(HostState, ("red", "yellow", "cyan", "dim", "green"), strict=True))


@dataclass(slots=True)
class HostView:
    """One host."""

    host: str
    state: HostState = HostState.WAITING
    started: float | None = None
    """By the monotonic clock of this machine."""
    ended: float | None = None
    line: str = ""
    """Its latest line of output that is not only a metric."""
    task: str = ""
    """The Ansible task that it runs, if that is not a script."""
    failure: str = ""
    """Kind and message."""
    metrics: dict[str, Value] = field(default_factory=dict)

    def elapsed(self, now: float) -> float | None:
        """Seconds since its first task started."""
        return None if self.started is None else (self.ended or now) - self.started


class PhaseView:
    """The hosts of one phase. Not safe for threads: its owner holds a lock."""

    def __init__(self, title: str, phase: str, hosts: Sequence[str], timeout: float | None = None) -> None:
        """Begin with the hosts; `timeout` is the deadline of each for the phase in seconds, or None."""
        self.title = title
        self.phase = phase
        self.timeout = timeout
        self.started = time.monotonic()
        self.hosts = {host: HostView(host) for host in hosts}

    def on_task_started(self, host: str, task: str) -> None:
        """Record the start of an Ansible task. The name is empty for a script. A host may have several, or a retry."""
        if (view := self.hosts.get(host)) is not None:
            view.task = task
            self._start(view)

    def on_task_ended(self, host: str) -> None:
        """Record the end of a task, with any result."""
        if (view := self.hosts.get(host)) is not None and view.state is not HostState.FAILED:
            self._end(view, HostState.DONE)

    def on_result(self, result: HostResult) -> None:
        """Record the result of a host."""
        if (view := self.hosts.get(result.host)) is not None:
            ok = result.status.is_succeeded()
            self._end(view, HostState.DONE if ok else HostState.FAILED)
            view.failure = "" if ok else headline(result)
            view.metrics |= result.metrics

    def on_output(self, host: str, lines: Sequence[str], is_metric: Callable[[str], bool] = lambda _: False) -> None:
        """Record lines of a host. A line that is only a metric is shown as a metric, not as the latest line."""
        texts = [(line, text) for line in lines if (text := visible_line(line)).strip()]
        if (view := self.hosts.get(host)) is not None and texts:
            view.line = next((text for line, text in reversed(texts) if not is_metric(line)), view.line)
            if view.state is HostState.WAITING:  # the last output may come after the end
                self._start(view)

    def _start(self, view: HostView) -> None:
        if view.state in (HostState.WAITING, HostState.DONE, HostState.FAILED):
            view.state, view.ended = HostState.RUNNING, None
            view.started = view.started or time.monotonic()

    def _end(self, view: HostView, state: HostState) -> None:
        view.state, view.ended, view.task = state, time.monotonic(), ""
        view.started = view.started or self.started

    def layout(
        self, size: tuple[int, int], now: float, remaining: RemainingTime, required: Sequence[str] = ()
    ) -> list[RenderableType]:
        """Return what to show in a width and a height; `required` metrics come first in a summary."""
        width, height = size
        self._find_late_hosts(now)
        parts: list[RenderableType] = [self._header(now)]
        if remaining.total > 1:
            parts.append(_bar(remaining, now))
        hosts = list(self.hosts.values())
        room = height - len(parts)
        if len(hosts) <= room:
            return [*parts, *self._rows(hosts, width, now)]
        spread = list(self._spread(required))[: max(0, min(MOST_METRICS, room - 4))]
        if spread:
            parts += _lines(spread, width, right=(2, 4, 6))
        room -= len(spread) + 1
        if room > 0:
            shown = self._most_urgent(hosts, room)
            states = [view.state for view in hosts if view not in shown]
            words = ", ".join(f"{states.count(state)} {state.name.lower()}" for state in HostState if state in states)
            parts += [*self._rows(shown, width, now), _dim(f"… and {len(states)} more: {words}")]
        return parts[:height]

    def _find_late_hosts(self, now: float) -> None:
        for view in self.hosts.values():
            elapsed = view.elapsed(now)
            if view.state is HostState.RUNNING and self.timeout and elapsed and elapsed > LATE * self.timeout:
                view.state = HostState.LATE

    def _header(self, now: float) -> Table:
        states = [view.state for view in self.hosts.values()]
        counts = Text("  ").join(
            Text.assemble((_SIGNS[state], _STYLES[state]), f" {states.count(state)} {state.name.lower()}")
            for state in HostState
            if state in states
        )
        grid = _one_line(expand=True)
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_column(justify="right", no_wrap=True, overflow="ellipsis")
        clock = stopwatch(now - self.started)
        grid.add_row(Text.assemble((visible(self.title), "bold"), "  ", (self.phase, "bold"), f" {clock}"), counts)
        return grid

    def _most_urgent(self, hosts: Sequence[HostView], room: int) -> list[HostView]:
        urgent = sum(view.state in (HostState.FAILED, HostState.LATE) for view in hosts)
        shown = sorted(hosts, key=lambda view: view.state)[: max(1, min(room, max(FEWEST_ROWS, urgent)))]
        order = {view.host: index for index, view in enumerate(hosts)}
        return sorted(shown, key=lambda view: (min(view.state, HostState.RUNNING), order[view.host]))

    def _spread(self, first: Sequence[str]) -> Iterator[list[Text]]:
        """Yield minimum, median and maximum of each metric that is a number, and how many hosts have it."""
        for name in dict.fromkeys([*first, *(name for view in self.hosts.values() for name in view.metrics)]):
            values = [view.metrics.get(name) for view in self.hosts.values()]
            numbers = [float(v) for v in values if is_number(v)]
            if numbers:
                cells = {"min": min(numbers), "median": median(numbers), "max": max(numbers)}
                texts = [text for title, value in cells.items() for text in (Text(title, "dim"), Text(number(value)))]
                yield [_short(name), *texts, Text(f"of {len(numbers)}", "dim")]

    def _rows(self, hosts: Sequence[HostView], width: int, now: float) -> list[RenderableType]:
        metrics = {view.host: " ".join(f"{visible(n)}={number(v)}" for n, v in view.metrics.items()) for view in hosts}
        share = max((cell_len(text) for text in metrics.values()), default=0)
        if len(self.hosts) > 1:  # all lines of the only host are above the view, so that its latest needs no room
            share = min(share, width * 2 // 5)
        rows = []
        for view in hosts:
            running = view.state in (HostState.RUNNING, HostState.LATE)
            spent = stopwatch(view.elapsed(now)) + (f"/{stopwatch(self.timeout)}" if self.timeout else "")
            name = Text.assemble((_SIGNS[view.state], _STYLES[view.state]), " ", _short(view.host))
            phase = Text.assemble(f"{self.phase} ", (spent, "" if running else "dim"))
            rows.append([name, phase, self._rest(view, metrics[view.host], share)])
        return _lines(rows, width, right=(1,))

    def _rest(self, view: HostView, metrics: str, share: int) -> Text:
        """Return metrics and latest line; of a host that failed, the failure."""
        if view.state is HostState.FAILED:
            return Text.assemble((visible(" ".join(view.failure.split())), "red"), f"  {view.line}")
        says = f"task: {visible(view.task)}" if view.task else view.line
        left = Text(metrics)
        left.truncate(share, overflow="ellipsis", pad=True)
        return Text.assemble(left, "  " if share else "", (says, "dim"))


@dataclass(slots=True)
class RunningTrial:
    """One of several trials in parallel."""

    number: int
    hosts: tuple[str, ...]
    values: Mapping[str, Any]
    started: float
    phase: str = ""


def sweep_layout(
    trials: Sequence[RunningTrial], remaining: RemainingTime, size: tuple[int, int], now: float
) -> list[RenderableType]:
    """Return what to show of trials in parallel in a width and a height; the trial that has taken longest is first."""
    width, height = size
    shown = sorted(trials, key=lambda trial: trial.started)
    room = max(1, height - 1)
    rest = len(shown) - room
    if rest > 0:
        shown = shown[: room - 1]
    digits = max((len(str(trial.number)) for trial in shown), default=0)
    rows = []
    for trial in shown:
        values = " ".join(f"{visible(name)}={parameter(value)}" for name, value in trial.values.items())
        title = Text.assemble(
            (_SIGNS[HostState.RUNNING], _STYLES[HostState.RUNNING]), f" trial {trial.number:{digits}}"
        )
        phase = Text(f"{trial.phase} {stopwatch(now - trial.started)}")
        rows.append([title, _short(some(trial.hosts, 2)), phase, Text(values, "dim")])
    parts = [_bar(remaining, now), *_lines(rows, width, right=(2,))]
    if rest > 0:
        parts.append(_dim(f"… and {rest + 1} more running"))
    return parts[: max(1, height)]


def _lines(rows: Sequence[Sequence[Text]], width: int, right: Container[int] = ()) -> list[RenderableType]:
    """Return rows as lines whose columns are as wide as they need; `right` are flush right. The edge cuts lines off.

    A rich table would do this, in twice the time: the controller may be the machine that is measured.
    """
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    lines: list[RenderableType] = []
    for row in rows:
        for index, cell in enumerate(row[:-1]):
            gap = " " * (widths[index] - cell.cell_len)
            cell.pad_left(len(gap)) if index in right else cell.pad_right(len(gap))
        line = Text("  ").join(row)
        line.truncate(width, overflow="ellipsis")
        lines.append(line)
    return lines


def _bar(remaining: RemainingTime, now: float) -> Table:
    grid = _one_line()
    grid.add_row(ProgressBar(remaining.total, remaining.ended, width=BAR_WIDTH), _dim(remaining.text(now), ""))
    return grid


def _one_line(*, expand: bool = False) -> Table:
    return Table.grid(padding=(0, 2, 0, 0), pad_edge=False, expand=expand)


def _dim(text: str, style: str = "dim") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _short(host: str) -> Text:
    text = Text(visible(host))
    text.truncate(LONGEST_HOST, overflow="ellipsis")
    return text


def stopwatch(seconds: float | None) -> str:
    """Return a time span as `0:42` or `1:02:03`."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
