"""Results on stdout, in the form that was asked for. Data only: everything else goes to stderr."""

from __future__ import annotations

import csv
import enum
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TextIO

from rich.console import Console

from ansible_env.cli.tables import trial_tables
from ansible_env.cli.text import visible
from ansible_env.results.assertions import AssertionResult
from ansible_env.results.host_result import HostResult
from ansible_env.storage.bundle.files import to_json
from ansible_env.trials.record import Trial


class Output(enum.StrEnum):
    """Forms of results."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class Writer(Protocol):
    """Takes trials as they are finished."""

    def add(self, trial: Trial) -> None:
        """Take one."""

    def judged(self, verdicts: Sequence[AssertionResult]) -> None:
        """Take what was asserted of the trials, and whether it holds."""

    def close(self) -> None:
        """Write what is still to be written."""


def make_writer(output: Output, stream: TextIO) -> Writer:
    """Return the writer for a form."""
    return {Output.TABLE: _Tables, Output.JSON: _Json, Output.JSONL: _JsonLines, Output.CSV: _Csv}[output](stream)


def stop_printing() -> None:
    """Let everything that is still to be written to stdout go nowhere: its reader has gone (`| head`)."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


class _Base:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._trials: list[Trial] = []
        self._verdicts: list[AssertionResult] = []

    def add(self, trial: Trial) -> None:
        self._trials.append(trial)

    def judged(self, verdicts: Sequence[AssertionResult]) -> None:
        self._verdicts = list(verdicts)

    def close(self) -> None:
        pass

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:
            stop_printing()


class _Tables(_Base):
    def add(self, trial: Trial) -> None:
        # A file or a pipe has no edge; nothing is folded there.
        width = None if self._stream.isatty() or "COLUMNS" in os.environ else 10_000
        console = Console(file=self._stream, width=width, highlight=False, markup=False, emoji=False)
        with console.capture() as capture:
            for table in trial_tables(trial, console.width, console.height if self._stream.isatty() else None):
                console.print(table)
        text = capture.get()
        gap = "\n" if self._stream.isatty() else ""  # progress is above it
        self._write(gap + "".join(f"{line.rstrip()}\n" for line in text.splitlines()))

    def judged(self, verdicts: Sequence[AssertionResult]) -> None:
        lines = [f"{'holds' if v.passed else 'FAILED'}  {visible(v.message)}\n" for v in verdicts]
        self._write("".join(["\n", *lines]))


class _Json(_Base):
    def close(self) -> None:
        documents = [trial.to_dict(output=False) for trial in self._trials]
        judged = {"assertions": [verdict.to_dict() for verdict in self._verdicts]} if self._verdicts else {}
        self._write(to_json({"trials": documents, **judged}, indent=2) + "\n")


class _JsonLines(_Base):
    def add(self, trial: Trial) -> None:
        self._write(to_json(trial.to_dict(output=False)) + "\n")


class _Csv(_Base):
    FIXED = ("trial", "host", "status", "kind", "rc", "started", "finished", "elapsed")

    def close(self) -> None:
        rows = [(trial, host) for trial in self._trials for host in trial.hosts.values()]
        params = _names(trial.params for trial in self._trials)
        metrics = _names(host.metrics for _, host in rows)
        # Two columns of the same name would be read as one.
        param_titles = [name if name not in self.FIXED else f"param.{name}" for name in params]
        taken = {*self.FIXED, *param_titles}
        titles = [*self.FIXED, *param_titles, *(n if n not in taken else f"metric.{n}" for n in metrics)]
        table = [titles]
        for trial, host in rows:
            given = [trial.params.get(name) for name in params]
            table.append([_cell(v) for v in (*_fixed(trial, host), *given, *(host.metrics.get(n) for n in metrics))])
        if self._stream.isatty():
            table = [[visible(cell) for cell in row] for row in table]
        text = _Text()
        csv.writer(text, lineterminator="\n").writerows(table)
        self._write("".join(text))


class _Text(list[str]):
    """What csv.writer writes to."""

    def write(self, text: str) -> None:
        self.append(text)


def _fixed(trial: Trial, host: HostResult) -> list[Any]:
    started, finished = (time.isoformat() if time else None for time in (host.started, host.finished))
    return [trial.number, host.host, host.status.name, str(host.kind), host.rc, started, finished, host.elapsed]


def _names(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return all names, in the order of their first occurrence."""
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple | dict):
        return to_json(value)
    return repr(value) if isinstance(value, float) else str(value)
