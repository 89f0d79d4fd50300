"""`results` and `compare`: what the store is asked for, and how it is shown."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from typer.testing import CliRunner

from ansible_env.cli.app import app
from ansible_env.cli.results import since
from ansible_env.cli.tabular import parquet
from ansible_env.errors import ConfigError
from ansible_env.report.comparison import compare
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.results.status import Status
from ansible_env.results.trial import Trial
from ansible_env.storage.store import Store
from tests.made_up import BEGIN, add, begin


def trial(scores, *, kind=Kind.OK, **more):
    hosts = [HostResult(f"h{n}", kind, metrics={"score": s, **more}) for n, s in enumerate(scores, 1)]
    run = phase_result("run", hosts)
    return Trial("x", status=run.status, phases={"run": run})


@pytest.fixture
def ask(tmp_path, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    with Store(tmp_path / "store.sqlite") as store:

        def ask(*arguments, code=0):
            result = CliRunner().invoke(app, [*map(str, arguments), "--store", store.name])
            assert result.exit_code == code, result.output
            return result.stdout if code == 0 else result.stderr

        ask.store = store
        yield ask


@pytest.fixture
def filled(ask):
    """Ten trials: with mode=b the score is twice as high; `level` is noise. One more failed, one is running."""
    random = Random(1)
    for number in range(10):
        mode = "ab"[number % 2]
        score = (100 if mode == "a" else 200) + random.random()
        info = {"params": {"mode": mode, "rows": 10}, "started": BEGIN + timedelta(hours=number)}
        add(ask.store, "x", trial([score, score + 1], level=random.random()), **info)
    add(ask.store, "x", trial([7], kind=Kind.EXIT), params={"mode": "a", "rows": 10})
    begin(ask.store, "x", params={"mode": "b", "rows": 10})
    add(ask.store, "other", trial([50]))
    return ask


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
    assert table[0].split()[-2:] == ["level", "score"]


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
        add(ask.store, "x", trial([1]))
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
    assert lines[-1].startswith("no room for: ")


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


# compare


def test_a_difference_is_told_from_noise(filled):
    pytest.importorskip("scipy")
    rows = json.loads(filled("compare", "x:mode=a", "x:mode=b", "-o", "json"))["metrics"]
    score, level = sorted(rows, key=lambda row: row["metric"], reverse=True)
    assert (score["verdict"], score["paired"], score["a_count"]) == ("higher", False, 5)
    assert score["change"] == pytest.approx(1, abs=0.05)
    assert score["change_low"] <= score["change"] <= score["change_high"]
    assert score["p"] < 0.05
    assert (level["verdict"], level["p"] > 0.05) == ("noise", True)
    text = filled("compare", "x:mode=a", "x:mode=b")
    assert "score is higher in B: +9" in text
    assert "noise: level." in text
    assert "lower in B" in filled("compare", "2,4,6,8,10", "1,3,5,7,9", "-m", "score")


def test_two_trials_are_compared_host_by_host(ask):
    pytest.importorskip("scipy")
    hosts = [10 * n for n in range(1, 9)]  # hosts differ far more than the trials do
    add(ask.store, "x", trial(hosts))
    add(ask.store, "x", trial([value * 1.01 for value in hosts]))
    (row,) = json.loads(ask("compare", "1", "2", "-o", "json"))["metrics"]
    assert (row["paired"], row["verdict"], row["a_count"]) == (True, "higher", 8)


def test_unlike_hosts_are_told_of(ask):
    pytest.importorskip("scipy")
    alike = {"kernel": "Linux 6.1", "cpus": 8, "memory_kib": 16_000_000, "machine_id": "m", "load": 0.1}
    for changed in ({"load": 3.0, "memory_kib": 16_000_900}, {"kernel": "Linux 6.5", "machine_id": "n", "cpus": None}):
        facts = {key: value for key, value in (alike | changed).items() if value is not None}
        for score in range(4):
            add(ask.store, "x", trial([score, score]), fingerprints={"h1": alike, "h2": facts})
    arguments = ["--store", ask.store.name, "-o", "json"]
    quiet = CliRunner().invoke(app, ["compare", "1,2", "3,4", *arguments])
    assert (quiet.exit_code, quiet.stderr) == (0, "")
    told = CliRunner().invoke(app, ["compare", "1-4", "5-8", *arguments])
    assert json.loads(told.stdout)["metrics"]
    assert told.stderr.splitlines() == [
        "ansible-env: warning: the hosts are not alike: kernel is Linux 6.1 in A, Linux 6.1 (h1), Linux 6.5 (h2) in B",
        "ansible-env: warning: A and B were not run on the same machines: h1, h2 was replaced, or installed anew",
    ]


def test_few_values_prove_nothing(ask):
    pytest.importorskip("scipy")
    for score in (1, 2, 3, 100, 200, 300):
        add(ask.store, "x", trial([score]))
    assert "too few values: score. With 3 and 3" in ask("compare", "1-3", "4-6")
    assert "too few" in ask("compare", "1", "2")


@pytest.mark.slow
def test_noise_is_found_to_be_noise_most_of_the_time():
    """Of sets that differ by chance alone, alpha is how many may be taken for different, however many metrics."""
    pytest.importorskip("scipy")
    random = Random(7)
    wrong = 0
    for _ in range(60):
        a = {f"m{n}": [random.gauss(10, 1) for _ in range(8)] for n in range(6)}
        b = {f"m{n}": [random.gauss(10, 1) for _ in range(8)] for n in range(6)}
        wrong += any(found.verdict != "noise" for found in compare(a, b))
    assert wrong <= 8


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ([1.0] * 8, [1.0] * 8, "noise"),
        ([0.0] * 8, [1.0] * 8, "higher"),
        ([5.0] * 8, [4.0] * 8, "lower"),
        ([1e300] * 8, [2e300] * 8, "higher"),
    ],
)
def test_values_that_are_all_the_same(a, b, verdict, paired):
    pytest.importorskip("scipy")
    (found,) = compare({"m": a}, {"m": b}, paired=paired)
    assert found.verdict == verdict


def test_without_scipy_it_says_what_to_install(filled, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scipy.stats", None)
    assert "ansible-env[compare]" in filled("compare", "x", "x", code=2)


def test_a_trial_that_failed_is_not_counted(filled):
    pytest.importorskip("scipy")
    result = CliRunner().invoke(app, ["compare", "x:mode=a", "x:mode=b", "--store", filled.store.name])
    assert "1 trial did not succeed" in result.stderr
    assert Status.FAILED in {found.status for found in filled.store.trials("x", params={"mode": "a"})}
