"""What came of many trials: a line for each configuration, or for each host."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from ansible_env.cli.text import number, plural, visible
from ansible_env.config.checks import TRIAL_NAMES
from ansible_env.results.aggregate import cv

if TYPE_CHECKING:
    from ansible_env.cli.sweep import SweepTrial

MOST_MISSED = 20
"""Budgets that were not kept, of which a table tells."""


def configuration_table(trials: Sequence[SweepTrial]) -> Table:
    """Return a row for each configuration: how many trials succeeded, and the mean of each metric, ± its cv."""
    groups: dict[int, list[SweepTrial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.request.configuration):
        groups.setdefault(trial.request.configuration, []).append(trial)
    metrics = _metrics(trials)
    params = _varied([group[0] for group in groups.values()])
    table = _table([*params, "ok", *metrics], left=len(params))
    for group in groups.values():
        good = [trial for trial in group if trial.status.is_succeeded()]
        given = [number(group[0].params.get(name)) for name in params]
        cells = [_spread([_value(trial, name) for trial in good]) for name in metrics]
        table.add_row(*map(Text, [*given, f"{len(good)}/{len(group)}", *cells]))
    return table


def calibration_table(trials: Sequence[SweepTrial]) -> Table:
    """Return a row for each host: the mean of each metric, ± its cv, and how far it is from the median of the hosts."""
    hosts = sorted({host for trial in trials for host in (trial.ran_on or trial.request.hosts)})
    metrics = _metrics(trials)
    table = _table(["host", "ok", *(title for name in metrics for title in (name, "bias"))], left=1)
    of = {host: [t for t in trials if host in (t.ran_on or t.request.hosts)] for host in hosts}
    good = {host: [trial for trial in group if trial.status.is_succeeded()] for host, group in of.items()}
    found = {name: {host: [_value(t, name) for t in good[host]] for host in hosts} for name in metrics}
    middle = {name: _middle(values.values()) for name, values in found.items()}
    for host in hosts:
        cells = [
            cell for name in metrics for cell in (_spread(found[name][host]), _bias(found[name][host], middle[name]))
        ]
        table.add_row(*map(Text, [visible(host), f"{len(good[host])}/{len(of[host])}", *cells]))
    return table


def verdicts_text(trials: Sequence[SweepTrial]) -> str:
    """Return how many trials kept their budgets, and which budgets were not kept; nothing where there are none."""
    judged = [trial for trial in trials if trial.verdicts]
    if not judged:
        return ""
    missed = [(trial, verdict) for trial in judged for verdict in trial.verdicts if not verdict.passed]
    kept = len(judged) - len({trial.number for trial, _ in missed})
    lines = ["", f"{kept} of {plural(len(judged), 'trial')} kept {plural(len(judged[0].verdicts), 'budget')}"]
    lines += [f"FAILED  trial {trial.number}  {visible(verdict.message)}" for trial, verdict in missed[:MOST_MISSED]]
    if len(missed) > MOST_MISSED:
        lines.append(f"… and {len(missed) - MOST_MISSED} more: -o json has them all")
    return "".join(f"{line}\n" for line in lines)


def _metrics(trials: Iterable[SweepTrial]) -> list[str]:
    """Return the metrics that are numbers, those of the group."""
    found: dict[str, None] = {}
    for trial in trials:
        for name, value in (trial.deciding.metrics if trial.deciding else {}).items():
            if _is_number(value) and not name.endswith("}"):
                found[name] = None
    return list(found)


def _varied(trials: Sequence[SweepTrial]) -> list[str]:
    """Return the parameters that differ between configurations, by what was given."""
    given = [{**trial.request.values, **trial.request.globals} for trial in trials]
    names = list(dict.fromkeys(name for values in given for name in values if name not in TRIAL_NAMES))
    return [name for name in names if len({str(values.get(name)) for values in given}) > 1] or names


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(trial: SweepTrial, name: str) -> float | None:
    value = trial.deciding.metrics.get(name) if trial.deciding else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _spread(values: Sequence[float | None]) -> str:
    """Return a mean, and the coefficient of variation where there are several values."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    spread = cv(known)
    return number(float(statistics.fmean(known))) + (f" ±{spread:.1%}" if spread is not None else "")


def _middle(groups: Iterable[Sequence[float | None]]) -> float | None:
    means = [mean for group in groups if (mean := _mean(group)) is not None]
    return statistics.median(means) if means else None


def _bias(values: Sequence[float | None], middle: float | None) -> str:
    mean = _mean(values)
    return "-" if mean is None or not middle else f"{(mean - middle) / abs(middle):+.1%}"


def _table(titles: Sequence[str], *, left: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for index, title in enumerate(titles):
        table.add_column(Text(visible(title)), justify="left" if index < left else "right", overflow="fold")
    return table
