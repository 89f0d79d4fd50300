"""Trials on stdout as they finish: as tables of their hosts, JSON, JSON Lines or CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any, TextIO

from rich.table import Table
from rich.text import Text

from ansible_env.cli.console import write
from ansible_env.cli.options import Output
from ansible_env.cli.tabular import (
    Row,
    console_for,
    csv_text,
    fits,
    most_that_fit,
    new_table,
    status_style,
    text_of,
)
from ansible_env.report.formatting import duration, number, plural, visible
from ansible_env.results.aggregate import cv
from ansible_env.results.assertions import AssertionResult
from ansible_env.results.host_result import HostResult
from ansible_env.results.trial import Trial
from ansible_env.results.values import is_number
from ansible_env.storage.bundle.files import to_json

MAX_COLUMNS = 6
"""Hosts up to which each is a column."""
GROUP = "group"
"""Title of the aggregate of the hosts."""
FEWEST_FOLDED = 12
"""Number of hosts that are all shown, even on a low terminal."""
AROUND = 10
"""Lines of a terminal that are reserved above and below a table."""
LONGEST_VALUE = 60
"""Characters of a metric that is text; the other forms of output have it whole."""
FIXED = ("trial", "host", "status", "kind", "rc", "started", "finished", "elapsed")
"""Columns of CSV before those of parameters and metrics."""


class Writer:
    """Writes trials to a stream: tables and JSON Lines at once, JSON and CSV, which are one document, at the end."""

    def __init__(self, output: Output, stream: TextIO) -> None:
        self._output = output
        self._stream = stream
        self._trials: list[Trial] = []
        self._assertions: list[AssertionResult] = []

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

    def add_summary(self, trials: Sequence[Trial]) -> None:
        """Write what several trials have in common; only a table has that, the other forms are data."""
        if self._output is Output.TABLE and len(trials) > 1 and (table := summary_table(trials)) is not None:
            ok = sum(trial.status.is_succeeded() for trial in trials)
            title = f"{ok} of {plural(len(trials), 'trial')} succeeded"
            write("\n" + text_of(console_for(self._stream), Text(title, "bold"), table), self._stream)

    def add_assertions(self, results: Sequence[AssertionResult]) -> None:
        """Write the results of assertions about all trials together."""
        self._assertions = list(results)
        if self._output is Output.TABLE:
            lines = [f"{'holds' if v.passed else 'FAILED'}  {visible(v.message)}\n" for v in results]
            write("".join(["\n", *lines]), self._stream)

    def close(self) -> None:
        """Write the document."""
        if self._output is Output.JSON:
            documents = [trial.to_dict(output=False) for trial in self._trials]
            assertions = {"assertions": [result.to_dict() for result in self._assertions]} if self._assertions else {}
            write(to_json({"trials": documents, **assertions}, indent=2) + "\n", self._stream)
        elif self._output is Output.CSV:
            rows, columns = _csv_rows(self._trials)
            write(csv_text(rows, columns, shown=self._stream.isatty()), self._stream)


# Tables


def trial_tables(trial: Trial, width: int, height: int | None = None) -> Iterator[Text | Table]:
    """Yield what to print for a trial; more hosts than there are lines are folded to what they have in common."""
    title = Text.assemble(
        (visible(trial.environment), "bold"),
        f"  trial {trial.number}  ",
        (trial.status.name, status_style(trial.status.name)),
        f"  {duration(trial.elapsed)}",
    )
    yield title
    hosts = list(trial.host_results.values())
    group = trial.metrics if len(hosts) > 1 else {}
    metrics = list(dict.fromkeys(name for host in hosts for name in host.metrics))
    if not hosts:
        return
    if height is not None and len(hosts) > max(FEWEST_FOLDED, height - AROUND):
        yield from _folded(hosts, metrics, group, width, height)
        return
    rows = _table_of_rows(hosts, metrics, group)
    if len(hosts) > MAX_COLUMNS and fits(rows, width):
        yield rows
    else:
        yield from _columns(hosts, metrics, group, width)


def _folded(
    hosts: Sequence[HostResult], metrics: Sequence[str], group: Mapping[str, Any], width: int, height: int
) -> Iterator[Text | Table]:
    """Yield the spread of the metrics, and the hosts that did not succeed, last: they are seen without scrolling."""
    good = [host for host in hosts if host.status.is_succeeded()]
    bad = [host for host in hosts if not host.status.is_succeeded()]
    if spread := list(_spread(good, metrics)):
        table = new_table(["metric", *([GROUP] if group else []), "min", "", "median", "max", ""])
        for name, row in spread:
            table.add_row(*map(Text, [visible(name), *([number(group.get(name))] if group else []), *row]))
        yield table
    if bad:
        yield Text("")
        shown = bad[: max(1, height - AROUND - len(spread) - 3)]
        rows = _table_of_rows(shown, metrics)
        yield rows if fits(rows, width) else _table_of_rows(shown, [])
        if len(bad) > len(shown):
            yield Text(f"… and {plural(len(bad) - len(shown), 'more host')} that did not succeed", "dim")
    yield Text(f"{len(good)} of {len(hosts)} hosts succeeded; -o csv, or a pipe, shows each of them", "dim")


def _spread(hosts: Sequence[HostResult], metrics: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    for name in metrics:
        values = {host.host: value for host in hosts if is_number(value := host.metrics.get(name))}
        if values:
            low, high = min(values, key=lambda host: values[host]), max(values, key=lambda host: values[host])
            who = (visible(low), visible(high)) if values[low] != values[high] else ("", "")
            middle = number(median(values.values()))
            yield name, [number(values[low]), who[0], middle, number(values[high]), who[1]]


def _columns(
    hosts: Sequence[HostResult], metrics: Sequence[str], group: Mapping[str, Any], width: int
) -> Iterator[Table]:
    """Yield tables with a column for each host, as many in one as fit, and one for the group in each."""
    while hosts:
        count = most_that_fit(len(hosts), partial(_table_of_columns, hosts, metrics, group), width)
        yield _table_of_columns(hosts, metrics, group, count)
        hosts = hosts[count:]


def _table_of_columns(
    hosts: Sequence[HostResult], metrics: Sequence[str], group: Mapping[str, Any], count: int
) -> Table:
    """Return a table of the first `count` hosts."""
    hosts = hosts[:count]
    table = new_table(["metric" if metrics else "", *(host.host for host in hosts), *([GROUP] if group else [])])
    for name in metrics:
        values = [Text(_metric(host, name)) for host in hosts]
        table.add_row(Text(visible(name)), *values, *([Text(_value(group.get(name)), "bold")] if group else []))
    if metrics:
        table.add_section()
    styles = [status_style(host.status.name) for host in hosts]
    table.add_row("status", *(Text(host.status.name, style) for host, style in zip(hosts, styles, strict=True)))
    if any(not host.status.is_succeeded() for host in hosts):
        table.add_row("kind", *(Text(host.kind, style) for host, style in zip(hosts, styles, strict=True)))
    table.add_row("elapsed", *(duration(host.elapsed) for host in hosts))
    return table


def _table_of_rows(
    hosts: Sequence[HostResult], metrics: Sequence[str], group: Mapping[str, Any] | None = None
) -> Table:
    table = new_table(["host", "status", "elapsed", *metrics])
    for host in hosts:
        # The kind says more than FAILED does.
        status = host.status.name if host.status.is_succeeded() else str(host.kind)
        values = (Text(_metric(host, name)) for name in metrics)
        style = status_style(host.status.name)
        table.add_row(Text(visible(host.host)), Text(status, style), duration(host.elapsed), *values)
    if group:
        table.add_section()
        table.add_row(GROUP, "", "", *(Text(_value(group.get(name)), "bold") for name in metrics))
    return table


def _metric(host: HostResult, name: str) -> str:
    if name not in host.metrics:
        return "-"
    text = _value(host.metrics[name])
    return f"{text} (partial)" if host.metrics_partial else text


def _value(value: object) -> str:
    text = number(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def summary_table(trials: Sequence[Trial]) -> Table | None:
    """Return median and spread of each metric over several trials; None if no metric is a number."""
    good = [trial.metrics for trial in trials if trial.status.is_succeeded()]
    names = _names({name: None for name, value in metrics.items() if is_number(value)} for metrics in good)
    if not names:
        return None
    table = new_table(["metric", "median", "min", "max", "± cv", "trials"])
    for name in names:
        values = [float(value) for metrics in good if is_number(value := metrics.get(name))]
        spread = cv(values)
        texts = [number(middle) for middle in (median(values), min(values), max(values))]
        table.add_row(*map(Text, [visible(name), *texts, "-" if spread is None else f"{spread:.1%}", str(len(values))]))
    return table


# CSV


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
