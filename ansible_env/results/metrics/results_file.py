"""Metrics in a file that a script, or the tool in it, writes on the host: JSON, or CSV if its name ends so."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_env.results.metrics.json_output import JsonMetrics, MetricsParseError, Value, last_object
from ansible_env.results.metrics.parse import limited, parse_value

MOST_BYTES = 8 * 2**20
"""Largest file that metrics are read from."""
PAIRS = ["metric", "value"]
"""The header of a table with one metric in a row."""


@dataclass(frozen=True, slots=True)
class ResultsFile:
    """A file with metrics, as it came from a host."""

    name: str
    """Its name, which decides how it is read."""
    data: bytes | None
    """Its content; None if there is none."""
    problem: str
    """Why there is none."""
    document: JsonMetrics
    """Which values are metrics."""

    def metrics(self) -> dict[str, Value]:
        """Return the metrics in the file.

        Raises:
            MetricsParseError: there is no file, it cannot be read, or a value that is selected is not one value.
        """
        try:
            if self.data is None:
                raise MetricsParseError(self.problem)
            text = self.data.decode("utf-8-sig", "replace")
            return limited(
                self.document.findings_in(_table(text) if self.name.lower().endswith(".csv") else _json(text))
            )
        except MetricsParseError as error:
            raise MetricsParseError(f"results_file {self.name}: {error}") from error


def file_document(scalars: bool, paths: Mapping[str, str] | None) -> JsonMetrics:
    """Return which values of a file are metrics: those of the paths, or all if there are none or `results_json` is set.

    Raises:
        MetricsPatternError: a path is empty.
    """
    return JsonMetrics.of(scalars or not paths, paths) or JsonMetrics()


def _json(text: str) -> Any:
    try:
        data = json.loads(text)
        if isinstance(data, dict | list):
            return data
    except (ValueError, RecursionError):
        pass
    try:
        return last_object(text)  # after other text, or the last one of several
    except MetricsParseError:
        raise MetricsParseError(f"it is no JSON: {text.strip()[:80]!r}" if text.strip() else "it is empty") from None


def _table(text: str) -> Any:
    """Return metrics and values, or the rows of a table, each with the names of its header."""
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text)) if any(map(str.strip, row))]
    except csv.Error as error:
        raise MetricsParseError(f"it is no CSV: {error}") from error
    if not rows:
        raise MetricsParseError("it is empty")
    header, *values = rows
    if any(len(row) != len(header) for row in values):
        raise MetricsParseError(f"it is no CSV: not each row has {len(header)} values, as the first one does")
    if len(header) == 2 and ([name.lower() for name in header] == PAIRS or _is_number(header[1])):
        pairs = rows if _is_number(header[1]) else values
        return {metric: parse_value(value) for metric, value in pairs}
    return [dict(zip(header, map(parse_value, row), strict=True)) for row in values]


def _is_number(text: str) -> bool:
    return not isinstance(parse_value(text), str)
