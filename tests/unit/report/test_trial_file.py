"""Files for other programs that are rewritten after each trial: for Prometheus, and JUnit XML."""

import sys
from importlib import import_module
from xml.etree import ElementTree as ET

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from ansible_env.cli import ansible_call
from ansible_env.cli.app import app
from ansible_env.testing import FakeEngine

CONFIG = {"name": "observed", "run": ["measure"], "results_stdout_pattern": r"^(\w+)=(\S+)$", "valid": {"worst": "any"}}


def answer(phase, host, task):
    if host == "bad":
        return {"kind": "exit", "rc": 3, "msg": "exit status 3"}
    return {"metrics": {"score": 42, "note": "fine", "worst": float("nan")}}


@pytest.fixture
def call(tmp_path, monkeypatch):
    (tmp_path / "env.yml").write_text(yaml.safe_dump(CONFIG))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANSIBLE_ENV_ARTIFACTS", str(tmp_path / "kept"))
    monkeypatch.setattr(ansible_call, "make_engine", lambda *_: FakeEngine(["good", "bad"], answer))
    return lambda *arguments: CliRunner().invoke(app, ["trial", "env.yml", *map(str, arguments)])


def test_the_textfile_is_what_prometheus_reads(call, tmp_path):
    path = tmp_path / "bench.prom"
    assert call("--prometheus", path, "--trials", 2).exit_code == 1
    samples = {
        (s.name, s.labels.get("host", ""), s.labels.get("metric", "")): s.value
        for family in text_string_to_metric_families(path.read_text())
        for s in family.samples
    }
    assert samples["ansible_env_trial", "", ""] == 2
    assert samples["ansible_env_trial_success", "", ""] == 0
    assert samples["ansible_env_host_success", "good", ""] == 1
    assert samples["ansible_env_host_success", "bad", ""] == 0
    assert samples["ansible_env_metric", "good", "score"] == 42
    assert not [key for key in samples if key[2] in ("note", "worst")]
    assert [p.name for p in tmp_path.glob("bench.prom*")] == ["bench.prom"]


def test_junit_has_the_trials_so_far(call, tmp_path):
    path = tmp_path / "results.xml"
    assert call("--junit", path, "--trials", 2).exit_code == 1
    root = ET.parse(path).getroot()
    assert [suite.get("name") for suite in root] == ["observed trial 1", "observed trial 2"]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("4", "2", "0")
    assert {case.get("name") for case in root.iter("testcase")} == {"good", "bad"}
    refused = call("--junit", "nowhere/x.xml")
    assert (refused.exit_code, "no such directory" in refused.stderr) == (2, True)


@pytest.mark.parametrize(("path", "said"), [("x.txt", "must end with .prom"), ("nowhere/x.prom", "no such directory")])
def test_a_textfile_that_cannot_be_is_refused(call, path, said):
    result = call("--prometheus", path)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_missing_package_is_named(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "ansible_env.report.prometheus", None)
    with pytest.raises(ImportError):
        import_module("ansible_env.report.prometheus")
    refused = call("--prometheus", "x.prom")
    assert refused.exit_code == 2
    assert "pip install 'prometheus-client>=0.21'" in refused.stderr
