"""`results`: trials out of the store, listed, filtered and sorted."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ansible_env.cli import context
from ansible_env.cli.query_options import ResultsOptions, RowOutput
from ansible_env.cli.replay import recover
from ansible_env.cli.rows import Row, write, write_rows
from ansible_env.cli.text import duration, number, visible
from ansible_env.config.text import nearest
from ansible_env.errors import ConfigError, Problem
from ansible_env.results.status import Status
from ansible_env.storage.database.frame import flat_rows
from ansible_env.storage.database.records import StoredTrial
from ansible_env.storage.store import Store

TABLE_LIMIT = 20
LONGEST_CELL = 32
_SPAN = re.compile(r"(\d+)([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def run_results(options: ResultsOptions) -> None:
    """Print what was asked for.

    Raises:
        ConfigError: there is no such experiment or column, or a condition is none.
        StoreError: the store cannot be read.
    """
    with Store(options.store) as store:
        recover(store)
        if options.experiments:
            rows = experiment_rows(store)
            name = "experiments"
        else:
            trials, more = _trials(store, options)
            rows = flat_rows(trials, store.hosts(trials) if options.hosts else None)
            name = "hosts" if options.hosts else "trials"
            if more:
                context.say_error(f"{len(trials)} of {more} trials are shown: --limit N for more, -o csv for all")
    if options.output is RowOutput.TABLE:
        write(table_text(_shown(rows, options)))
    else:
        write_rows(rows, options.output, name)


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
    found = store.trials(
        options.experiment,
        status=statuses,
        params=_conditions(options.where or []),
        since=since(options.since, datetime.now(UTC)) if options.since else None,
        best=options.best,
        limit=limit if options.best and not options.sort and not options.status else None,
    )
    if options.experiment and not found:
        check_experiment(store, options.experiment)
    found = with_status(found, options.status or [])
    if options.sort:
        found = _sorted(found, options.sort)
    wanted = limit or (TABLE_LIMIT if options.output is RowOutput.TABLE else None)
    if wanted is None or len(found) <= wanted:
        return found, 0
    # Without an order of their own, the newest are those that count.
    chosen = found[:wanted] if options.best or options.sort else found[-wanted:]
    return chosen, 0 if limit else len(found)


def with_status(trials: list[StoredTrial], names: Sequence[str]) -> list[StoredTrial]:
    """Return the trials that have one of these statuses, where any are named.

    Raises:
        ConfigError: there is no such status.
    """
    statuses, interrupted = parse_statuses(names)
    running = Status.RUNNING.name in {name.upper() for name in names}
    chosen = [t for t in trials if t.status is not Status.RUNNING or (interrupted if t.interrupted else running)]
    return [trial for trial in chosen if trial.status in statuses] if names else trials


def parse_statuses(names: Sequence[str]) -> tuple[list[Status], bool]:
    """Return statuses by their names, and whether INTERRUPTED is among them, which the store has as RUNNING."""
    found: list[Status] = []
    for name in names:
        status = Status.RUNNING if name.upper() == "INTERRUPTED" else Status.parse(name)
        if status is Status.UNKNOWN:
            known = [*(s.name for s in Status if s is not Status.UNKNOWN), "INTERRUPTED"]
            raise ConfigError(Problem(f"there is no status {name!r}", "--status", hint=f"one of {', '.join(known)}"))
        found.append(status)
    return found, "INTERRUPTED" in {name.upper() for name in names}


def _conditions(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(Problem(f"{text!r} is not NAME=VALUE", "--where"))
        found[name] = value
    return found


def since(text: str, now: datetime, option: str = "--since") -> datetime:
    """Return the time that a text stands for: a date, a date and time, or a span before now.

    Raises:
        ConfigError: it is none of those.
    """
    if span := _SPAN.fullmatch(text):
        return now - timedelta(seconds=int(span[1]) * _UNITS[span[2]])
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        hint = "2026-05-01, 2026-05-01T12:00, 36h or 7d"
        raise ConfigError(Problem(f"{text!r} is no time", option, hint=hint)) from None


def check_experiment(store: Store, name: str) -> None:
    """Refuse an experiment that is not there."""
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
    """Return the columns that tell something, as text."""
    if options.experiments:
        return [{name: _text(name, value) for name, value in row.items()} for row in rows]
    fixed = ["id", *([] if options.experiment else ["experiment"]), "trial", "status"]
    fixed += ["host", "kind"] if options.hosts else []
    names = rows[0] if rows else ()
    given = [name for name in names if name.startswith("param.") and len({str(row[name]) for row in rows}) > 1]
    measured = [name for name in names if name.startswith("metric.") and any(row[name] is not None for row in rows)]
    measured = [name for name in measured if "{" not in name]  # of one host: --hosts shows those
    if options.best:
        first = f"metric.{options.best.rpartition(':')[0]}"
        measured.sort(key=lambda name: name != first)
    columns = [*fixed, "started", "elapsed", *given, *measured]
    return [{name.partition(".")[2] or name: _text(name, row[name]) for name in columns} for row in rows]


def _text(column: str, value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M}"
    if column == "elapsed":
        return duration(value)
    if column in ("id", "trial"):
        return str(value)
    text = number(value)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def table_text(rows: Sequence[dict[str, str]]) -> str:
    """Return rows as a table that fits the terminal, if there is one; columns that do not fit are named below."""
    if not rows:
        return "no trials\n"
    # A file or a pipe has no edge; nothing is left out there.
    edge = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 10_000
    console = Console(file=sys.stdout, width=edge, highlight=False, markup=False, emoji=False)
    width = console.width
    columns, left_out = list(rows[0]), list[str]()
    while len(columns) > 1 and sum(max(cell_len(r[c]) for r in (*rows, {c: c})) + 3 for c in columns) - 3 > width:
        left_out.append(columns.pop())
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for name in columns:
        table.add_column(Text(visible(name)), justify="right" if _is_number(rows, name) else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(row[name], _style(name, row[name])) for name in columns))
    with console.capture() as capture:
        console.print(table)
    text = "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())
    return text + (f"no room for: {', '.join(map(visible, reversed(left_out)))}\n" if left_out else "")


def _is_number(rows: Sequence[dict[str, str]], name: str) -> bool:
    return all(re.match(r"-?[\d.,]+|-$|nan|-?inf", row[name]) and not re.match(r"\d{4}-", row[name]) for row in rows)


def _style(name: str, value: str) -> str:
    if name != "status":
        return ""
    return {"SUCCEEDED": "green", "TIMED_OUT": "yellow", "CANCELED": "yellow", "RUNNING": ""}.get(value, "red")
