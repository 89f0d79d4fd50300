"""`assert` in the environment file and on the command line: baselines, exit codes, forms of output."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from typer.testing import CliRunner

from ansible_env.cli import ansible_call
from ansible_env.cli.app import app
from ansible_env.cli.budgets import with_files, with_requirements
from ansible_env.config.model import EnvironmentConfig
from ansible_env.errors import ConfigError
from ansible_env.storage.store import Store
from ansible_env.testing import FakeEngine


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Calls `ansible-env`; the scores of its trials, one after the other, are in a list."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANSIBLE_ENV_ARTIFACTS", str(tmp_path / "kept"))

    def call(*arguments, scores=(100,), code=0, **more):
        left = list(scores)

        def of(phase, host, task):
            if phase != "run":
                return {}
            score = left.pop(0) if len(left) > 1 else left[0]
            return {"rc": 3} if score is None else {"metrics": {"score": score, "p99_ms": 7, "note": "x"}}

        monkeypatch.setattr(ansible_call, "make_engine", lambda *_: FakeEngine(["h"], of))
        (tmp_path / "env.yml").write_text(yaml.safe_dump({"name": "x", "run": ["a"], **more}))
        result = CliRunner().invoke(app, [arguments[0], "env.yml", *map(str, arguments[1:])])
        assert result.exit_code == code, result.output
        return result

    return call


def test_of_the_environment_file(call):
    result = call("trial", "-q", **{"assert": {"score": [">= 90", "< 101"], "p99_ms": "<= 1 s"}})
    assert [line.split()[0] for line in result.stdout.splitlines()[-3:]] == ["holds"] * 3
    result = call("trial", "-q", code=3, **{"assert": {"score": ">= 200", "p99_ms": "<= 12 ms"}})
    assert "FAILED  score >= 200: 100, limit 200: 50 % below" in result.stdout
    assert "holds  p99_ms" in result.stdout


def test_of_the_command_line(call):
    call("trial", "-q", "--assert", "score >= 100", "--assert", "p99_ms<=7")
    call("run", "-q", "--assert", "score > 100", code=3)
    call("run", "-q", "--assert", "nothing > 100", code=3)
    call("run", "-q", "--assert", "note == 1", code=3)


def test_in_json(call):
    result = call("trial", "-q", "-o", "json", "--assert", "score < 1", code=3)
    (found,) = json.loads(result.stdout)["assertions"]
    assert (found["metric"], found["passed"], found["value"], found["limit"]) == ("score", False, 100, 1)
    assert "assertions" not in json.loads(call("trial", "-q", "-o", "json").stdout)


def test_several_trials_are_judged_by_their_median(call):
    call("trial", "-q", "--trials", 3, "--assert", "score >= 100", scores=(1, 100, 105))
    call("trial", "-q", "--trials", 3, "--assert", "score >= 100", scores=(99, 99, 999), code=3)


def test_a_failure_goes_before_an_assertion(call):
    call("trial", "-q", "--trials", 2, "--assert", "score >= 1000", scores=(None, 5), code=1)
    assert "limit" not in call("trial", "-q", "--assert", "score >= 1000", scores=(None,), code=1).stdout


def test_the_store_knows_what_was_asserted(call):
    call("trial", "-q", "--trials", 2, "--assert", "score > 100", code=3)
    with Store() as store:
        found = store.assertions(store.trials("x"))
    assert [(item.trial, item.metric, item.passed, item.value) for item in found] == [(2, "score", False, 100)]


def test_junit_says_which_assertion_failed_and_by_how_much(call):
    call("trial", "-q", "--assert", "score > 200", "--assert", "score > 1", code=3)
    text = CliRunner().invoke(app, ["report", "x", "--format", "junit"]).stdout
    cases = {case.get("name"): case.find("failure") for case in ElementTree.fromstring(text).iter("testcase")}
    assert "limit 200: 50 % below" in cases["score > 200"].get("message")
    assert cases["score > 1"] is None


def test_the_junit_file_of_a_call_has_the_assertions(call, tmp_path):
    path = tmp_path / "junit.xml"
    call("trial", "-q", "--junit", path, "--trials", 2, "--assert", "score > 200", "--assert", "score > 1", code=3)
    suites = list(ElementTree.parse(path).getroot())
    names = [[case.get("name") for case in suite.iter("testcase")] for suite in suites]
    assert "score > 200" not in names[0]
    failed = {case.get("name"): case.find("failure") is not None for case in suites[1].iter("testcase")}
    assert failed["score > 200"]
    assert not failed["score > 1"]


@pytest.mark.slow
def test_baselines(call, tmp_path):
    better = ["--assert", "score >= 1.5 * baseline"]
    first = call("trial", "-q", "-o", "json", scores=(50,)).stdout
    bundle = json.loads(first)["trials"][0]["artifacts"]
    (tmp_path / "first.json").write_text(first)
    (tmp_path / "lines.jsonl").write_text('{"metrics": {"score": 40}}\n{"metrics": {"score": 60}}\n')
    (tmp_path / "plain.json").write_text('{"score": 50, "other": "x"}')
    for baseline in ("first.json", "lines.jsonl", "plain.json", bundle, "1"):
        call("trial", "-q", "--no-store", *better, "--baseline", baseline)
        call("trial", "-q", "--no-store", *better, "--baseline", baseline, scores=(74,), code=3)
    call("trial", "-q", "--no-store", *better, "--baseline", "x")  # an experiment
    call("trial", "-q", **{"assert": {"score": ">= 1.5 * baseline"}, "baseline": "plain.json"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--assert", "score >= baseline"], "there is no baseline"),
        (["--assert", "score"], "is not METRIC and a comparison"),
        (["--assert", "score >= fast"], "is not a limit"),
        (["--assert", "score >= baseline", "--baseline", "nowhere"], "has no trials 'nowhere'"),
        (["--assert", "score >= baseline", "--baseline", "env.yml"], "cannot be used as a baseline"),
        (["--assert", "scor >= baseline", "--baseline", "base.json"], "did you mean 'score'?"),
    ],
)
def test_what_is_wrong_is_said_before_a_host_is_touched(call, tmp_path, arguments, words):
    (tmp_path / "base.json").write_text('{"score": 1}')
    result = call("trial", *arguments, code=2)
    assert words in result.stderr
    assert not (tmp_path / "kept" / "x").exists()


def test_a_file_that_is_wrong_names_the_line(call):
    result = call("validate", code=2, **{"assert": {"score": [">= 1", "fast"], "b": 3, "": ">= 1"}})
    assert "assert.score: 'fast' does not begin with one of >= <=" in result.stderr
    assert "assert.b: must be a comparison" in result.stderr
    assert call("validate", code=2, asert={"score": ">= 1"}).stderr.count("did you mean 'assert'?") == 1


def test_requirements_of_the_command_line_replace_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "env.yml"
    path.write_text("name: b\nrun: [echo]\nrequire: {governor: powersave, swap_kib: 0, commands: [fio]}\n")
    config = EnvironmentConfig.load(path)
    rules = ["governor=performance", " load_1m<0.5", "no_turbo == 1", "commands=jq, fio"]
    assert with_requirements(config, rules).require.to_plain() == {
        "governor": "performance", "swap_kib": 0, "load_1m": "< 0.5", "no_turbo": "== 1",
        "commands": ["fio", "jq"],
    }  # fmt: skip
    assert with_requirements(config, []) is config


def test_collect_adds_files() -> None:
    config = EnvironmentConfig.from_mapping({"name": "x", "run": "true", "collect": ["a"]})
    assert with_files(config, ["b*", "a"]).collect == ("a", "b*")
    with pytest.raises(ConfigError, match=r"--collect: '\.\./x' contains"):
        with_files(config, ["../x"])
