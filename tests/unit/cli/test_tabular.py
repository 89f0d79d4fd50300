"""Rows in the forms of `--output`."""

from __future__ import annotations

import io

import pytest
from typer.testing import CliRunner

from ansible_env.cli.app import app
from ansible_env.cli.tabular import parquet


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
