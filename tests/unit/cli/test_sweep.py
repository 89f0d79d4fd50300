"""`ansible-env sweep` with an engine that runs nothing."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from ansible_env.cli import ansible_call
from ansible_env.cli.app import app
from ansible_env.cli.sweep import parse_axis, parse_hosts_per_trial
from ansible_env.errors import ConfigError, ParameterError
from ansible_env.storage.store import Store
from ansible_env.testing import FakeEngine
from ansible_env.trials import pool

ENVIRONMENT = {
    "name": "bench",
    "run": ["measure"],
    "teardown": ["clean"],
    "const_args": {"rows": 10},
    "tunables": {
        "g": {
            "cost": 1,
            "params": {
                "cache": {"type": "int", "range": [1, 100], "default": 7},
                "sync": {"type": "categorical", "values": ["OFF", "FULL"], "default": "FULL"},
            },
        }
    },
    "shell_env_params": ["rows", "cache", "sync", "trial_id"],
}


def answer(phase: str, host: str, task: Any) -> dict[str, Any]:
    if phase != "run":
        return {}
    env = task["env"]
    bias = {"a": 0, "b": 10}[host]
    return {"metrics": {"score": int(env["cache"]) * (2 if env["sync"] == "OFF" else 1) + int(env["rows"]) + bias}}


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    def call(*arguments: str, answer: Any = answer) -> Any:
        call.engine = FakeEngine("ab", answer)
        monkeypatch.setattr(ansible_call, "make_engine", lambda *_: call.engine)
        return CliRunner().invoke(app, ["sweep", str(tmp_path / "env.yml"), *arguments])

    monkeypatch.setattr(pool, "REST", 0.01)
    monkeypatch.setenv("ANSIBLE_ENV_ARTIFACTS", str(tmp_path / "kept"))
    monkeypatch.setenv("ANSIBLE_ENV_STORE", str(tmp_path / "store.sqlite"))
    (tmp_path / "env.yml").write_text(yaml.safe_dump(ENVIRONMENT))
    return call


def test_the_stored_playbooks_are_those_that_were_run(sweep, tmp_path):
    setup = [{"script": "start", "exports": {"port": r"^port=(\d+)$"}}]
    (tmp_path / "env.yml").write_text(yaml.safe_dump(ENVIRONMENT | {"setup": setup}))
    seen = {}

    def exporting(phase: str, host: str, task: Any) -> dict[str, Any]:
        number = task.get("env", {}).get("trial_id")
        if phase == "run":
            seen[number] = task["env"]["port"]
        return {"exports": {"port": f"47{number}"}} if phase == "setup" else answer(phase, host, task)

    assert sweep("--grid", "cache=1,2", answer=exporting).exit_code == 0
    assert seen == {"1": "471", "2": "472"}
    executed = [job.playbook for job in sweep.engine.jobs if "Fingerprint" not in job.playbook]
    stored = [
        path.read_text()
        for phase in ("setup", "run", "teardown")
        for path in (tmp_path / "kept" / "bench").glob(f"*/trial-*/{phase}.yml")
    ]
    assert len(stored) == 6
    assert sorted(stored) == sorted(executed)


def trials(done: Any) -> list[dict[str, Any]]:
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_point_of_the_grid_and_each_repetition_once(sweep, tmp_path):
    done = sweep("--grid", "cache=1,2,4", "--grid", "sync=OFF,FULL", "--repeat", "2", "-o", "jsonl", "-p", "rows=0")
    found = trials(done)
    points = [(t["params"]["cache"], t["params"]["sync"], t["repeat"]) for t in found]
    assert sorted(points) == sorted((c, s, r) for c in (1, 2, 4) for s in ("FULL", "OFF") for r in (1, 2))
    for trial in found:
        bias = {"a": 0, "b": 10}[trial["ran_on"][0]]
        assert trial["metrics"]["score"] == trial["params"]["cache"] * (1 + (trial["params"]["sync"] == "OFF")) + bias
    assert "12 trials on 2 hosts, seed " in done.stderr
    assert "[12 of 12] trial " in done.stderr
    kept = next((tmp_path / "kept" / "bench").iterdir())
    assert len(list(kept.glob("trial-*/result.json"))) == 12
    assert (kept / "call.json").is_file()
    with Store(tmp_path / "store.sqlite") as store:
        assert len(store.trials("bench")) == 12


def test_a_table_has_a_line_for_each_configuration(sweep):
    done = sweep("--grid", "cache=1,2", "--repeat", "2", "--seed", "3")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["cache", "ok", "score"]
    # Repetitions are on different hosts, whose values differ by 10: (11 + 21) / 2, ± the coefficient of variation.
    assert lines[2:4] == [["1", "2/2", "16", "±44.2%"], ["2", "2/2", "17", "±41.6%", "*"]]
    assert [line[0] for line in lines[4:]] == ["±", "*"], "the signs are explained"
    assert re.search(r"trial \d on [ab]: cache=2 SUCCEEDED in \S+ s: score (12|22)$", done.stderr, re.M)


def test_the_best_row_is_the_one_of_the_objective(sweep):
    lines = sweep("--grid", "rows=1000,2000", "--best", "score:min").stdout.splitlines()
    assert [line.split()[0] for line in lines if line.endswith("*")] == ["1000"]
    assert lines[-1] == "* best mean of score, less is better"
    refused = sweep("--grid", "rows=1,2", "--best", "score")
    assert refused.exit_code == 2
    assert "METRIC:max" in refused.stderr


def test_the_order_is_that_of_the_seed(sweep):
    def order(*arguments: str) -> list[int]:
        grid = "cache=" + ",".join(map(str, range(1, 9)))
        found = trials(sweep("--grid", grid, "-o", "jsonl", *arguments))
        return [t["configuration"] for t in sorted(found, key=lambda t: t["trial"])]

    assert order("--seed", "1") == order("--seed", "1") != order("--seed", "2")


def test_constants_are_an_axis_too(sweep):
    assert {t["params"]["rows"] for t in trials(sweep("--grid", "rows=1,2", "-o", "jsonl"))} == {1, 2}


def test_calibrate_compares_the_hosts(sweep):
    done = sweep("--calibrate", "--repeat", "2", "-p", "cache=13", "-p", "rows=2")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["host", "ok", "score", "bias"]
    assert lines[2:4] == [["a", "2/2", "15", "±0.0%", "-25.0%"], ["b", "2/2", "25", "±0.0%", "+25.0%"]]
    assert [line[0] for line in lines[4:]] == ["±", "bias:"]


def test_a_lost_attempt_is_kept_beside_the_one_that_counts(sweep, tmp_path):
    failed: list[str] = []

    def flaky(phase: str, host: str, task: Any) -> dict[str, Any]:
        if phase == "run" and host == "b":
            failed.append(task["env"]["trial_id"])
            return {"kind": "unreachable", "rc": None}
        return answer(phase, host, task)

    def call() -> Any:
        return sweep("--grid", "cache=1,2,3,4,5,6", "-o", "jsonl", answer=flaky)

    found = trials(call())
    assert sorted(t["params"]["cache"] for t in found) == list(range(1, 7))
    assert {t["attempts"] for t in found if str(t["trial"]) in failed} == {2}
    kept = next((tmp_path / "kept" / "bench").iterdir())
    assert {path.parent.name for path in kept.glob("trial-*-attempt-2/result.json")} == {
        f"trial-{number}-attempt-2" for number in failed
    }


def test_a_failed_trial_is_told_of_and_is_the_exit_code(sweep):
    done = sweep("--grid", "cache=1,2", answer=lambda phase, host, task: {"rc": 1} if phase == "run" else {})
    assert done.exit_code == 1
    assert "0/1" in done.stdout
    assert "exit status 1" in done.stderr or "exit" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--grid", "cache"], "must be name=value,value"),
        (["--grid", "cache=1,,2"], "must be name=value,value"),
        (["--grid", "cache=1,1"], "a value is given twice"),
        (["--grid", "cache=1", "--grid", "cache=2"], "a parameter is given twice"),
        (["--grid", "cache=1,1000"], "--grid cache: '1000' is not a whole number from 1 to 100"),
        (["--grid", "cahce=1"], "did you mean 'cache'"),
        (["--hosts-per-trial", "3"], "each trial needs 3 hosts, and there are 2"),
        (["--calibrate", "--grid", "cache=1"], "without --grid"),
    ],
)
def test_what_is_refused(sweep, arguments, words):
    done = sweep(*arguments)
    assert done.exit_code == 2
    assert words in done.stderr


def test_axes():
    assert parse_axis('x=["a,b", off]') == ("x", ["a,b", "off"])
    with pytest.raises(ParameterError):
        parse_axis("x=[")


def test_each_trial_is_held_against_the_budgets(sweep, tmp_path):
    (tmp_path / "env.yml").write_text(yaml.safe_dump({**ENVIRONMENT, "assert": {"score": ">= 20"}}))
    arguments = ("--grid", "cache=1,50", "-p", "rows=0", "--assert", "score < 100")
    done = sweep(*arguments, "--junit", str(tmp_path / "sweep.xml"))
    assert done.exit_code == 3
    bad = next(line for line in done.stderr.splitlines() if "score >= 20" in line).partition("trial ")[2][0]
    assert "1 of 2 trials kept 2 budgets\n" in done.stdout
    assert re.search(rf"^FAILED  trial {bad}  score >= 20: 11?, limit 20: (95|45) % below$", done.stdout, re.M)
    suites = ET.parse(tmp_path / "sweep.xml").getroot().findall("testsuite")
    failed = {
        suite.get("name"): [case.get("name") for case in suite if case.find("failure") is not None] for suite in suites
    }
    assert failed == {f"bench trial {n}": ["score >= 20"] if str(n) == bad else [] for n in (1, 2)}
    assert all(suite.get("tests") == "3" for suite in suites)  # the host, and both budgets
    with Store(tmp_path / "store.sqlite") as store:
        found = store.trials("bench")
        kept = {(found[0].id == a.trial, a.metric, a.comparison): a.passed for a in store.assertions(found)}
    assert sorted(kept.values()) == [False, True, True, True]
    text = sweep(*arguments, "-o", "json")
    assert text.exit_code == 3
    judged = [[a["passed"] for a in trial["assertions"]] for trial in json.loads(text.stdout)["trials"]]
    assert sorted(judged) == [[False, True], [True, True]]


def test_a_trial_that_failed_is_not_judged(sweep):
    done = sweep("--grid", "cache=1,2", "--assert", "score > 0", answer=lambda phase, *_: {"rc": int(phase == "run")})
    assert done.exit_code == 1
    assert "budget" not in done.output


def test_a_baseline_that_is_not_there_is_told_before_any_host_is_touched(sweep):
    done = sweep("--grid", "cache=1,2", "--assert", "score >= baseline")
    assert done.exit_code == 2
    assert "there is no baseline" in done.stderr


def test_each_host_is_asked_once_what_it_is(sweep, tmp_path):
    asked: list[str] = []

    def telling(phase: str, host: str, task: Any) -> dict[str, Any]:
        if phase in ("run", "teardown"):
            return answer(phase, host, task)
        asked.append(host)
        return {"stdout": f"ansible_env.kernel=Linux {host}\n"}

    trials(sweep("--grid", "cache=1,2,3,4,5,6", "-o", "jsonl", answer=telling))
    assert sorted(asked) == ["a", "b"]
    with Store(tmp_path / "store.sqlite") as store:
        facts = store.fingerprints(store.trials("bench"))
        ran_on = {host.trial: host.host for host in store.hosts(store.trials("bench"))}
    assert facts == {trial: {host: {"kernel": f"Linux {host}"}} for trial, host in ran_on.items()}
    kept = next((tmp_path / "kept" / "bench").iterdir())
    assert len(list(kept.glob("trial-*/fingerprints.json"))) == 6


def test_a_host_that_does_not_tell_what_it_is_does_no_harm(sweep):
    def silent(phase: str, host: str, task: Any) -> dict[str, Any]:
        return answer(phase, host, task) if phase in ("run", "teardown") else {"kind": "unreachable", "rc": None}

    assert len(trials(sweep("--grid", "cache=1,2,3,4", "-o", "jsonl", answer=silent))) == 4


def test_hosts_per_trial():
    assert parse_hosts_per_trial("2") == 2
    assert parse_hosts_per_trial("db=1, load=2") == {"db": 1, "load": 2}
    assert parse_hosts_per_trial("db[0:1]=1") == {"db[0:1]": 1}
    for text in ("", "0", "x", "db=", "db=0", "1,2", "1,db=1", "db=1,db=2", "=1"):
        with pytest.raises(ConfigError, match="pattern=number"):
            parse_hosts_per_trial(text)
