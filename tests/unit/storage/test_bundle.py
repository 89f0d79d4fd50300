"""The bundle of a trial: what is in it, that it can be read again, replayed, and sent to somebody."""

from __future__ import annotations

import json
import math
import os
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from ansible_env.cli.app import app
from ansible_env.config.model import EnvironmentConfig
from ansible_env.errors import ConfigError
from ansible_env.results.host_result import HostResult
from ansible_env.results.masking import Secrets
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.results.status import Status
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.storage.bundle.archive import export, opened
from ansible_env.storage.bundle.bundle import Bundle
from ansible_env.storage.bundle.directories import new_call
from ansible_env.storage.bundle.event_log import append_events
from ansible_env.storage.bundle.origin import Origin, git_state
from ansible_env.storage.bundle.reading import read_phases, read_result
from ansible_env.storage.journal import Journal
from ansible_env.storage.store import Store
from tests.made_up import BEGIN

PATTERN = r"^(\w+)=(\S+)$"
ENVIRONMENT = {"name": "x", "run": ["measure"], "results_stdout_pattern": PATTERN, "required_metrics": ["score"]}


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes the bundle of a trial from what its hosts printed."""
    monkeypatch.setenv("ANSIBLE_ENV_ARTIFACTS", str(tmp_path / "kept"))

    def make(outputs, kind=Kind.METRICS_MISSING, scripts=1, metrics=None, **more):
        metrics = metrics or {"score" if kind is Kind.OK else "partial": 1}
        config = EnvironmentConfig.from_mapping({**ENVIRONMENT, **more})
        directory = tmp_path / "trial-1"
        (directory / "logs" / "run").mkdir(parents=True)
        (directory / "results" / "run").mkdir(parents=True)
        made = Trial("x", TrialRequest(1), params={"a": 1}, directory=directory)
        bundle = Bundle.create(Origin.of(config), made)
        task = "  - ansible_env.bench.phase:\n      script: measure\n"
        (directory / "run.yml").write_text(f"- hosts: all\n  tasks:\n{task * scripts}")
        hosts = []
        for host, output in outputs.items():
            if output is not None:
                (directory / "logs" / "run" / f"{host}.stdout").write_bytes(output)
            hosts.append(HostResult(host, kind, "said", 0, metrics, started=BEGIN, left_running=(3,)))
        phases = {"run": phase_result("run", hosts)}
        data = {
            "status": phases["run"].status.name,
            "started": BEGIN.isoformat(),
            "finished": BEGIN.isoformat(),
            "trial": 1,
            "params": {"a": 1},
            "phases": {name: phase.to_dict() for name, phase in phases.items()},
        }
        bundle.write_result(data)
        return bundle

    return make


def replay(bundle, *arguments):
    result = CliRunner().invoke(app, ["replay", str(bundle.directory), "-o", "json", *arguments])
    assert result.stdout, result.output
    return result.exit_code, json.loads(result.stdout)["trials"][0]


def test_a_corrected_pattern_finds_the_metrics(make):
    bundle = make({"h1": b"score: 7\n", "h2": b"score: 9\nname: x\n"})
    code, trial = replay(bundle, "--pattern", r"^(\w+): (\S+)$")
    assert (code, trial["status"], trial["metrics"]) == (0, "SUCCEEDED", {"score": 8.0, "name": "x"})
    assert trial["hosts"]["h1"]["metrics"] == {"score": 7}
    code, trial = replay(bundle)  # with its own, it is as it was
    assert (code, trial["status"], trial["hosts"]["h1"]["message"]) == (1, "FAILED", "not in the output: score")


def test_a_pattern_that_is_worse_fails_the_trial(make):
    code, trial = replay(make({"h1": b"score=7\n"}, Kind.OK), "--pattern", r"^(nothing)=(\S+)$")
    assert (code, trial["hosts"]["h1"]["kind"]) == (1, "metrics_missing")


def test_the_rules_of_another_file(make, tmp_path):
    other = {"name": "y", "run": ["x"], "results_json": True, "aggregate": {"score": "max"}}
    (tmp_path / "other.yml").write_text(yaml.safe_dump(other))
    bundle = make({"h1": b'{"score": 1}\n', "h2": b'{"score": 4}\n'})
    code, trial = replay(bundle, "--environment", str(tmp_path / "other.yml"))
    assert (code, trial["metrics"]) == (0, {"score": 4})


def test_a_script_that_failed_stays_one_that_failed(make):
    code, trial = replay(make({"h1": b"score=7\n"}, Kind.EXIT))
    host = trial["hosts"]["h1"]
    assert (code, host["kind"], host["metrics"], host["metrics_partial"]) == (1, "exit", {"score": 7}, True)


def test_a_host_that_printed_nothing_that_was_kept_is_as_it_was(make):
    code, trial = replay(make({"h1": None}, Kind.UNREACHABLE))
    assert (code, trial["hosts"]["h1"]["kind"], trial["hosts"]["h1"]["message"]) == (4, "unreachable", "said")


def scripts(bundle, host, *sizes):
    for number, size in enumerate(sizes):
        log = str(bundle.logs / "run" / f"{host}.stdout")
        data = {"stdout_log": log, "stdout_bytes": size, "started": f"2026-01-01T00:00:0{number}"}
        (bundle.directory / "results" / "run" / f"{host}{number}.json").write_text(json.dumps(data))


def test_only_the_last_attempt_counts(make):
    bundle = make({"h1": b"old=1\nscore=1\nscore=2\n"}, Kind.OK)
    scripts(bundle, "h1", len("score=2\n"))
    assert replay(bundle)[1]["metrics"] == {"score": 2}


def test_each_script_is_read_by_itself(make):
    bundle = make({"h1": b'score=1\nno newline{"json": 2}\n'}, Kind.OK, scripts=2, results_json=True)
    scripts(bundle, "h1", len("score=1\nno newline"), len('{"json": 2}\n'))
    assert replay(bundle)[1]["metrics"] == {"score": 1, "json": 2}


def test_scripts_that_were_never_run_make_no_success(make):
    bundle = make({"h1": b"score=1\n"}, scripts=2)
    scripts(bundle, "h1", 8)
    code, trial = replay(bundle)
    assert (code, trial["hosts"]["h1"]["message"]) == (1, "only 1 of 2 scripts ran")


def test_a_host_of_which_nothing_was_expected_owes_nothing(make):
    bundle = make({"h1": b"hello\n"}, Kind.OK, metrics={"other": 1})
    assert replay(bundle)[1]["hosts"]["h1"]["kind"] == "ok"


def test_save_keeps_the_first_result_and_updates_the_store(make):
    bundle = make({"h1": b"score: 7\n"})
    for _ in range(2):
        assert replay(bundle, "--pattern", r"^(\w+): (\S+)$", "--save")[0] == 0
    assert read_result(bundle.directory / "result.first.json")["status"] == "FAILED"
    assert read_result(bundle.directory / "result.json")["status"] == "SUCCEEDED"
    with Store() as store:
        (found,) = store.trials("x")
    assert (found.uid, found.status, found.metrics, found.params) == (
        bundle.uid,
        Status.SUCCEEDED,
        {"score": 7},
        {"a": 1},
    )
    assert replay(bundle)[1]["metrics"] == {"score": 7}  # the new pattern is its own now


def test_what_was_written_is_read_again(make):
    bundle = make({"h1": b""})
    hosts = [
        HostResult(
            "h",
            Kind.OK,
            "m",
            0,
            {"a": math.nan, "b": -math.inf, "c": "x"},
            left_running=(1, 2),
            leftovers=("8 sleep",),
            disturbance={"steal_percent": 13.0},
            disturbed="steal_percent is 13 (> 10)",
            resources={"cpu_user_s": 1.0},
            telemetry=((BEGIN, "cpu", 0.5),),
        )
    ]
    before = phase_result("run", hosts)
    data = {"status": "SUCCEEDED", "started": BEGIN.isoformat(), "phases": {"run": before.to_dict()}}
    bundle.write_result(data)
    path = bundle.directory / "result.json"
    after = read_phases(read_result(path), path)["run"]
    assert repr(after) == repr(before)
    assert replace(after.hosts["h"], metrics={}) == replace(hosts[0], metrics={})  # NaN differs from itself


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"phases": 1}', '{"phases": {"run": 1}, "started": "x"}'])
def test_a_result_that_is_none_is_one_clear_error(make, text):
    bundle = make({"h1": b""})
    (bundle.directory / "result.json").write_text(text)
    result = CliRunner().invoke(app, ["replay", str(bundle.directory)])
    assert result.exit_code == 2
    assert "the result cannot be read" in result.stderr


def test_what_cannot_be_replayed(make, tmp_path):
    def error(*arguments):
        result = CliRunner().invoke(app, ["replay", *map(str, arguments)])
        assert result.exit_code == 2
        return result.stderr

    assert "no bundle of a trial" in error(tmp_path)
    bundle = make({"h1": b""})
    assert "not a regular expression" in error(bundle.directory, "--pattern", "(")
    (tmp_path / "x.tar.gz").write_bytes(b"x")
    assert "is not an exported bundle" in error(tmp_path / "x.tar.gz")
    assert "is not changed" in error(tmp_path / "x.tar.gz", "--save")
    (bundle.directory / "result.json").unlink()
    assert "not finished" in error(bundle.directory)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1, "uid": 1}'])
def test_a_manifest_that_is_none_is_one_clear_error(tmp_path, text):
    (tmp_path / "bundle.json").write_text(text)
    with pytest.raises(ConfigError, match="the bundle cannot be read"):
        Bundle.open(tmp_path)


# export


def test_an_exported_bundle_can_be_replayed_and_has_no_owner_in_it(make, tmp_path):
    bundle = make({"h1": b"score=7\n"}, Kind.OK)
    (bundle.directory / "state.json").write_text("{}")
    (bundle.directory / "link").symlink_to("/etc/passwd")
    file = export(bundle, tmp_path / "sent.tar.gz")
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as archive:
        members = archive.getmembers()
    names = {Path(member.name).name for member in members}
    assert {"bundle.json", "result.json", "environment.yml", "run.yml", "h1.stdout"} <= names
    assert names.isdisjoint({"state.json", "link"})
    assert {(member.uid, member.uname) for member in members} == {(0, "")}
    with opened(file) as found:
        assert found.manifest == bundle.manifest
        assert replay(found)[1]["metrics"] == {"score": 7}
    assert not found.directory.exists()
    with pytest.raises(ConfigError, match="exists already"):
        export(bundle, file)


def test_a_file_that_leads_out_of_its_directory_is_refused(tmp_path):
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        archive.add(__file__, "../../evil")
    with pytest.raises(ConfigError, match="not an exported bundle"), opened(tmp_path / "bad.tar"):
        pass


# What is written down


def test_the_environment_file_is_kept_as_it_is(tmp_path):
    text = "# why\nname: x\nrun: [a]\nsecret_params: {token: {env: TOKEN}}\n"
    (tmp_path / "e.yaml").write_text(text)
    origin = Origin.of(EnvironmentConfig.load(tmp_path / "e.yaml"))
    assert (origin.file, origin.text) == ("environment.yaml", text)


@pytest.mark.parametrize("mlos", [False, True])
def test_but_for_the_secrets_in_it(tmp_path, mlos):
    data = {"name": "x", "run": ["a"], "const_args": {"token": "hunter2", "b": 1}, "secret_params": ["token"]}
    if mlos:
        config = {key: data[key] for key in ("run", "const_args", "secret_params")}
        data = {"class": "mlos_bench.environments.remote.RemoteEnv", "name": "x", "config": config}
    (tmp_path / "e.yml").write_text(yaml.safe_dump(data))
    origin = Origin.of(EnvironmentConfig.load(tmp_path / "e.yml"))
    assert "hunter2" not in origin.text
    found = yaml.safe_load(origin.text)
    assert (found["config"] if mlos else found)["const_args"] == {"token": "********", "b": 1}
    assert "masked" in origin.text


def test_an_environment_without_a_file_is_written_down_too():
    mapping = {"name": "x", "run": ["a"], "const_args": {"token": "hunter2"}, "secret_params": ["token"]}
    origin = Origin.of(EnvironmentConfig.from_mapping(mapping))
    assert yaml.safe_load(origin.text)["run"] == ["a"]
    assert "hunter2" not in origin.text


def test_the_state_of_git(tmp_path):
    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@x", *arguments],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    file = tmp_path / "sub" / "e.yml"
    file.parent.mkdir()
    file.write_text("name: x")
    assert git_state(file) is None or git_state(file)["path"] != "sub/e.yml"
    git("init", "-b", "trunk")
    git("remote", "add", "origin", "https://me:token@example.org/x.git")
    git("add", "-A")
    git("commit", "-m", "x")
    state = git_state(file)
    assert (state["branch"], state["path"], state["changed"]) == ("trunk", "sub/e.yml", [])
    assert state["remote"] == "https://example.org/x.git"
    assert len(state["commit"]) == 40
    file.write_text("name: y")
    assert git_state(file)["changed"] == [" M sub/e.yml"]


@pytest.mark.parametrize("name", ["result.json", "bundle.json"])
def test_json_that_is_too_deep(tmp_path, name):
    (tmp_path / name).write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_result(tmp_path / name) if name == "result.json" else Bundle.open(tmp_path)


@pytest.mark.parametrize("name", ["store.sqlite", "Store.SQLite-wal", "store.sqlite-shm"])
def test_no_experiment_takes_the_name_of_the_store(name, monkeypatch, tmp_path):
    monkeypatch.setenv("ANSIBLE_ENV_ARTIFACTS", str(tmp_path))
    assert new_call(name).parent == tmp_path / f"{name}-experiment"
    assert new_call("store").parent == tmp_path / "store"


def test_nobody_else_can_write_into_directories_of_results(tmp_path):
    before = os.umask(0)
    try:
        Journal(tmp_path / "state/ansible-env/x/call/trial-1").begin_trial({}, {})
        Store(tmp_path / "data/deep/store.sqlite").close()
        append_events(tmp_path / "events/deep/run.jsonl", [], Secrets())
    finally:
        os.umask(before)
    made = list(tmp_path.rglob("*"))
    assert len(made) >= 10
    assert [path for path in made if path.stat().st_mode & 0o077] == []
