"""Data on stdout: rows and trials as tables, CSV, JSON, JSON Lines or Parquet. Everything else goes to stderr."""

from __future__ import annotations

import csv
import enum
import io
import json
import os
import re
import sys
from bisect import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from rich import box
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from ansible_env.cli.console import write
from ansible_env.errors import ConfigError, Problem
from ansible_env.report.formatting import visible
from ansible_env.storage.bundle.files import to_json
from ansible_env.storage.database.frame import optional

Row = Mapping[str, Any]

WITHOUT_EDGE = 10_000
"""Columns of a file or a pipe, where nothing is folded or left out."""
_FORMULA = re.compile(r"\s*[=@+\-\uff1d\uff20\uff0b\uff0d]")
"""The beginning of what a spreadsheet computes; it ignores blanks, and takes the wide characters for the others."""
_UNLIMITED = Console(width=WITHOUT_EDGE)
_STATUS_STYLES = {"SUCCEEDED": "green", "READY": "green", "TIMED_OUT": "yellow", "CANCELED": "yellow", "RUNNING": ""}


class RowOutput(enum.StrEnum):
    """Forms of rows on stdout."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def write_rows(rows: Sequence[Row], output: RowOutput, name: str) -> None:
    """Write rows in any form but a table; in JSON they are under a name. In CSV and Parquet all have the same columns.

    Raise ConfigError if stdout is a terminal, which cannot show Parquet, or pyarrow is not installed.
    """
    if output is RowOutput.PARQUET:
        data = parquet(rows)
        if sys.stdout.isatty():
            raise ConfigError(Problem("a terminal cannot show Parquet", "--output", hint="-o parquet > FILE"))
        write(data)
    elif output is RowOutput.CSV:
        write(csv_text(rows, shown=sys.stdout.isatty()))
    elif output is RowOutput.JSON:
        write(to_json({name: [nested(row) for row in rows]}, indent=2) + "\n")
    else:
        write("".join(to_json(nested(row)) + "\n" for row in rows))


def nested(row: Row) -> dict[str, Any]:
    """Return a row in which parameters and metrics are mappings of their own, and times are text."""
    result: dict[str, Any] = {}
    for column, value in row.items():
        kind, dot, name = column.partition(".")
        value = value.isoformat() if isinstance(value, datetime) else value
        if not dot:
            result[column] = value
        else:
            result.setdefault(f"{kind}s", {})[name] = value
    return result


def csv_text(rows: Sequence[Row], columns: Sequence[str] | None = None, *, shown: bool = False) -> str:
    """Return rows as CSV, which a spreadsheet may open; with `shown`, each cell is one line, for a terminal.

    Characters that act on a terminal or hide text are replaced. Text that a spreadsheet would take for a formula gets
    an apostrophe in front, as OWASP advises (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    columns = columns if columns is not None else list(rows[0]) if rows else []
    lines = [[*columns]] if columns else []
    lines += [[row[name] for name in columns] for row in rows]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(value, shown) for value in line] for line in lines)
    return text.getvalue()


def parquet(rows: Sequence[Row]) -> bytes:
    """Return rows as a Parquet file; a column of several types is text. Raise ConfigError if pyarrow is missing."""
    arrow = optional("pyarrow", "parquet")
    files = optional("pyarrow.parquet", "parquet")
    columns = {name: _column([row[name] for row in rows]) for name in (rows[0] if rows else ())}
    sink = io.BytesIO()
    files.write_table(arrow.table(columns), sink)
    return sink.getvalue()


def _column(values: list[Any]) -> list[Any]:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and len(kinds) == 2:
        return [None if value is None else float(value) for value in values]
    big = kinds == {int} and any(value is not None and abs(value) >= 2**63 for value in values)
    if len(kinds) > 1 or big or kinds & {list, dict}:
        return [None if value is None else value if isinstance(value, str) else json.dumps(value) for value in values]
    return values


def _cell(value: Any, shown: bool) -> str:
    if isinstance(value, str):
        text = visible(value) if shown else "\n".join(map(visible, value.split("\n")))
        return f"'{text}" if _FORMULA.match(text) and not _is_numeral(text) else text
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple | dict):
        return to_json(value)
    return repr(value) if isinstance(value, float) else str(value)


def _is_numeral(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# Tables


def new_table(titles: Iterable[str], *, left: int = 1) -> Table:
    """Return an empty table whose first columns are text, flush left, and the others numbers, flush right."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    for index, title in enumerate(titles):
        result.add_column(Text(visible(title)), justify="left" if index < left else "right", overflow="fold")
    return result


def fits(content: Table, width: int) -> bool:
    """Whether a table needs at most this width, without folding a cell."""
    return Measurement.get(_UNLIMITED, _UNLIMITED.options, content).maximum <= width


def most_that_fit(count: int, table: Callable[[int], Table], width: int) -> int:
    """Return the largest number of columns, at least 1, with which a table fits into a width."""
    return max(1, bisect(range(min(count, width) + 1), False, lo=1, key=lambda n: not fits(table(n), width)) - 1)


def console_for(stream: TextIO) -> Console:
    """Return a console that knows the size of a stream and reads nothing as markup."""
    width = None if stream.isatty() or "COLUMNS" in os.environ else WITHOUT_EDGE
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def text_of(console: Console, *parts: RenderableType) -> str:
    """Return tables and lines as text, with the colors that a console can show."""
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def status_style(status: str) -> str:
    """Return the style in which a status is shown."""
    return _STATUS_STYLES.get(status, "red")


def rows_as_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return rows of text as a table that fits the terminal, if there is one; the columns that do not fit are named."""
    if not rows:
        return "no trials\n"
    console = console_for(sys.stdout)
    columns = list(rows[0])
    count = most_that_fit(len(columns), lambda count: _table_of(rows, columns[:count]), console.width)
    left_out = columns[count:]
    missing = f"no space for: {', '.join(map(visible, left_out))}\n" if left_out else ""
    return text_of(console, _table_of(rows, columns[:count])) + missing


def _table_of(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> Table:
    shown = new_table(columns)
    for column, name in zip(shown.columns, columns, strict=True):
        column.justify, column.no_wrap = "right" if _are_numbers(rows, name) else "left", True
    for row in rows:
        shown.add_row(*(Text(row[name], status_style(row[name]) if name == "status" else "") for name in columns))
    return shown


def _are_numbers(rows: Sequence[Mapping[str, str]], name: str) -> bool:
    return all(re.match(r"-?[\d.,]+|-$|nan|-?inf", row[name]) and not re.match(r"\d{4}-", row[name]) for row in rows)
