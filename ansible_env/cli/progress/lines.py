"""Progress as lines on stderr."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TextIO

from rich.console import Console

from ansible_env.cli.progress.remaining_time import RemainingTime, time_left
from ansible_env.config.fields import ONCE
from ansible_env.report.formatting import duration, plural, some, visible, visible_line
from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.observer import TrialObserver
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.trial import Trial

LONGEST_LINE = 4096
"""Characters of an incomplete line above which it is shown as if it were complete."""
MAX_LINES = 400
"""Lines of one stream shown at once. Output arrives several times a second, and a reader cannot follow more."""

_HOST_COLORS = ("36", "35", "34", "32", "33", "96", "95", "94")
_DIM, _RED, _GREEN, _YELLOW, _BOLD = "2", "31", "32", "33", "1"
_TASK_WORDS = {
    "runner_on_failed": ("failed", _RED),
    "runner_on_unreachable": ("unreachable", _RED),
    "runner_on_skipped": ("skipped", _DIM),
}


class Progress(TrialObserver):
    """Shows messages, and nothing about single hosts: the progress of a sweep without a terminal."""

    def __init__(self, stream: TextIO, *, trials: int = 1, quiet: bool = False) -> None:
        """Use a stream; `trials` is the number of trials."""
        console = Console(file=stream)
        self._color = console.is_terminal and console.color_system is not None and not console.no_color
        self._stream = stream
        self._quiet = quiet
        self._remaining = RemainingTime(trials, time.monotonic())
        self._lock = threading.Lock()

    def note(self, text: str) -> None:
        """Show a message."""
        self._write([self._line("", visible(text))])

    def start(self) -> None:
        """Start the live view, if this is one."""

    def stop(self) -> None:
        """Remove the live view, if this is one."""

    def aside(self) -> contextlib.AbstractContextManager[None]:
        """Remove the live view while something else writes to the terminal."""
        return contextlib.nullcontext()

    def on_trial_finished(self, trial: Trial) -> None:
        """Count the trial."""
        if not trial.repeated:
            self._remaining.trial_ended(time.monotonic())

    def _line(self, phase: str, text: str) -> str:
        clock = self._styled(time.strftime("%H:%M:%S"), _DIM)
        return f"{clock} {phase:8} {text}" if phase else f"{clock} {text}"

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._color and text else text

    def _write(self, lines: Sequence[str]) -> None:
        if not self._quiet:
            with self._lock:
                self._put(lines)

    def _put(self, lines: Sequence[str]) -> None:
        if self._quiet or not lines:
            return
        # The reader may be gone (`2>&1 | head`): that is no reason to end a benchmark.
        with contextlib.suppress(OSError, ValueError):
            self._emit("".join(f"{line.rstrip()}\n" for line in lines))

    def _emit(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class LineProgress(Progress):
    """Shows the start and end of each phase, the output of its scripts, and the author's own Ansible tasks.

    Called from the engine's thread and from the main one. It writes escape sequences itself, without rich: a benchmark
    may print thousands of lines a second, and the engine waits for each call.
    """

    def __init__(self, stream: TextIO, *, verbosity: int = 0, follow: Sequence[str] = (), **options: Any) -> None:
        """Use a stream. `follow` has patterns of the hosts whose lines are shown; without a pattern, all are shown."""
        super().__init__(stream, **options)
        self._verbosity = verbosity
        self._follow = tuple(follow)
        self._phase = ""
        self._hosts: dict[str, str] = {}  # and their colors
        self._width = 0
        self._started = 0.0
        self._partial: dict[tuple[str, str], str] = {}

    def on_trial_started(self, trial: Trial) -> None:
        """Show that a trial starts, and how long all of them will take."""
        self._hosts = {host: _HOST_COLORS[n % len(_HOST_COLORS)] for n, host in enumerate(trial.hosts)}
        self._width = min(max((len(visible(host)) for host in trial.hosts), default=0), 24)
        where = f"{plural(len(trial.hosts), 'host')}: {some(trial.hosts, 4 if len(trial.hosts) > 8 else 8)}"
        left = self._remaining.seconds(time.monotonic())
        rest = f", {time_left(left)}" if left is not None else ""
        self._write([self._line("", f"{self._styled(self._title(trial), _BOLD)} on {where}{rest}")])

    def _title(self, trial: Trial) -> str:
        title, total = f"{trial.environment}: trial {trial.number}", self._remaining.total
        return f"{title} ({self._remaining.ended + 1} of {total})" if total > 1 else title

    def on_phase_started(self, trial: Trial, phase: str, playbook: str, hosts: Sequence[str]) -> None:
        """Show that a phase starts."""
        self._enter(phase)
        self._write([self._line(phase, self._styled("begins", _DIM))])

    def _enter(self, phase: str) -> None:
        self._phase, self._started = phase, time.monotonic()
        self._partial.clear()

    def on_phase_finished(self, trial: Trial, result: PhaseResult) -> None:
        """Show how a phase ended. What runs once on each host is shown by `OnceProgress`."""
        if result.phase in ONCE:
            return
        with self._lock:
            for (host, stream), text in self._partial.items():
                self._put([self._output(host, stream, text)] if text and self.shows(host) else [])
            self._partial.clear()
        good = result.status.is_succeeded()
        text = self._styled(result.status.name, _GREEN if good else _RED)
        text += f" in {duration(time.monotonic() - self._started)}"
        if result.failed_hosts and len(result.hosts) > 1 and not result.status.is_canceled():
            text += f", {len(result.failed_hosts)} of {plural(len(result.hosts), 'host')} failed"
        if result.skew is not None:
            text += f", started within {_brief(result.skew)}"
        self._write([self._line(self._phase, text)])

    def shows(self, host: str) -> bool:
        """Whether the lines of a host are written."""
        return self.follows(host, default=True)

    def follows(self, host: str, *, default: bool) -> bool:
        """Whether a host matches `--follow`; the default where that is not given."""
        return any(fnmatchcase(host, pattern) for pattern in self._follow) if self._follow else default

    def on_lines(self, host: str, stream: str, lines: Sequence[str], rest: str) -> None:
        """Receive complete lines, and the incomplete one."""

    def on_output(self, trial: Trial, host: str, stream: str, text: str) -> None:
        """Show the lines that are complete now."""
        if self._quiet:
            return
        with self._lock:
            *lines, rest = (self._partial.get((host, stream), "") + text).split("\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], ""
            self._partial[host, stream] = rest
            self.on_lines(host, stream, lines, rest)
            if not self.shows(host):
                return
            left_out = len(lines) - MAX_LINES
            if left_out > 0:
                half = MAX_LINES // 2
                lines[half:-half] = [f"[... {plural(left_out, 'line')} not shown here, but in the log ...]"]
            self._put([self._output(host, stream, line) for line in lines])

    def on_event(self, trial: Trial, event: Mapping[str, Any]) -> None:
        """Show the author's own Ansible tasks, or with -vv the whole output of Ansible."""
        if self._quiet:
            return
        kind, data = str(event.get("event")), event.get("event_data")
        if self._verbosity > 1 and event.get("stdout"):
            lines = str(event["stdout"]).splitlines()
            self._write([self._line(self._phase, self._styled(visible(line), _DIM)) for line in lines])
        elif kind.startswith("runner_on_") and isinstance(data, Mapping) and data.get("task_action") != PHASE_TASK:
            self._task(kind, data)

    def _task(self, kind: str, data: Mapping[str, Any]) -> None:
        res = data.get("res")
        if kind == "runner_on_ok":
            changed = isinstance(res, Mapping) and res.get("changed")
            word, color = ("changed", _YELLOW) if changed else ("ok", _GREEN)
        elif kind in _TASK_WORDS:
            word, color = _TASK_WORDS[kind]
        else:
            return
        if not self.shows(str(data.get("host"))):
            return
        task = visible(str(data.get("task") or data.get("task_action") or "task"))
        if kind == "runner_on_failed" and data.get("ignore_errors"):
            word += ", ignored"
        text = (
            f"{self._host(str(data.get('host')))} | {self._styled(f'task: {task}:', _DIM)} {self._styled(word, color)}"
        )
        self._write([self._line(self._phase, text)])

    def _output(self, host: str, stream: str, line: str) -> str:
        text = visible_line(line)
        mark, text = ("!", self._styled(text, _YELLOW)) if stream == "stderr" else ("|", text)
        return self._line(self._phase, f"{self._host(host)} {mark} {text}")

    def _host(self, host: str) -> str:
        return self._styled(visible(host).ljust(self._width), self._hosts.get(host, _BOLD))


def _brief(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else duration(seconds)
