"""Trials on stdout as they finish, in the form that `--output` selects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from ansible_env.cli.options import Output
from ansible_env.cli.tabular import Row, console_for, csv_text, text_of, write
from ansible_env.cli.trial_tables import trial_tables
from ansible_env.report.formatting import visible
from ansible_env.results.assertions import AssertionResult
from ansible_env.results.trial import Trial
from ansible_env.storage.bundle.files import to_json

FIXED = ("trial", "host", "status", "kind", "rc", "started", "finished", "elapsed")
"""Columns of CSV before those of parameters and metrics."""


class Writer:
    """Writes trials to a stream: tables and JSON Lines at once, JSON and CSV, which are one document, at the end."""

    def __init__(self, output: Output, stream: TextIO) -> None:
        self._output = output
        self._stream = stream
        self._trials: list[Trial] = []
        self._verdicts: list[AssertionResult] = []

    def add(self, trial: Trial) -> None:
        """Write a finished trial, or keep it for the document."""
        if self._output is Output.TABLE:
            console = console_for(self._stream)
            height = console.height if self._stream.isatty() else None
            gap = "\n" if self._stream.isatty() else ""  # progress is above it
            write(gap + text_of(console, *trial_tables(trial, console.width, height)), self._stream)
        elif self._output is Output.JSONL:
            write(to_json(trial.to_dict(output=False)) + "\n", self._stream)
        else:
            self._trials.append(trial)

    def judged(self, verdicts: Sequence[AssertionResult]) -> None:
        """Write what was asserted of all trials together, and whether it holds."""
        self._verdicts = list(verdicts)
        if self._output is Output.TABLE:
            lines = [f"{'holds' if v.passed else 'FAILED'}  {visible(v.message)}\n" for v in verdicts]
            write("".join(["\n", *lines]), self._stream)

    def close(self) -> None:
        """Write the document."""
        if self._output is Output.JSON:
            documents = [trial.to_dict(output=False) for trial in self._trials]
            assertions = {"assertions": [verdict.to_dict() for verdict in self._verdicts]} if self._verdicts else {}
            write(to_json({"trials": documents, **assertions}, indent=2) + "\n", self._stream)
        elif self._output is Output.CSV:
            rows, columns = _csv_rows(self._trials)
            write(csv_text(rows, columns, shown=self._stream.isatty()), self._stream)


def _csv_rows(trials: Sequence[Trial]) -> tuple[list[Row], list[str]]:
    """Return a row for each host of each trial, and the columns. Two columns of one name would be read as one."""
    hosts = [(trial, host) for trial in trials for host in trial.host_results.values()]
    params = {name: name if name not in FIXED else f"param.{name}" for name in _names(t.params for t in trials)}
    taken = {*FIXED, *params.values()}
    metrics = {name: name if name not in taken else f"metric.{name}" for name in _names(h.metrics for _, h in hosts)}
    rows: list[Row] = []
    for trial, host in hosts:
        fixed = (trial.number, host.host, host.status.name, str(host.kind), host.rc)
        row: dict[str, Any] = dict(zip(FIXED, (*fixed, host.started, host.finished, host.elapsed), strict=True))
        row |= {column: trial.params.get(name) for name, column in params.items()}
        rows.append(row | {column: host.metrics.get(name) for name, column in metrics.items()})
    return rows, [*FIXED, *params.values(), *metrics.values()]


def _names(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return all names, in the order of their first occurrence."""
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))
