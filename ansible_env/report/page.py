"""A report as one HTML page, without scripts or external resources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ansible_env.common import __version__
from ansible_env.report import charts
from ansible_env.report.charts import Chart
from ansible_env.report.data import MAX_FOR_HOSTS, ReportData, as_number
from ansible_env.report.formatting import duration, number, parameter, plural, some, visible
from ansible_env.storage.database.records import StoredHost, StoredTrial

MAX_BEST = 10
MAX_FAILURES = 50
MAX_ROWS = 500
MAX_COLUMNS = 8
_KINDS = {"SUCCEEDED": "good", "TIMED_OUT": "warn", "CANCELED": "warn", "RUNNING": ""}


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table."""

    text: str
    kind: str = ""
    """Classes of the page's style."""
    more: str = ""
    """Text below, shown unformatted."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table. A folded one shows only its title until it is opened."""

    head: Sequence[tuple[str, str]]
    """Title and class of each column."""
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page."""

    id: str
    title: str
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    note: str = ""


def html(data: ReportData) -> str:
    """Return the page of a report."""
    environment = Environment(
        loader=PackageLoader("ansible_env.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_shown,
    )
    return environment.get_template("page.html.j2").render(
        version=__version__,
        title=data.experiment,
        subtitle=_subtitle(data),
        tiles=list(_tiles(data)),
        sections=[section for section in _sections(data) if section.charts or section.tables],
    )


def _shown(value: object) -> object:
    """Return a value without control characters; escaped text has none already."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return "\n".join(map(visible, value.split("\n")))
    return value


def _sections(data: ReportData) -> Iterator[Section]:
    if data.goal is not None:
        best = data.goal.best(data.trials)[:MAX_BEST]
        yield Section("best", "Best trials", tables=[_trials(data, best)] if best else [], note=str(data.goal))
    yield Section("trials", "Metrics by trial", list(charts.by_trial(data)))
    yield Section("parameters", "Metrics by parameter", list(charts.by_param(data)))
    yield Section("parallel", "Parallel coordinates", list(charts.parallel(data)))
    note = f"of the newest {MAX_FOR_HOSTS:,} trials" if len(data.trials) > MAX_FOR_HOSTS else ""
    yield Section("hosts", "Metrics by host", list(charts.by_host(data)), note=note)
    of = f"trial {data.name_of(data.telemetry[0])}" if data.telemetry else ""
    yield Section("telemetry", "Telemetry over a run", list(charts.telemetry(data)), note=of)
    failed = [host for host in data.hosts if not host.status.is_succeeded()]
    tables = [_failures(data, failed)] if failed else []
    yield Section("failures", "Failures", list(charts.failures(data)), tables, note)
    shown = data.trials[: -MAX_ROWS - 1 : -1]
    title = plural(len(shown), "trial")
    title += f" of {len(data.trials):,}, the newest" if len(shown) < len(data.trials) else ""
    yield Section("all", "All trials", tables=[_trials(data, shown, title)])


def _subtitle(data: ReportData) -> str:
    first, last = data.trials[0], data.trials[-1]
    names = some(dict.fromkeys(trial.environment for trial in data.trials), 3)
    versions = some((f"{name} {version}" for name, version in last.versions.items()), 6)
    return f"{names} · {_moment(first.started)} to {_moment(last.finished or last.started)} · {versions}".rstrip(" ·")


def _tiles(data: ReportData) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the value and the class of each number at the top of the page."""
    states = [trial.state for trial in data.trials]
    yield "trials", f"{len(states):,}", ""
    for state in dict.fromkeys(["SUCCEEDED", "FAILED", *states]):
        if state in states:
            yield state.lower().replace("_", " "), f"{states.count(state):,}", _KINDS.get(state, "bad")
    if hosts := {host.host for host in data.hosts}:
        yield "hosts", str(len(hosts)), ""
    if data.goal and (best := data.goal.best(data.trials)):
        yield f"best {data.goal.metric}", number(best[0].metrics[data.goal.metric]), ""
    spent = [trial.elapsed for trial in data.trials if trial.elapsed is not None]
    if spent:
        yield "median time", duration(sorted(spent)[len(spent) // 2]), ""


def _trials(data: ReportData, trials: Iterable[StoredTrial], title: str = "") -> Table:
    metrics, params = data.metrics()[:MAX_COLUMNS], data.params()[:MAX_COLUMNS]
    head = [(_title(data), "number"), ("status", ""), *((name, "number") for name in [*metrics, *params])]
    head += [("time", "number"), ("begun", "")]
    rows = [
        [
            Cell(data.name_of(trial), "number"),
            Cell(trial.state, _KINDS.get(trial.state, "bad")),
            *(_value(trial.metrics.get(name)) for name in metrics),
            *(_value(trial.params.get(name), parameter) for name in params),
            Cell(duration(trial.elapsed), "number"),
            Cell(_moment(trial.started), "moment"),
        ]
        for trial in trials
    ]
    return Table(head, rows, title, folded=bool(title))


def _failures(data: ReportData, failed: Sequence[StoredHost]) -> Table:
    numbers = {trial.id: data.name_of(trial) for trial in data.trials}
    head = [(_title(data), "number"), ("host", ""), ("phase", ""), ("kind", ""), ("what happened", "")]
    rows = [
        [
            Cell(numbers.get(host.trial, ""), "number"),
            Cell(host.host),
            Cell(host.phase),
            Cell(host.kind, _KINDS.get(host.status.name, "bad")),
            Cell(host.message, "words", "\n".join(host.last_words.splitlines()[-5:])),
        ]
        for host in reversed(failed[-MAX_FAILURES:])
    ]
    return Table(head, rows, f"the last {len(rows)} of {len(failed)}", folded=len(failed) > 10)


def _title(data: ReportData) -> str:
    return "id" if data.numbers_repeat else "trial"


def _value(value: object, words: Callable[[object], str] = number) -> Cell:
    return Cell(words(value), "number" if as_number(value) is not None or value is None else "")


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
