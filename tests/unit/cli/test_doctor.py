"""`doctor`: its findings and exit codes."""

import tomllib
from pathlib import Path

from typer.testing import CliRunner

from ansible_env.cli import ansible_call, controller_findings, doctor
from ansible_env.cli.app import app
from ansible_env.errors import InventoryError
from ansible_env.testing import FakeEngine

FINE = {"system": "Linux 6", "user": "me", "sh": "/bin/dash", "setsid": "/usr/bin/setsid", "shell": "/bin/bash"}


def check(monkeypatch, answer, hosts=("h1", "h2"), *arguments):
    engine = FakeEngine(hosts, answer)
    monkeypatch.setattr(ansible_call, "make_engine", lambda *_: engine)
    monkeypatch.setattr(doctor, "controller_findings", lambda: iter(()))
    return CliRunner().invoke(app, ["doctor", *arguments])


def test_doctor_on_good_hosts(monkeypatch):
    result = check(monkeypatch, lambda *_: {"metrics": {**FINE, "python3": "no"}})
    assert result.exit_code == 0
    assert "ok   h1: answers: Linux 6, as me; /bin/sh is /bin/dash; python3 no" in result.stdout


def test_doctor_on_a_host_without_bash_and_with_a_slow_clock(monkeypatch):
    answer = {"metrics": {**FINE, "shell": "no"}, "end": "2001-01-01T00:00:00+00:00"}
    result = check(monkeypatch, lambda *_: answer, ["h1"])
    assert result.exit_code == 1
    assert "fail h1: has no bash" in result.stdout
    assert "warn h1: its clock is" in result.stdout


def test_doctor_on_a_host_that_is_away(monkeypatch):
    def answer(phase, host, task):
        return {"kind": "unreachable", "rc": None, "msg": "no route"} if host == "h2" else {"metrics": FINE}

    result = check(monkeypatch, answer)
    assert result.exit_code == 4
    assert "fail h2: unreachable: no route" in result.stdout


def test_doctor_on_a_bad_inventory(monkeypatch):
    def hosts(*_):
        raise InventoryError("no host matches")

    monkeypatch.setattr(FakeEngine, "hosts", hosts)
    result = check(monkeypatch, lambda *_: {})
    assert result.exit_code == 1
    assert "fail inventory: no host matches" in result.stdout


def test_doctor_on_this_machine():
    levels = {finding.subject: finding.level for finding in controller_findings.controller_findings()}
    assert {"python", "ansible-core", "ansible-playbook", "collection", "locale", "control path"} <= levels.keys()
    assert controller_findings.Level.FAIL not in levels.values()


def test_doctor_knows_the_supported_versions():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    low, high = (".".join(map(str, version)) for version in controller_findings.SUPPORTED)
    assert f"ansible-core>={low},<{high}" in project["dependencies"]
