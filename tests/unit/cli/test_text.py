"""Text and numbers for a terminal; progress; findings of doctor."""

import io
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ansible_env.cli import ansible_call, doctor
from ansible_env.cli.app import app
from ansible_env.cli.progress import LONGEST_LINE, MOST_LINES, Progress
from ansible_env.errors import InventoryError
from ansible_env.report.formatting import duration, number, visible, visible_line
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.results.trial import Trial
from ansible_env.testing import FakeEngine, task_event


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1,234,567"),
        (-1234.5678, "-1,234.6"),
        (12345.678901, "12,346"),
        (0.000123456, "0.00012346"),
        (1.5e-9, "1.5e-09"),
        (2e20, "2e+20"),
        (9.36, "9.36"),
        (100.0, "100"),
        (float("nan"), "nan"),
        (True, "true"),
        (None, "-"),
        ("a\x1b[31mb", "ab"),
        (10**400, None),
    ],
)
def test_number(value, text):
    if text is None:
        assert number(value)
    else:
        assert number(value) == text


TRIAL = Trial("t")


def test_visible_leaves_no_control_character():
    every = "".join(map(chr, [*range(0x300), *range(0x2000, 0x2070), 0xD800, 0xFEFF]))
    shown = visible(every)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or 0x2028 <= ord(c) <= 0x202E for c in shown)
    assert visible("a\x00b\x7f") == "a\u2400b\u2421"
    assert visible("gr\u00fc\u00dfe \u2713 \U0001f600") == "gr\u00fc\u00dfe \u2713 \U0001f600"


def test_visible_takes_linear_time():
    assert len(visible("\x1b]" * 200_000)) <= 200_000 * 2
    assert visible_line("10%\r50%\r100%\r") == "100%"


def test_duration():
    assert [duration(s) for s in (None, 1.234, 65, 600, 4000)] == ["-", "1.23 s", "65.0 s", "10 min 0 s", "1 h 6 min"]


def test_progress_joins_pieces_of_lines_for_each_host_and_stream():
    stream = io.StringIO()
    progress = Progress(stream)
    progress.on_trial_started(Trial("t", hosts=("h1", "host2")))
    progress.on_phase_started(TRIAL, "run", "", ())
    for host, name, text in [
        ("h1", "stdout", "be"),
        ("host2", "stdout", "other\n"),
        ("h1", "stderr", "err\n"),
        ("h1", "stdout", "gin\nnext"),
    ]:
        progress.on_output(TRIAL, host, name, text)
    lines = [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()[2:]]
    assert lines == ["run      host2 | other", "run      h1    ! err", "run      h1    | begin"]


def test_progress_says_how_far_apart_the_starts_were():
    stream = io.StringIO()
    progress = Progress(stream)
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for milliseconds in (0.4, 1500):
        starts = {"a": noon, "b": noon + timedelta(milliseconds=milliseconds)}
        hosts = [HostResult(host, Kind.OK, started=time, clock_offset=0.0) for host, time in starts.items()]
        progress.on_phase_started(TRIAL, "run", "", ())
        progress.on_phase_finished(TRIAL, phase_result("run", hosts))
    assert "started within 0.4 ms" in stream.getvalue()
    assert "started within 1.50 s" in stream.getvalue()


def test_progress_keeps_up_with_floods():
    stream = io.StringIO()
    progress = Progress(stream)
    progress.on_phase_started(TRIAL, "run", "", ())
    progress.on_output(TRIAL, "h", "stdout", "x\n" * 10_000)
    assert stream.getvalue().count("\n") == MOST_LINES + 2
    assert f"{10_000 - MOST_LINES} lines not shown here" in stream.getvalue()
    progress.on_output(TRIAL, "h", "stdout", "y" * (LONGEST_LINE + 1))
    assert "yyy" in stream.getvalue()


def test_progress_shows_tasks_of_the_author():
    stream = io.StringIO()
    progress = Progress(stream)
    progress.on_phase_started(TRIAL, "setup", "", ())
    progress.on_event(TRIAL, task_event("h", task="Install Redis", res={"changed": True}))
    progress.on_event(TRIAL, task_event("h", "runner_on_failed", task="bad\x1b[2J", res={}))
    assert "h | task: Install Redis: changed" in stream.getvalue()
    assert "h | task: bad: failed" in stream.getvalue()


def test_progress_outlives_its_reader():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    Progress(Closed()).on_phase_started(TRIAL, "run", "", ())


# doctor

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
    levels = {finding.subject: finding.level for finding in doctor.controller_findings()}
    assert {"python", "ansible-core", "ansible-playbook", "collection", "locale", "control path"} <= levels.keys()
    assert doctor.Level.FAIL not in levels.values()


def test_doctor_knows_the_supported_versions():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    low, high = (".".join(map(str, version)) for version in doctor.SUPPORTED)
    assert f"ansible-core>={low},<{high}" in project["dependencies"]
