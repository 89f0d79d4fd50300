"""Traces and log records: what they say of a trial."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ansible_env import RemoteEnv
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
    "valid": {"worst": "any"},
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
