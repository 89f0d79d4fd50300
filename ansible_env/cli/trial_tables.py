"""Trials as tables: one trial by hosts; many trials by configuration, or by host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean, median
from typing import TypeGuard

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from ansible_env.cli.tabular import new_table, status_style
from ansible_env.config.checks import TRIAL_NAMES
from ansible_env.report.formatting import duration, number, plural, visible
from ansible_env.results.aggregate import cv
from ansible_env.results.host_result import HostResult
from ansible_env.results.trial import Trial

SIDE_BY_SIDE = 6
"""Hosts, up to which each is a column."""
FEWEST_FOLDED = 12
"""Hosts that are all shown, however low the terminal is."""
AROUND = 8
"""Lines of a terminal that are left for what is above and below a table."""
LONGEST_VALUE = 60
"""Characters of a metric that is text; the other forms of output have it whole."""
MOST_MISSED = 20
"""Budgets that were not kept, of which a table has a line each."""


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
        table = new_table(["metric", "min", "", "median", "max", ""])
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
    table = new_table(head)
    for row in body[: len(metrics)]:
        table.add_row(*(Text(cell) for cell in row))
    if metrics:
        table.add_section()
    for row in body[len(metrics) :]:
        styles = [""] + [status_style(host.status.name) if row[0] in ("status", "kind") else "" for host in hosts]
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
    table = new_table(head)
    for host, row in zip(hosts, body, strict=True):
        styles = ["", status_style(host.status.name), *[""] * (len(row) - 2)]
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


# Many trials


def configuration_table(trials: Sequence[Trial]) -> Table:
    """Return a row for each configuration: how many trials succeeded, and the mean of each metric, ± its cv."""
    groups: dict[int, list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.request.configuration):
        groups.setdefault(trial.request.configuration, []).append(trial)
    metrics = _metric_names(trials)
    params = _varied([group[0] for group in groups.values()])
    table = new_table([*params, "ok", *metrics], left=len(params))
    for group in groups.values():
        ok = sum(trial.status.is_succeeded() for trial in group)
        given = [number(group[0].params.get(name)) for name in params]
        cells = [_mean_and_cv(_values(group, name)) for name in metrics]
        table.add_row(*map(Text, [*given, f"{ok}/{len(group)}", *cells]))
    return table


def calibration_table(trials: Sequence[Trial]) -> Table:
    """Return a row for each host: the mean of each metric, ± its cv, and how far it is from the median of the hosts."""
    by_host: dict[str, list[Trial]] = {}
    for trial in trials:
        for host in trial.hosts or trial.request.hosts:
            by_host.setdefault(host, []).append(trial)
    metrics = _metric_names(trials)
    table = new_table(["host", "ok", *(title for name in metrics for title in (name, "bias"))])
    values = {host: {name: _values(group, name) for name in metrics} for host, group in by_host.items()}
    middle = {name: _middle([of_host[name] for of_host in values.values()]) for name in metrics}
    for host, group in sorted(by_host.items()):
        ok = sum(trial.status.is_succeeded() for trial in group)
        cells = [(_mean_and_cv(values[host][name]), _bias(values[host][name], middle[name])) for name in metrics]
        table.add_row(*map(Text, [visible(host), f"{ok}/{len(group)}", *(text for pair in cells for text in pair)]))
    return table


def verdicts_text(trials: Sequence[Trial]) -> str:
    """Return how many trials kept their budgets, and which budgets were not kept; nothing where there are none."""
    judged = [trial for trial in trials if trial.assertions]
    if not judged:
        return ""
    missed = [(trial, verdict) for trial in judged for verdict in trial.assertions if not verdict.passed]
    kept = len(judged) - len({trial.number for trial, _ in missed})
    lines = ["", f"{kept} of {plural(len(judged), 'trial')} kept {plural(len(judged[0].assertions), 'budget')}"]
    lines += [f"FAILED  trial {trial.number}  {visible(verdict.message)}" for trial, verdict in missed[:MOST_MISSED]]
    if len(missed) > MOST_MISSED:
        lines.append(f"… and {len(missed) - MOST_MISSED} more: -o json has them all")
    return "".join(f"{line}\n" for line in lines)


def _metric_names(trials: Iterable[Trial]) -> list[str]:
    """Return the metrics that are numbers, those of the group."""
    metrics = [item for trial in trials if trial.deciding for item in trial.deciding.metrics.items()]
    return list(dict.fromkeys(name for name, value in metrics if _is_number(value) and not name.endswith("}")))


def _varied(trials: Sequence[Trial]) -> list[str]:
    """Return the parameters that differ between configurations, by what was given."""
    given = [{**trial.request.values, **trial.request.globals} for trial in trials]
    names = list(dict.fromkeys(name for values in given for name in values if name not in TRIAL_NAMES))
    return [name for name in names if len({str(values.get(name)) for values in given}) > 1] or names


def _values(trials: Iterable[Trial], name: str) -> list[float]:
    """Return a metric of the trials that succeeded and have it."""
    good = [trial.deciding for trial in trials if trial.status.is_succeeded() and trial.deciding]
    return [value for result in good if _is_number(value := result.metrics.get(name))]


def _mean_and_cv(values: Sequence[float]) -> str:
    """Return a mean, and the coefficient of variation where there are several values."""
    if not values:
        return "-"
    spread = cv(values)
    return number(float(fmean(values))) + (f" ±{spread:.1%}" if spread is not None else "")


def _middle(groups: Iterable[Sequence[float]]) -> float | None:
    """Return the median of the means."""
    means = [fmean(values) for values in groups if values]
    return median(means) if means else None


def _bias(values: Sequence[float], middle: float | None) -> str:
    return "-" if not values or not middle else f"{(fmean(values) - middle) / abs(middle):+.1%}"
