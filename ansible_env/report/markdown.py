"""A report as a short Markdown text, for a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from statistics import median

from ansible_env.report.data import ReportData, as_number
from ansible_env.report.formatting import number, parameter, plural, some, visible
from ansible_env.storage.database.records import StoredTrial

MAX_METRICS = 12
MAX_BEST = 5
MAX_FAILURES = 10
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>#|~@!])")


def markdown(data: ReportData) -> str:
    """Return the summary of an experiment."""
    return "\n".join(_lines(data)) + "\n"


def _lines(data: ReportData) -> Iterator[str]:
    states = [trial.state for trial in data.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    yield f"### {_plain(data.experiment)}"
    yield ""
    yield f"{plural(len(states), 'trial')}: {counts}."
    metrics = data.metrics()[:MAX_METRICS]
    if metrics and data.succeeded:
        yield ""
        yield from _metrics(data, metrics)
    if data.goal is not None and (best := data.goal.best(data.trials)[:MAX_BEST]):
        yield ""
        yield f"Best ({_plain(str(data.goal))}):"
        yield ""
        yield from _best(data, best)
    failed = [host for host in data.hosts if not host.status.is_succeeded()]
    if failed:
        numbers = {trial.id: data.name_of(trial) for trial in data.trials}
        yield ""
        kinds = ", ".join(f"`{kind}` {count} times" for kind, count in data.kinds().most_common())
        yield f"<details><summary>Failures</summary>\n\n{kinds}\n"
        for host in failed[: -MAX_FAILURES - 1 : -1]:
            message = _plain(" ".join(host.message.split()))
            yield f"- trial {numbers.get(host.trial, '')}, {_plain(host.host)}: `{host.kind}`: {message}"
        yield "\n</details>"


def _metrics(data: ReportData, names: Sequence[str]) -> Iterator[str]:
    yield "| metric | median | min | max | last |"
    yield "|---|--:|--:|--:|--:|"
    for name in names:
        values = [v for trial in data.succeeded if (v := as_number(trial.metrics.get(name))) is not None]
        if values:
            cells = map(number, (median(values), min(values), max(values), values[-1]))
            yield f"| {_plain(name)} | {' | '.join(cells)} |"


def _best(data: ReportData, best: Sequence[StoredTrial]) -> Iterator[str]:
    assert data.goal is not None  # noqa: S101 - for mypy
    params = data.params()
    title = "id" if data.numbers_repeat else "trial"
    yield f"| {title} | {_plain(data.goal.metric)} | {' | '.join(map(_plain, params)) or 'parameters'} |"
    yield f"|--:|--:|{'---|' * max(1, len(params))}"
    for trial in best:
        given = " | ".join(_plain(parameter(trial.params.get(name))) for name in params) or some([])
        yield f"| {data.name_of(trial)} | {number(trial.metrics[data.goal.metric])} | {given} |"


def _plain(text: str) -> str:
    """Return text in one line, with the special characters of Markdown escaped."""
    return _ACTIVE.sub(r"\\\1", visible(" ".join(text.split())))
