"""Rows of data on stdout, in the form that was asked for."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ansible_env.cli.output import stop_printing
from ansible_env.cli.query_options import RowOutput
from ansible_env.cli.text import visible
from ansible_env.errors import ConfigError, Problem
from ansible_env.storage.bundle.files import to_json
from ansible_env.storage.database.frame import optional

Row = Mapping[str, Any]


def write_rows(rows: Sequence[Row], output: RowOutput, name: str) -> None:
    """Write rows that all have the same columns; in JSON they are under a name.

    Raises:
        ConfigError: a terminal is no place for Parquet, or its library is not installed.
    """
    if output is RowOutput.PARQUET:
        _write_bytes(parquet(rows))
    elif output is RowOutput.CSV:
        write(csv_text(rows, shown=sys.stdout.isatty()))
    elif output is RowOutput.JSON:
        write(to_json({name: [nested(row) for row in rows]}, indent=2) + "\n")
    else:
        write("".join(to_json(nested(row)) + "\n" for row in rows))


def write(text: str) -> None:
    """Write to stdout, whose reader may have gone."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        stop_printing()


def nested(row: Row) -> dict[str, Any]:
    """Return a row in which parameters and metrics are mappings of their own, and times are text."""
    found: dict[str, Any] = {}
    for column, value in row.items():
        kind, dot, name = column.partition(".")
        value = value.isoformat() if isinstance(value, datetime) else value
        if not dot:
            found[column] = value
        elif value is not None:
            found.setdefault(f"{kind}s", {})[name] = value
    return found


def csv_text(rows: Sequence[Row], *, shown: bool = False) -> str:
    """Return rows as CSV; `shown` makes them fit for a terminal."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerow([visible(name) if shown else name for name in rows[0]])
    for row in rows:
        cells = [_cell(value) for value in row.values()]
        writer.writerow([visible(cell) for cell in cells] if shown else cells)
    return text.getvalue()


def parquet(rows: Sequence[Row]) -> bytes:
    """Return rows as a Parquet file. A column whose values are of several types is one of text.

    Raises:
        ConfigError: pyarrow is not installed.
    """
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


def _write_bytes(data: bytes) -> None:
    if sys.stdout.isatty():
        raise ConfigError(Problem("a terminal cannot show Parquet", "--output", hint="-o parquet > FILE"))
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        stop_printing()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple | dict):
        return to_json(value)
    return repr(value) if isinstance(value, float) else str(value)
