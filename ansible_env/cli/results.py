"""`results`: lists, filters and sorts trials of the store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_env.cli import console
from ansible_env.cli.options import STORE, Common, argument, option
from ansible_env.cli.tabular import Row, RowOutput, rows_as_table, write_rows
from ansible_env.config.text import nearest
from ansible_env.errors import ConfigError, Problem
from ansible_env.report.formatting import duration, number, parameter
from ansible_env.results.status import Status
from ansible_env.storage.database.frame import flat_rows, own_rows
from ansible_env.storage.database.records import StoredTrial
from ansible_env.storage.store import Store
from ansible_env.storage.store_writer import recover

TABLE_LIMIT = 20
LONGEST_CELL = 32
WHICH, FORM = "Which trials", "Output"
"""Panels of `--help`."""
_SPAN = re.compile(r"(\d+)([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@dataclass(kw_only=True)
class StoreOptions(Common):
    """Options of commands that print rows from the store."""

    store: str | None = option("--store URL", STORE)
    output: RowOutput = option("-o, --output", "Form of the rows on stdout.", FORM, default=RowOutput.TABLE)


@dataclass(kw_only=True)
class ResultsOptions(StoreOptions):
    """Options of `results`."""

    experiment: str | None = argument("[EXPERIMENT]", "Only trials of this experiment. Default: of all.", None)
    best: str | None = option("--best METRIC:max|min", "Trials that succeeded, the best first.", WHICH)
    where: list[str] | None = option("-w, --where NAME=VALUE", "With this parameter. Repeatable.", WHICH)
    status: list[str] | None = option("--status STATUS", "With this status, or INTERRUPTED. Repeatable.", WHICH)
    since: str | None = option("--since TIME", "Started since then: 2026-05-01, or 36h, 7d.", WHICH)
    sort: str | None = option("--sort [-]COLUMN", "By a metric, parameter or column; - reverses.", WHICH)
    limit: int | None = option("-n, --limit N", "At most N; a table shows 20 by default.", WHICH, min=1)
    hosts: bool = option("--hosts", "A row for each host of each trial.", FORM, default=False)
    experiments: bool = option("--experiments", "The experiments, not the trials.", FORM, default=False)


def results(options: ResultsOptions) -> str:
    """List trials from the store, filtered and sorted, as a table or as data for other programs."""
    with Store(options.store) as store:
        recover(store, console.say_warning)
        if options.experiments:
            rows, name = experiment_rows(store), "experiments"
        else:
            trials, more = _trials(store, options)
            is_json = options.output in (RowOutput.JSON, RowOutput.JSONL)
            make_rows = own_rows if is_json else flat_rows  # a null there is no missing value
            rows, name = make_rows(trials, store.hosts(trials) if options.hosts else None), "trials"
            if more:
                console.say_error(f"{len(trials)} of {more} trials are shown: --limit N for more, -o csv for all")
    if options.output is RowOutput.TABLE:
        return rows_as_table(_shown(rows, options))
    write_rows(rows, options.output, "hosts" if options.hosts and not options.experiments else name)
    return ""


def experiment_rows(store: Store) -> list[dict[str, Any]]:
    """Return a row for each experiment."""
    return [
        {"experiment": e.name, "trials": e.trials, "succeeded": e.succeeded, "created": e.created, "last": e.last}
        for e in store.experiments()
    ]


def _trials(store: Store, options: ResultsOptions) -> tuple[list[StoredTrial], int]:
    """Return the trials, and how many there were before some were left out for a table."""
    statuses, _ = parse_statuses(options.status or [])
    limit = options.limit
    trials = store.trials(
        options.experiment,
        status=statuses,
        params=_conditions(options.where or []),
        since=since(options.since, datetime.now(UTC)) if options.since else None,
        best=options.best,
        limit=limit if options.best and not options.sort and not options.status else None,
    )
    if options.experiment and not trials:
        check_experiment(store, options.experiment)
    trials = with_status(trials, options.status or [])
    if options.sort:
        trials = _sorted(trials, options.sort)
    wanted = limit or (TABLE_LIMIT if options.output is RowOutput.TABLE else None)
    if wanted is None or len(trials) <= wanted:
        return trials, 0
    # Without an order of their own, the newest are those that count.
    chosen = trials[:wanted] if options.best or options.sort else trials[-wanted:]
    return chosen, 0 if limit else len(trials)


def with_status(trials: list[StoredTrial], names: Sequence[str]) -> list[StoredTrial]:
    """Return the trials that have one of these statuses, where any are named. Raise ConfigError for an unknown one."""
    statuses, interrupted = parse_statuses(names)
    running = Status.RUNNING.name in {name.upper() for name in names}
    chosen = [t for t in trials if t.status is not Status.RUNNING or (interrupted if t.interrupted else running)]
    return [trial for trial in chosen if trial.status in statuses] if names else trials


def parse_statuses(names: Sequence[str]) -> tuple[list[Status], bool]:
    """Return statuses by their names, and whether INTERRUPTED is among them, which the store has as RUNNING."""
    statuses: list[Status] = []
    for name in names:
        status = Status.RUNNING if name.upper() == "INTERRUPTED" else Status.parse(name)
        if status is Status.UNKNOWN:
            known = [*(s.name for s in Status if s is not Status.UNKNOWN), "INTERRUPTED"]
            raise ConfigError(Problem(f"there is no status {name!r}", "--status", hint=f"one of {', '.join(known)}"))
        statuses.append(status)
    return statuses, "INTERRUPTED" in {name.upper() for name in names}


def _conditions(texts: Sequence[str]) -> dict[str, str]:
    conditions = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(Problem(f"{text!r} is not NAME=VALUE", "--where"))
        conditions[name] = value
    return conditions


def since(text: str, now: datetime, option_name: str = "--since") -> datetime:
    """Read a date, a date and time, or a span of time before now. Raise ConfigError for anything else."""
    if span := _SPAN.fullmatch(text):
        return now - timedelta(seconds=int(span[1]) * _UNITS[span[2]])
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        hint = "2026-05-01, 2026-05-01T12:00, 36h or 7d"
        raise ConfigError(Problem(f"{text!r} is not a time", option_name, hint=hint)) from None


def check_experiment(store: Store, name: str) -> None:
    """Refuse an experiment that is not in the store."""
    known = [experiment.name for experiment in store.experiments()]
    if name not in known:
        hint = nearest(name, known) or (f"known: {', '.join(known[:8])}" if known else "the store is empty")
        raise ConfigError(Problem(f"the store {store.name} has no experiment {name!r}", hint=hint))


def _sorted(trials: list[StoredTrial], by: str) -> list[StoredTrial]:
    """Sort trials by a column; those that have no value there come last."""
    descending, name = by.startswith("-"), by.removeprefix("-")
    rows = flat_rows(trials)
    column = next((c for c in (name, f"metric.{name}", f"param.{name}") if rows and c in rows[0]), None)
    if rows and column is None:
        raise ConfigError(Problem(f"there is no column {name!r}", "--sort", hint=nearest(name, _plain(rows[0]))))
    keys = {trial.id: row[column] for trial, row in zip(trials, rows, strict=True) if column is not None}
    having = [trial for trial in trials if keys[trial.id] is not None]
    having.sort(key=lambda trial: _sort_key(keys[trial.id]), reverse=descending)
    return having + [trial for trial in trials if keys[trial.id] is None]


def _plain(row: Row) -> list[str]:
    return [column.partition(".")[2] or column for column in row]


def _sort_key(value: Any) -> tuple[int, Any]:
    """Numbers before texts, and NaN behind all numbers."""
    if isinstance(value, int | float):
        return (1, 0) if value != value else (0, value)
    return (2, value) if isinstance(value, datetime) else (3, str(value))


# As a table


def _shown(rows: Sequence[Row], options: ResultsOptions) -> list[dict[str, str]]:
    """Return the columns that differ or have values, as text."""
    if options.experiments:
        return [{name: _text(name, value) for name, value in row.items()} for row in rows]
    fixed = ["id", *([] if options.experiment else ["experiment"]), "trial", "status"]
    fixed += ["host", "kind"] if options.hosts else []
    names = rows[0] if rows else ()
    given = [name for name in names if name.startswith("param.") and len({str(row[name]) for row in rows}) > 1]
    measured = [name for name in names if name.startswith("metric.") and any(row[name] is not None for row in rows)]
    measured = [name for name in measured if "{" not in name]  # of one host: --hosts shows those
    columns = [*fixed, "started", "elapsed", *given, *measured]
    if options.best:  # what does not fit is left out from the right: the metric and the parameters come first
        first = f"metric.{options.best.rpartition(':')[0]}"
        columns = ["id", *(name for name in measured if name == first), *given, *fixed[1:], "started", "elapsed"]
        columns += [name for name in measured if name != first]
    return [{name.partition(".")[2] or name: _text(name, row[name]) for name in columns} for row in rows]


def _text(column: str, value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M}"
    if column == "elapsed":
        return duration(value)
    if column in ("id", "trial"):
        return str(value)
    text = parameter(value) if column.startswith("param.") else number(value)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"
