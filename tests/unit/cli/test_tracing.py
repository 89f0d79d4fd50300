"""Where the spans of a call are sent."""

import sys
from importlib import import_module

import pytest
import yaml
from typer.testing import CliRunner

from ansible_env.cli import ansible_call, tracing
from ansible_env.cli.app import app
from ansible_env.testing import FakeEngine

CONFIG = {"name": "observed", "run": ["measure"], "results_stdout_pattern": r"^(\w+)=(\S+)$"}


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


@pytest.mark.parametrize(
    ("env", "kind"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "x"}, ""),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, ""),
    ],
)
def test_traces_are_sent_where_the_variables_say(monkeypatch, env, kind):
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert tracing.wanted_exporter() == kind


def test_a_missing_package_is_named(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ImportError):
        import_module("opentelemetry.sdk.trace")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    result = call()
    assert result.exit_code == 1  # as ever
    assert "no traces are sent: pip install 'opentelemetry" in result.stderr


def test_an_exporter_that_is_not_known_is_named(call, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    assert "OTEL_TRACES_EXPORTER is 'zipkin', and not one of otlp, console, none" in call().stderr
