"""The trials of a sweep as a table: a row for each configuration, or for each host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, median

from rich.table import Table
from rich.text import Text

from ansible_env.cli.tabular import is_number, new_table
from ansible_env.config.checks import TRIAL_NAMES
from ansible_env.report.formatting import number, plural, visible
from ansible_env.results.aggregate import cv
from ansible_env.results.trial import Trial

MAX_MISSED = 20
"""Missed budgets that have a line each."""


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


def missed_budgets(trials: Sequence[Trial]) -> str:
    """Return how many trials kept their budgets, and the budgets that were not kept; empty without budgets."""
    judged = [trial for trial in trials if trial.assertions]
    if not judged:
        return ""
    missed = [(trial, result) for trial in judged for result in trial.assertions if not result.passed]
    kept = len(judged) - len({trial.number for trial, _ in missed})
    lines = ["", f"{kept} of {plural(len(judged), 'trial')} kept {plural(len(judged[0].assertions), 'budget')}"]
    lines += [f"FAILED  trial {trial.number}  {visible(result.message)}" for trial, result in missed[:MAX_MISSED]]
    if len(missed) > MAX_MISSED:
        lines.append(f"… and {len(missed) - MAX_MISSED} more: -o json has them all")
    return "".join(f"{line}\n" for line in lines)


def _metric_names(trials: Iterable[Trial]) -> list[str]:
    """Return the metrics that are numbers, those of the group."""
    metrics = [item for trial in trials if trial.deciding for item in trial.deciding.metrics.items()]
    return list(dict.fromkeys(name for name, value in metrics if is_number(value) and not name.endswith("}")))


def _varied(trials: Sequence[Trial]) -> list[str]:
    """Return the parameters that differ between configurations, by what was given."""
    given = [{**trial.request.values, **trial.request.globals} for trial in trials]
    names = list(dict.fromkeys(name for values in given for name in values if name not in TRIAL_NAMES))
    return [name for name in names if len({str(values.get(name)) for values in given}) > 1] or names


def _values(trials: Iterable[Trial], name: str) -> list[float]:
    """Return a metric of the trials that succeeded and have it."""
    good = [trial.deciding for trial in trials if trial.status.is_succeeded() and trial.deciding]
    return [value for result in good if is_number(value := result.metrics.get(name))]


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
