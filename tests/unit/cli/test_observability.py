"""Traces, log records and the file for Prometheus: what they say of a trial."""

import logging
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module
from xml.etree import ElementTree as ET

import pytest
import yaml
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from ansible_env import RemoteEnv
from ansible_env.cli import ansible_call, tracing
from ansible_env.cli.app import app
from ansible_env.common import about, get_logger
from ansible_env.testing import FakeEngine

CONFIG = {
    "name": "observed",
    "setup": ["true"],
    "run": ["measure"],
    "teardown": ["true"],
    "const_args": {"rows": 10, "password": "hunter2"},
    "secret_params": ["password"],
    "results_stdout_pattern": r"^(\w+)=(\S+)$",
}
NOW = datetime.now(UTC)


def answer(phase, host, task):
    if phase != "run":
        return {}
    if host == "bad":
        return {"kind": "exit", "rc": 3, "msg": "exit status 3"}
    times = {
        "start": (NOW - timedelta(days=1)).isoformat(),
        "end": (NOW - timedelta(days=1, seconds=-2)).isoformat(),
    }
    return {"metrics": {"score": 42, "note": "fine", "worst": float("nan")}, **times}


@pytest.fixture(scope="session")  # a process has one provider, for good
def exporter():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def a_trial(hosts):
    with RemoteEnv(config=CONFIG, engine=FakeEngine(hosts, answer)) as env:
        for _ in range(2):
            env.setup()
            env.run()
            env.teardown()


def test_a_span_for_each_trial_phase_and_host(exporter):
    exporter.clear()
    a_trial(["good", "bad"])
    spans = exporter.get_finished_spans()
    first, second = [span for span in spans if span.parent is None]
    assert first.name == "trial observed"
    assert (first.attributes["ansible_env.trial"], second.attributes["ansible_env.trial"]) == (1, 2)
    assert first.attributes["ansible_env.param.rows"] == 10
    assert "hunter2" not in str([dict(span.attributes) for span in spans])
    assert first.status.description == "run FAILED: bad: exit: exit status 3"
    mine = [span for span in spans if span.context.trace_id == first.context.trace_id]
    phases = {s.name: s for s in mine if s.parent and s.parent.span_id == first.context.span_id}
    assert list(phases) == ["setup", "run", "teardown"]
    assert [phases[name].status.is_ok for name in phases] == [True, False, True]
    hosts = {s.name: s for s in mine if s.parent and s.parent.span_id == phases["run"].context.span_id}
    assert set(hosts) == {"host good", "host bad"}
    good = hosts["host good"]
    assert good.attributes["ansible_env.metric.score"] == 42
    # The host's clock is a day behind: the span is where the phase is, and as long as the script took.
    assert phases["run"].start_time <= good.start_time <= phases["run"].end_time
    assert good.end_time - good.start_time == 2_000_000_000
    assert good.attributes["ansible_env.clock_shift_s"] == pytest.approx(86400, abs=600)
    assert hosts["host bad"].status.description == "exit: exit status 3"


def test_a_trial_ends_with_its_environment_or_with_the_next_one(exporter):
    exporter.clear()
    with RemoteEnv(config={**CONFIG, "teardown": []}, engine=FakeEngine(["h"], answer)) as env:
        env.setup()
        env.setup()
        assert [s.name for s in exporter.get_finished_spans() if s.parent is None] == ["trial observed"]
    assert [s.name for s in exporter.get_finished_spans() if s.parent is None] == ["trial observed"] * 2


def test_log_records_say_what_they_are_about(caplog):
    caplog.set_level(logging.INFO, "ansible_env")
    a_trial(["good", "bad"])
    (record, _) = [r for r in caplog.records if r.message == "run: exit: exit status 3"]
    assert (record.environment, record.trial, record.phase, record.host) == ("observed", "1", "run", "bad")
    with about(trial=7):
        get_logger("ansible_env.x").warning("inside")
    get_logger("ansible_env.x").warning("outside")
    assert [(r.trial, r.host) for r in caplog.records[-2:]] == [("7", ""), ("", "")]


# The command


@pytest.fixture
def call(tmp_path, monkeypatch):
    (tmp_path / "env.yml").write_text(yaml.safe_dump(CONFIG | {"secret_params": []}))
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


def test_what_is_missing_is_named(call, monkeypatch):
    for name in ("opentelemetry.sdk.trace", "ansible_env.report.prometheus"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError):
            import_module(name)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    result = call()
    assert result.exit_code == 1  # as ever
    assert "no traces are sent: pip install 'ansible-env[otel]'" in result.stderr
    refused = call("--prometheus", "x.prom")
    assert refused.exit_code == 2
    assert "ansible-env[prometheus]" in refused.stderr


def test_an_exporter_that_is_not_known_is_named(call, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    assert "OTEL_TRACES_EXPORTER is 'zipkin', and not one of otlp, console, none" in call().stderr
