"""A trial as tables: hosts side by side where they fit, one below the other where they are many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from ansible_env.cli.record import Trial
from ansible_env.cli.text import duration, number, visible
from ansible_env.result import HostResult
from ansible_env.status import Status

SIDE_BY_SIDE = 6
"""Hosts, up to which each is a column."""
LONGEST_VALUE = 60
"""Characters of a metric that is text; the other forms of output have it whole."""
_STYLES = {Status.SUCCEEDED: "green", Status.READY: "green", Status.TIMED_OUT: "yellow", Status.CANCELED: "yellow"}


def trial_tables(trial: Trial, width: int) -> Iterator[Text | Table]:
    """Yield what to print for a trial."""
    title = Text.assemble(
        (visible(trial.environment), "bold"),
        f"  trial {trial.number}  ",
        (trial.status.name, _style(trial.status)),
        f"  {duration(trial.elapsed)}",
    )
    yield title
    hosts = list(trial.hosts.values())
    metrics = list(dict.fromkeys(name for host in hosts for name in host.metrics))
    if not hosts:
        return
    if len(hosts) > SIDE_BY_SIDE and _fits(_widths(_rows(hosts, metrics)), width):
        yield _table_of_rows(hosts, metrics)
        return
    yield from _columns(hosts, metrics, width)


def _columns(hosts: Sequence[HostResult], metrics: Sequence[str], width: int) -> Iterator[Table]:
    """Yield tables with a column for each host, as many in one as fit."""
    left = list(hosts)
    while left:
        count = len(left)
        while count > 1 and not _fits(_widths(_column_cells(left[:count], metrics)), width):
            count -= 1
        yield _table_of_columns(left[:count], metrics)
        left = left[count:]


def _table_of_columns(hosts: Sequence[HostResult], metrics: Sequence[str]) -> Table:
    head, *body = _column_cells(hosts, metrics)
    table = _table(head)
    for row in body[: len(metrics)]:
        table.add_row(*(Text(cell) for cell in row))
    if metrics:
        table.add_section()
    for row in body[len(metrics) :]:
        styles = [""] + [_style(host.status) if row[0] in ("status", "kind") else "" for host in hosts]
        table.add_row(*(Text(cell, style) for cell, style in zip(row, styles, strict=True)))
    return table


def _column_cells(hosts: Sequence[HostResult], metrics: Sequence[str]) -> list[list[str]]:
    rows = [["metric" if metrics else "", *(visible(host.host) for host in hosts)]]
    rows += [[visible(name), *(_metric(host, name) for host in hosts)] for name in metrics]
    rows.append(["status", *(host.status.name for host in hosts)])
    if any(not host.status.is_succeeded() for host in hosts):
        rows.append(["kind", *(str(host.kind) for host in hosts)])
    rows.append(["elapsed", *(duration(host.elapsed) for host in hosts)])
    return rows


def _table_of_rows(hosts: Sequence[HostResult], metrics: Sequence[str]) -> Table:
    head, *body = _rows(hosts, metrics)
    table = _table(head)
    for host, row in zip(hosts, body, strict=True):
        styles = ["", _style(host.status), *[""] * (len(row) - 2)]
        table.add_row(*(Text(cell, style) for cell, style in zip(row, styles, strict=True)))
    return table


def _rows(hosts: Sequence[HostResult], metrics: Sequence[str]) -> list[list[str]]:
    """Return the cells of a table with a row for each host."""
    rows = [["host", "status", "elapsed", *map(visible, metrics)]]
    for host in hosts:
        # The kind says more than FAILED does.
        status = host.status.name if host.status.is_succeeded() else str(host.kind)
        rows.append([visible(host.host), status, duration(host.elapsed), *(_metric(host, n) for n in metrics)])
    return rows


def _table(head: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for index, title in enumerate(head):
        table.add_column(Text(title), justify="left" if index == 0 else "right", overflow="fold")
    return table


def _metric(host: HostResult, name: str) -> str:
    if name not in host.metrics:
        return "-"
    text = number(host.metrics[name])
    if len(text) > LONGEST_VALUE:
        text = text[: LONGEST_VALUE - 1] + "…"
    return f"{text} (partial)" if host.metrics_partial else text


def _widths(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the longest cell of each column."""
    return [max(column, key=cell_len) for column in zip(*rows, strict=True)]


def _fits(longest: Sequence[str], width: int) -> bool:
    return sum(cell_len(cell) + 2 for cell in longest) <= width


def _style(status: Status) -> str:
    return _STYLES.get(status, "red")
