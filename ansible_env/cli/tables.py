"""A trial as tables: hosts side by side where they fit, one below the other where they are many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import TypeGuard

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from ansible_env.cli.text import duration, number, plural, visible
from ansible_env.results.host_result import HostResult
from ansible_env.results.status import Status
from ansible_env.trials.record import Trial

SIDE_BY_SIDE = 6
"""Hosts, up to which each is a column."""
FEWEST_FOLDED = 12
"""Hosts that are all shown, however low the terminal is."""
AROUND = 8
"""Lines of a terminal that are left for what is above and below a table."""
LONGEST_VALUE = 60
"""Characters of a metric that is text; the other forms of output have it whole."""
_STYLES = {Status.SUCCEEDED: "green", Status.READY: "green", Status.TIMED_OUT: "yellow", Status.CANCELED: "yellow"}


def trial_tables(trial: Trial, width: int, height: int | None = None) -> Iterator[Text | Table]:
    """Yield what to print for a trial; more hosts than there are lines are folded to what they have in common."""
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
    if height is not None and len(hosts) > max(FEWEST_FOLDED, height - AROUND):
        yield from _folded(hosts, metrics, width, height)
        return
    if len(hosts) > SIDE_BY_SIDE and _fits(_widths(_rows(hosts, metrics)), width):
        yield _table_of_rows(hosts, metrics)
        return
    yield from _columns(hosts, metrics, width)


def _folded(hosts: Sequence[HostResult], metrics: Sequence[str], width: int, height: int) -> Iterator[Text | Table]:
    """Yield the spread of the metrics, and the hosts that did not succeed, last: they are seen without scrolling."""
    good = [host for host in hosts if host.status.is_succeeded()]
    bad = [host for host in hosts if not host.status.is_succeeded()]
    if spread := list(_spread(good, metrics)):
        table = _table(["metric", "min", "", "median", "max", ""])
        for row in spread:
            table.add_row(*map(Text, row))
        yield table
    if bad:
        yield Text("")
        shown = bad[: max(1, height - AROUND - len(spread) - 3)]
        fits = _fits(_widths(_rows(shown, metrics)), width)
        yield _table_of_rows(shown, metrics if fits else [])
        if len(bad) > len(shown):
            yield Text(f"… and {plural(len(bad) - len(shown), 'more host')} that did not succeed", "dim")
    yield Text(f"{len(good)} of {len(hosts)} hosts succeeded; -o csv, or a pipe, shows each of them", "dim")


def _spread(hosts: Sequence[HostResult], metrics: Sequence[str]) -> Iterator[list[str]]:
    for name in metrics:
        found = [(value, host.host) for host in hosts if _is_number(value := host.metrics.get(name))]
        if found:
            low, high = min(found, key=_first), max(found, key=_first)
            middle = number(median(value for value, _ in found))
            who = (visible(low[1]), visible(high[1])) if low[0] != high[0] else ("", "")
            yield [visible(name), number(low[0]), who[0], middle, number(high[0]), who[1]]


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _first(pair: tuple[float, str]) -> float:
    return pair[0]


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
