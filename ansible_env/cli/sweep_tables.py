"""The trials of a sweep as a table: a row for each configuration, or for each host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean, median

from rich.table import Table
from rich.text import Text

from ansible_env.cli.tabular import new_table
from ansible_env.config.checks import TRIAL_NAMES
from ansible_env.report.formatting import duration, number, parameter, plural, visible
from ansible_env.results.aggregate import cv
from ansible_env.results.trial import Trial
from ansible_env.results.values import is_number
from ansible_env.storage.database.read import parse_best

MAX_METRICS = 3
"""Metrics of a trial that are in its line."""
MAX_MISSED = 20
"""Missed budgets that have a line each."""


_SPREAD = "± coefficient of variation: the standard deviation of the trials, in percent of their mean"


def parse_goal(best: str | None, trials: Sequence[Trial]) -> tuple[str, bool] | None:
    """Return the metric that decides which row is the best, and whether more is better; a score by default.

    Raise ConfigError if `best` is not METRIC:max or METRIC:min.
    """
    if best is not None:
        metric, direction = parse_best(best)
        return metric, direction == "max"
    return ("score", True) if "score" in _metric_names(trials) else None


def legend(trials: Sequence[Trial], goal: tuple[str, bool] | None, *, calibrated: bool = False) -> str:
    """Return the lines below a table that explain its signs."""
    lines = [_SPREAD] if any(trial.request.repeat > 1 for trial in trials) else []
    if goal and len({trial.request.configuration for trial in trials}) > 1 and goal[0] in _metric_names(trials):
        lines.append(f"* best mean of {visible(goal[0])}, {'more' if goal[1] else 'less'} is better")
    elif calibrated:
        lines.append("bias: distance of the mean from the median of the hosts")
    elif not goal and _metric_names(trials):
        lines.append("--best METRIC:max (or :min) marks the best row")
    return "".join(f"{line}\n" for line in lines)


def configuration_table(trials: Sequence[Trial], goal: tuple[str, bool] | None = None) -> Table:
    """Return a row for each configuration: how many trials succeeded, and the mean of each metric, ± its cv.

    The row with the best mean of the goal, a metric and whether more is better, has a star.
    """
    groups: dict[int, list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.request.configuration):
        groups.setdefault(trial.request.configuration, []).append(trial)
    metrics = _metric_names(trials)
    params = _varied([group[0] for group in groups.values()])
    table = new_table([*params, "ok", *metrics], left=len(params))
    means = {n: fmean(values) for n, group in groups.items() if goal and (values := _values(group, goal[0]))}
    best = (max if goal and goal[1] else min)(means, key=lambda n: means[n]) if len(means) > 1 else None
    for number_of, group in groups.items():
        ok = sum(trial.status.is_succeeded() for trial in group)
        given = [parameter(group[0].params.get(name)) for name in params]
        cells = [_mean_and_cv(_values(group, name)) for name in metrics]
        if goal and number_of == best:
            cells = [f"{cell} *" if name == goal[0] else cell for name, cell in zip(metrics, cells, strict=True)]
        style = "bold" if number_of == best else ""
        table.add_row(*(Text(cell, style) for cell in [*given, f"{ok}/{len(group)}", *cells]))
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


def outcome(trial: Trial, axes: Sequence[str]) -> str:
    """Return what distinguishes a trial of a sweep, in a line: its parameters, its status and its first metrics."""
    given = {**trial.request.globals, **trial.values}
    params = " ".join(f"{visible(name)}={parameter(given[name])}" for name in axes if name in given)
    metrics = [f"{visible(name)} {number(trial.metrics[name])}" for name in _metric_names([trial])[:MAX_METRICS]]
    measured = f": {', '.join(metrics)}" if trial.status.is_succeeded() and metrics else ""
    return f"{params + ' ' if params else ''}{trial.status.name} in {duration(trial.elapsed)}{measured}"


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
