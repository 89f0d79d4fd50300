"""Rows in the forms of `--output`."""

from __future__ import annotations

import csv
import io
import time
from datetime import UTC, datetime

import pytest
from rich.markup import render
from rich.text import Text
from typer.testing import CliRunner

from ansible_env.cli.app import app
from ansible_env.cli.options import argument, option
from ansible_env.cli.tabular import csv_text, fits, most_that_fit, new_table, parquet, rows_as_table


def test_parquet(filled):
    pandas = pytest.importorskip("pandas")
    result = CliRunner().invoke(app, ["results", "x", "-o", "parquet", "--store", filled.store.name])
    frame = pandas.read_parquet(io.BytesIO(result.stdout_bytes))
    assert frame["metric.score"].max() > 200
    assert str(frame["started"].dtype).endswith("UTC]")


def test_parquet_of_values_of_several_types():
    files = pytest.importorskip("pyarrow.parquet")
    rows = [{"a": 1, "b": 1, "c": 2**70, "d": None}, {"a": 2.5, "b": "x", "c": 1, "d": [1]}]
    table = files.read_table(io.BytesIO(parquet(rows))).to_pydict()
    assert table == {"a": [1.0, 2.5], "b": ["1", "x"], "c": [str(2**70), "1"], "d": [None, "[1]"]}


FORMULAS = [
    "=1+2",
    "@SUM(A1)",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\uff1d1",
    "\x1b[0m=1",
    "-",
]


@pytest.mark.parametrize("shown", [False, True])
@pytest.mark.parametrize("text", FORMULAS)
def test_a_spreadsheet_computes_nothing(text, shown):
    rows = [{"host": text, text: "x"}]
    for cell in [cell for line in csv.reader(io.StringIO(csv_text(rows, shown=shown))) for cell in line]:
        assert cell in ("host", "x") or cell[0] in "'\N{SYMBOL FOR CARRIAGE RETURN}\N{SYMBOL FOR LINE FEED}", cell


def test_numbers_and_times_are_what_they_were_in_csv():
    values = [-5, -2.5, "-5", "+1e3", "-inf", datetime(2026, 5, 1, tzinfo=UTC), True, None, "a-b", "1=2"]
    row = {f"c{index}": value for index, value in enumerate(values)}
    _, cells = csv.reader(io.StringIO(csv_text([row])))
    assert cells == ["-5", "-2.5", "-5", "+1e3", "-inf", "2026-05-01T00:00:00+00:00", "true", "", "a-b", "1=2"]


def test_csv_hides_nothing():
    row = {"na\u202eme": "a\u2066b\x1b[31mc\nd\x07", "\x1b]0;title\x07n": 1}
    assert [*csv.reader(io.StringIO(csv_text([row])))] == [["na\ufffdme", "n"], ["a\ufffdbc\nd\u2407", "1"]]


@pytest.mark.parametrize("width", [1, 20, 79, 80, 81, 10_000])
def test_as_many_columns_as_fit(width):
    made = []

    def table(count):
        made.append(count)
        result = new_table(["x" * (index % 5 + 1) for index in range(count)])
        result.add_row(*(Text("y" * (index % 3 + 1)) for index in range(count)))
        return result

    count = most_that_fit(60, table, width)
    assert len(made) < 10
    assert count == max([1, *(n for n in range(1, 61) if fits(table(n), width))])


def test_thousands_of_columns_take_seconds(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    begun = time.monotonic()
    text = rows_as_table([{"id": "1", **{f"metric{index}": "1.5" for index in range(9_999)}}])
    assert time.monotonic() - begun < 20  # it was minutes
    assert "no space for: " in text
    assert "metric9998\n" in text


def test_help_loses_no_brackets():
    text = "Needs ansible-env[prometheus], [default]"
    for field in (option("--file FILE", text), argument("FILE", text)):
        assert render(field.metadata["typer"].help).plain == text
