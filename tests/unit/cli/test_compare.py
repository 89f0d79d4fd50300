"""`compare`: whether trials differ, and how that is shown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from ansible_env.cli.app import app
from ansible_env.results.status import Status
from tests.made_up import add, scored


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
    add(ask.store, "x", scored(hosts))
    add(ask.store, "x", scored([value * 1.01 for value in hosts]))
    (row,) = json.loads(ask("compare", "1", "2", "-o", "json"))["metrics"]
    assert (row["paired"], row["verdict"], row["a_count"]) == (True, "higher", 8)


def test_unlike_hosts_are_told_of(ask):
    pytest.importorskip("scipy")
    alike = {"kernel": "Linux 6.1", "cpus": 8, "memory_kib": 16_000_000, "machine_id": "m", "load": 0.1}
    for changed in ({"load": 3.0, "memory_kib": 16_000_900}, {"kernel": "Linux 6.5", "machine_id": "n", "cpus": None}):
        facts = {key: value for key, value in (alike | changed).items() if value is not None}
        for score in range(4):
            add(ask.store, "x", scored([score, score]), fingerprints={"h1": alike, "h2": facts})
    arguments = ["--store", ask.store.name, "-o", "json"]
    quiet = CliRunner().invoke(app, ["compare", "1,2", "3,4", *arguments])
    assert (quiet.exit_code, quiet.stderr) == (0, "")
    told = CliRunner().invoke(app, ["compare", "1-4", "5-8", *arguments])
    assert json.loads(told.stdout)["metrics"]
    assert told.stderr.splitlines() == [
        "ansible-env: warning: the hosts differ: kernel is Linux 6.1 in A, Linux 6.1 (h1), Linux 6.5 (h2) in B",
        "ansible-env: warning: A and B were not run on the same machines: h1, h2 was replaced or reinstalled",
    ]


def test_few_values_prove_nothing(ask):
    pytest.importorskip("scipy")
    for score in (1, 2, 3, 100, 200, 300):
        add(ask.store, "x", scored([score]))
    assert "too few values: score. With 3 and 3" in ask("compare", "1-3", "4-6")
    assert "too few" in ask("compare", "1", "2")


@pytest.mark.slow
def test_without_scipy_it_says_what_to_install(filled, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "scipy.stats", None)
    assert "pip install 'scipy>=1.14'" in filled("compare", "x", "x", code=2)


def test_a_trial_that_failed_is_not_counted(filled):
    pytest.importorskip("scipy")
    result = CliRunner().invoke(app, ["compare", "x:mode=a", "x:mode=b", "--store", filled.store.name])
    assert "1 trial did not succeed" in result.stderr
    assert Status.FAILED in {found.status for found in filled.store.trials("x", params={"mode": "a"})}


def test_disturbed_trials_are_told_of_and_left_out(ask):
    pytest.importorskip("scipy")
    for disturbed in ("", "steal_percent is 19 (> 10)", "", ""):
        trial = scored([1, 2])
        run = trial.phases["run"]
        hosts = {name: replace(host, disturbed=disturbed) for name, host in run.hosts.items()}
        add(ask.store, "x", replace(trial, phases={"run": replace(run, hosts=hosts)}))
    assert [host.disturbed for host in ask.store.hosts(ask.store.trials("x"))].count("steal_percent is 19 (> 10)") == 2
    arguments = ["--store", ask.store.name, "-o", "json"]
    told = CliRunner().invoke(app, ["compare", "1,2", "3,4", *arguments])
    assert json.loads(told.stdout)["metrics"][0]["a_count"] == 2
    assert told.stderr == "ansible-env: 1,2: 1 trial of 2 was disturbed; --undisturbed leaves them out\n"
    left = CliRunner().invoke(app, ["compare", "1,2,3", "4", "--undisturbed", *arguments])
    assert json.loads(left.stdout)["metrics"][0]["a_count"] == 2
    assert left.stderr == "ansible-env: 1,2,3: 1 trial of 3 was disturbed: not counted\n"
    assert "each of these trials was disturbed" in ask("compare", "2", "3", "--undisturbed", code=2)
