"""What is known of each host while a phase runs: from events and output to what a screen shows."""

from __future__ import annotations

import contextlib
import enum
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from ansible_env.config.model import EnvironmentConfig
from ansible_env.errors import AnsibleEnvError, MetricsTimeoutError
from ansible_env.report.formatting import visible_line
from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.metrics.parse import Value, parse
from ansible_env.results.metrics.pattern import Pattern, compile_pattern
from ansible_env.results.outcomes import Kind

LATE = 0.8
"""Share of its deadline after which a host wants to be looked at."""
MOST_UNREAD = 64 * 1024
"""Characters of a host's output that wait to be searched for metrics; what is older is left to the phase's end."""
PARSE_LIMIT = 0.05
"""Seconds that a pattern may take at once. One that needs longer is not tried again before the phase's end."""
LONGEST_METRIC = 200
"""Characters of a line above which it is not asked whether it is a metric and nothing else."""


class State(enum.IntEnum):
    """Where a host is, those first that want to be looked at."""

    FAILED = 0
    LATE = 1
    RUNNING = 2
    WAITING = 3
    DONE = 4


@dataclass(slots=True)
class HostView:
    """One host."""

    host: str
    state: State = State.WAITING
    started: float | None = None
    """By the monotonic clock of this machine."""
    ended: float | None = None
    line: str = ""
    """What it printed last, metrics apart."""
    task: str = ""
    """The Ansible task that it is at, where that is not a script."""
    fault: str = ""
    """How it failed: kind and message."""
    metrics: dict[str, Value] = field(default_factory=dict)

    def elapsed(self, now: float) -> float | None:
        """Seconds since its first task began."""
        return None if self.started is None else (self.ended or now) - self.started


class MetricsReader:
    """Reads metrics out of output that is not complete yet; the phase task reads them again, out of all of it."""

    def __init__(self, pattern: Pattern | None, *, json_line: bool) -> None:
        self._pattern = pattern
        self._json = json_line
        self._unread: dict[str, str] = {}

    @classmethod
    def of(cls, config: EnvironmentConfig) -> MetricsReader:
        """Return the reader for an environment."""
        pattern = config.results_stdout_pattern
        return cls(compile_pattern(pattern) if pattern else None, json_line=config.results_json)

    def add(self, host: str, lines: Iterable[str]) -> None:
        """Take complete lines of stdout."""
        if self._pattern is not None or self._json:
            text = self._unread.get(host, "") + "".join(f"{line}\n" for line in lines)
            self._unread[host] = text[-MOST_UNREAD:]

    def take(self) -> dict[str, str]:
        """Return what has not been read yet, and forget it."""
        taken, self._unread = self._unread, {}
        return taken

    def is_metric(self, line: str) -> bool:
        """Whether a line is a metric and nothing else."""
        if self._json and line.lstrip().startswith("{"):
            return bool(self.read(line))
        pattern = self._pattern  # another thread may give it up
        if pattern is None or len(line) > LONGEST_METRIC:
            return False
        try:
            return pattern.for_text(line).fullmatch(line.rstrip("\r"), timeout=PARSE_LIMIT) is not None
        except TimeoutError:
            self._pattern = None
            return False

    def give_back(self, host: str, text: str) -> None:
        """Take text again that was not read after all; it comes before what was added since."""
        self._unread[host] = (text + self._unread.get(host, ""))[-MOST_UNREAD:]

    def read(self, text: str) -> dict[str, Value]:
        """Return the metrics in a text."""
        found: dict[str, Value] = {}
        if self._pattern is not None:
            try:
                found |= parse(text, self._pattern, timeout=PARSE_LIMIT)
            except MetricsTimeoutError:
                self._pattern = None
            except AnsibleEnvError:
                pass
        if self._json and text.rstrip().rpartition("\n")[2].lstrip().startswith("{"):
            with contextlib.suppress(AnsibleEnvError):  # no JSON after all
                found |= parse(text, None, json_line=True)
        return found


class PhaseView:
    """The hosts of one phase. Not safe for threads: whoever has it holds a lock."""

    def __init__(self, phase: str, hosts: Sequence[str], timeout: float | None = None) -> None:
        self.phase = phase
        self.timeout = timeout
        """Seconds that a host has for it; None where there is no deadline."""
        self.begun = time.monotonic()
        self.hosts = {host: HostView(host) for host in hosts}

    def look(self, now: float) -> None:
        """See who is late."""
        for view in self.hosts.values():
            elapsed = view.elapsed(now)
            if view.state is State.RUNNING and self.timeout and elapsed and elapsed > LATE * self.timeout:
                view.state = State.LATE

    def count(self) -> dict[State, int]:
        """Return how many hosts are in each state."""
        states = [view.state for view in self.hosts.values()]
        return {state: states.count(state) for state in State}

    def spread(self, first: Sequence[str] = ()) -> list[tuple[str, float, float, float, int]]:
        """Return minimum, median and maximum of each metric that is a number, and how many hosts have it."""
        names = dict.fromkeys([*first, *(name for view in self.hosts.values() for name in view.metrics)])
        rows = []
        for name in names:
            found = [view.metrics.get(name) for view in self.hosts.values()]
            values = [float(v) for v in found if isinstance(v, int | float) and not isinstance(v, bool)]
            if values:
                rows.append((name, min(values), median(values), max(values), len(values)))
        return rows

    def on_output(self, host: str, lines: Sequence[str], is_metric: Callable[[str], bool] = lambda _: False) -> None:
        """Take lines of a host. One that is only a metric is shown as that, and not as what the host said last."""
        told = [(line, text) for line in lines if (text := visible_line(line)).strip()]
        if (view := self.hosts.get(host)) is not None and told:
            view.line = next((text for line, text in reversed(told) if not is_metric(line)), view.line)
            if view.state is State.WAITING:  # the last output may come after the end
                self._start(view)

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Take an event of ansible-runner."""
        kind, data = str(event.get("event")), event.get("event_data")
        view = self.hosts.get(str(data.get("host"))) if isinstance(data, Mapping) else None
        if view is None or not isinstance(data, Mapping):
            return
        if view.state is State.FAILED and kind != "runner_on_start":  # that would be another attempt
            return
        ours = data.get("task_action") == PHASE_TASK
        res = data.get("res")
        res = res if isinstance(res, Mapping) else {}
        if kind == "runner_on_start":
            view.task = "" if ours else str(data.get("task") or data.get("task_action") or "")
            self._start(view)
        elif kind == "runner_on_unreachable" or (kind == "runner_on_failed" and not data.get("ignore_errors")):
            usual = Kind.UNREACHABLE if kind == "runner_on_unreachable" else Kind.TASK
            self._end(view, State.FAILED)
            told, message = str(res.get("kind") or usual), str(res.get("msg") or data.get("task") or "")
            view.fault = message if message.startswith(told) else f"{told}: {message}"
        elif kind in ("runner_on_ok", "runner_on_failed", "runner_on_skipped"):
            self._end(view, State.DONE)
            if ours and isinstance(res.get("metrics"), Mapping):
                view.metrics |= res["metrics"]

    def _start(self, view: HostView) -> None:
        """A host that was done with one task may be given another one, and one that failed another attempt."""
        if view.state in (State.WAITING, State.DONE, State.FAILED):
            view.state, view.ended = State.RUNNING, None
            view.started = view.started or time.monotonic()

    def _end(self, view: HostView, state: State) -> None:
        view.state, view.ended, view.task = state, time.monotonic(), ""
        view.started = view.started or self.begun
