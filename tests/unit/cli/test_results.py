"""`results`: what the store is asked for, and how it is shown."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from ansible_env.cli.app import app
from ansible_env.cli.results import since
from ansible_env.errors import ConfigError
from tests.made_up import add, scored


def test_a_table_shows_what_differs(filled):
    lines = filled("results", "x").splitlines()
    assert lines[0].split() == ["id", "trial", "status", "started", "elapsed", "mode", "level", "score"]
    assert len(lines) == 14
    assert lines[-1].split()[:3] == ["12", "12", "RUNNING"]
    assert lines[-2].split()[2] == "FAILED"


def test_the_best_first(filled):
    rows = json.loads(filled("results", "x", "--best", "score:max", "-n", 3, "-o", "json"))["trials"]
    assert [row["params"]["mode"] for row in rows] == ["b", "b", "b"]
    scores = [row["metrics"]["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    table = filled("results", "x", "--best", "level:min", "-n", 1).splitlines()
    assert table[0].split()[:2] == ["id", "level"]
    assert table[0].split()[-1] == "score"


def test_the_metric_of_best_is_shown_however_narrow_the_terminal_is(filled, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    assert filled("results", "--best", "level:min", "-n", 1).splitlines()[0].split()[:2] == ["id", "level"]


def test_filters_and_order(filled):
    def ids(*arguments):
        return [json.loads(line)["id"] for line in filled("results", "-o", "jsonl", *arguments).splitlines()]

    assert ids("x", "-w", "mode=a", "-w", "rows=10") == [1, 3, 5, 7, 9, 11]
    assert ids("--status", "failed") == [11]
    assert ids("--status", "running") == [12]
    assert ids("--status", "interrupted") == []
    assert ids("x", "--since", "2026-01-01T09:00Z", "--status", "succeeded") == [10]
    assert ids("x", "--sort", "-score", "-n", 1) == ids("x", "--best", "score:max", "-n", 1)
    assert ids("x", "--sort", "mode", "-n", 6) == [1, 3, 5, 7, 9, 11]
    assert ids("-n", 2) == [12, 13]


def test_a_table_of_many_says_so(ask):
    for _ in range(25):
        add(ask.store, "x", scored([1]))
    result = CliRunner().invoke(app, ["results", "--store", ask.store.name])
    assert "20 of 25 trials" in result.stderr
    assert len(result.stdout.splitlines()) == 22
    assert result.stdout.splitlines()[2].split()[0] == "6"


def test_rows_for_hosts(filled):
    rows = list(csv.DictReader(io.StringIO(filled("results", "x", "--hosts", "-o", "csv"))))
    assert len(rows) == 21
    assert (rows[0]["host"], rows[1]["host"], rows[0]["param.mode"]) == ("h1", "h2", "a")
    assert float(rows[1]["metric.score"]) == float(rows[0]["metric.score"]) + 1


def test_experiments(filled):
    rows = json.loads(filled("results", "--experiments", "-o", "json"))["experiments"]
    assert {row["experiment"]: (row["trials"], row["succeeded"]) for row in rows} == {"x": (12, 10), "other": (1, 1)}
    assert "other" in filled("results", "--experiments")


def test_a_narrow_terminal_names_what_has_no_room(filled, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    lines = filled("results", "x").splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[-1].startswith("no space for: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["results", "z"], "has no experiment 'z' (known: other, x)"),
        (["results", "othr"], "did you mean 'other'?"),
        (["results", "--best", "score"], "METRIC:max"),
        (["results", "--status", "good"], "no status 'good'"),
        (["results", "--since", "soon"], "'soon' is not a time"),
        (["results", "-w", "mode"], "not NAME=VALUE"),
        (["results", "--sort", "scor"], "did you mean 'score'?"),
        (["compare", "x", "nope"], "no trials 'nope'"),
        (["compare", "x", "99"], "no such trial"),
        (["compare", "x:mode=z", "x"], "no trial in the store"),
        (["compare", "11", "x"], "none of these trials has succeeded"),
        (["compare", "x", "other", "-m", "sore"], "did you mean 'score'?"),
        (["compare", "1-9999999", "x"], "too many"),
    ],
)
def test_what_cannot_be_answered_is_one_line(filled, arguments, words):
    error = filled(*arguments, code=2)
    assert words in error.splitlines()[-1]


def test_spans_and_dates():
    now = datetime(2026, 5, 3, tzinfo=UTC)
    assert since("36h", now) == now - timedelta(hours=36)
    assert since("2w", now) == now - timedelta(days=14)
    assert since("2026-05-01T12:00+00:00", now) == datetime(2026, 5, 1, 12, tzinfo=UTC)
    with pytest.raises(ConfigError):
        since("7", now)


def test_a_null_is_not_a_missing_metric(ask):
    add(ask.store, "x", scored([1], nothing=None))
    add(ask.store, "x", scored([2]))
    for form in ("json", "jsonl"):
        text = ask("results", "x", "-o", form)
        rows = json.loads(text)["trials"] if form == "json" else [json.loads(line) for line in text.splitlines()]
        assert [row["metrics"] for row in rows] == [{"score": 1, "nothing": None}, {"score": 2}]
    hosts = json.loads(ask("results", "x", "--hosts", "-o", "json"))["hosts"]
    assert [row["metrics"] for row in hosts] == [{"score": 1, "nothing": None}, {"score": 2}]
