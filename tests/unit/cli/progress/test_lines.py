"""Progress as lines."""

import io
from datetime import UTC, datetime, timedelta

from ansible_env.cli.progress.lines import LONGEST_LINE, MAX_LINES, LineProgress
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.results.trial import Trial
from ansible_env.testing import task_event

TRIAL = Trial("t")


def test_progress_joins_pieces_of_lines_for_each_host_and_stream():
    stream = io.StringIO()
    progress = LineProgress(stream)
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
    progress = LineProgress(stream)
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
    progress = LineProgress(stream)
    progress.on_phase_started(TRIAL, "run", "", ())
    progress.on_output(TRIAL, "h", "stdout", "x\n" * 10_000)
    assert stream.getvalue().count("\n") == MAX_LINES + 2
    assert f"{10_000 - MAX_LINES} lines not shown here" in stream.getvalue()
    progress.on_output(TRIAL, "h", "stdout", "y" * (LONGEST_LINE + 1))
    assert "yyy" in stream.getvalue()


def test_progress_shows_tasks_of_the_author():
    stream = io.StringIO()
    progress = LineProgress(stream)
    progress.on_phase_started(TRIAL, "setup", "", ())
    progress.on_event(TRIAL, task_event("h", task="Install Redis", res={"changed": True}))
    progress.on_event(TRIAL, task_event("h", "runner_on_failed", task="bad\x1b[2J", res={}))
    assert "h | task: Install Redis: changed" in stream.getvalue()
    assert "h | task: bad: failed" in stream.getvalue()


def test_progress_outlives_its_reader():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    LineProgress(Closed()).on_phase_started(TRIAL, "run", "", ())


def test_follow_shows_the_lines_of_some_hosts():
    stream = io.StringIO()
    progress = LineProgress(stream, follow=["db*"])
    progress.on_trial_started(Trial("t", hosts=("db1", "db2", "web")))
    progress.on_phase_started(TRIAL, "run", "", ())
    for host in ("db1", "web", "db2"):
        progress.on_output(TRIAL, host, "stdout", f"line of {host}\n")
        progress.on_event(TRIAL, task_event(host, "runner_on_ok", task=f"task of {host}"))
    assert [word in stream.getvalue() for word in ("line of db1", "line of db2", "task of db1")] == [True] * 3
    assert "of web" not in stream.getvalue()
