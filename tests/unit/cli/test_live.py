"""The live view: what is known of the hosts, how it is laid out, how long the rest will take."""

import itertools
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from typer.testing import CliRunner

from ansible_env.cli import console
from ansible_env.cli.app import app
from ansible_env.cli.live import LiveProgress, make_progress
from ansible_env.cli.options import ProgressForm
from ansible_env.cli.pace import Pace, about, clock
from ansible_env.cli.panel import FOLDED_ROWS, panel
from ansible_env.cli.progress import Progress
from ansible_env.cli.sweepview import SweepProgress, UnderWay, make_sweep_progress, sweep_panel
from ansible_env.cli.view import MetricsReader, PhaseView, State
from ansible_env.config.model import EnvironmentConfig
from ansible_env.results.metrics.pattern import compile_pattern
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.testing import phase_event, task_event

TRIAL = Trial("t")
PAIR = compile_pattern(r"^(\w+)=(\S+)$")


def a_view(count, *, failed=(), done=(), late=(), timeout=60.0, width=2):
    view = PhaseView("run", [f"h{n:0{width}}" for n in range(1, count + 1)], timeout)
    for number, host in enumerate(view.hosts.values(), 1):
        view.on_event(task_event(host.host, "runner_on_start", action="ansible_env.bench.phase"))
        host.started = view.begun  # the clock goes on while a test runs
        host.metrics = {"throughput": 1000.5 + number, "p99": number / 7}
        view.on_output(host.host, [f"round {number}", ""])
        if number in failed:
            view.on_event(phase_event(host.host, kind="exit", rc=3, msg="exit status 3"))
        if number in done:
            view.on_event(phase_event(host.host))
        if number in late:
            host.started = view.begun - 0.9 * timeout
    view.look(view.begun + 1)
    return view


def shown(view, width=80, height=22, **more):
    return [
        line.plain for line in panel(view, "bench: trial 1", width=width, height=height, now=view.begun + 2, **more)
    ]


@pytest.mark.parametrize(("width", "height"), [(80, 22), (160, 48)])
def test_a_line_for_each_host(width, height):
    lines = shown(a_view(8, failed=[3], done=[1, 2]), width, height)
    assert len(lines) == 9
    assert re.match(r"bench: trial 1  run 0:02 +✗ 1 failed  ● 5 running  ✓ 2 done$", lines[0])
    assert lines[1].startswith("✓ h01  run 0:0")
    assert lines[3].startswith("✗ h03  run 0:0")
    assert "exit status 3  round 3" in lines[3]
    assert re.match(r"● h08  run 0:02/1:00  throughput=1,008.5 p99=1.1429 +round 8$", lines[8])


def test_the_only_host_has_one_line():
    assert shown(a_view(1))[1:] == ["● h01  run 0:02/1:00  throughput=1,001.5 p99=0.14286  round 1"]


def test_many_hosts_are_folded_to_those_that_want_to_be_looked_at():
    lines = shown(a_view(64, failed=[7, 60], late=[33], done=range(40, 50)), required=["p99"])
    assert len(lines) <= 22
    assert lines[0].endswith("✗ 2 failed  ! 1 late  ● 51 running  ✓ 10 done")
    assert re.match(r"p99 +min 0\.14286  median +4\.6429  max +9\.1429  of 64", lines[1])
    hosts = [line.split()[1] for line in lines if line[0] in "✗!●·✓"]
    assert hosts[:3] == ["h07", "h60", "h33"]
    assert len(hosts) == FOLDED_ROWS
    assert lines[-1] == "… and 52 more: 42 running, 10 done"


def test_all_that_failed_is_shown_while_there_is_room():
    lines = shown(a_view(64, failed=range(1, 31)), 160, 48)
    assert sum(line.startswith("✗") for line in lines[1:]) == 30
    assert lines[-1] == "… and 34 more: 34 running"
    assert "30 failed" in shown(a_view(64, failed=range(1, 31)))[0]


@settings(max_examples=50, deadline=None)
@given(
    count=st.integers(1, 70),
    width=st.integers(1, 200),
    height=st.integers(1, 60),
    line=st.text(max_size=300),
    name=st.text(min_size=1, max_size=60),
    failed=st.booleans(),
)
def test_nothing_is_wider_or_higher_than_the_terminal(count, width, height, line, name, failed):
    view = PhaseView("teardown", [name, *(f"h{n}" for n in range(1, count))], 3600.0 if count % 2 else None)
    view.on_output(name, [line])
    view.hosts[name].metrics = {name: 1e9, "text": line}
    if failed:
        view.on_event(phase_event(name, kind="exit", rc=1, msg=line))
    pace = Pace(10, 0.0) if count % 3 else None
    lines = panel(view, name, width=width, height=height, now=view.begun + 4000, pace=pace)
    assert len(lines) <= height
    assert all(cell_len(line.plain) <= width for line in lines)
    assert not any(char in text.plain for text in lines for char in "\x1b\n\r\x9b")


def test_a_host_goes_on_to_its_next_task_and_stays_failed():
    view = PhaseView("run", ["h"])
    host = view.hosts["h"]
    assert host.state is State.WAITING
    view.on_event(task_event("h", "runner_on_start", task="install it"))
    assert (host.state, host.task) == (State.RUNNING, "install it")
    view.on_event(task_event("h", "runner_on_failed", ignore_errors=True))
    assert host.state is State.DONE
    view.on_event(task_event("h", "runner_on_start", action="ansible_env.bench.phase"))
    assert (host.state, host.task) == (State.RUNNING, "")
    view.on_event(phase_event("h", metrics={"score": 1}))
    assert (host.state, host.metrics) == (State.DONE, {"score": 1})
    view.on_event(phase_event("h", kind="unreachable", msg="no route"))
    view.on_event(phase_event("h"))
    view.on_event(task_event("stranger", "runner_on_start"))
    assert (host.state, host.fault) == (State.FAILED, "unreachable: no route")


def test_metrics_are_read_as_they_appear():
    reader = MetricsReader(PAIR, json_line=False)
    reader.add("h", ["score=1", "noise", "score=2"])
    (text,) = reader.take().values()
    assert reader.read(text) == {"score": 2}
    assert reader.take() == {}
    reader.add("h", ["b=2"])
    reader.give_back("h", "a=1\n")
    assert reader.read(reader.take()["h"]) == {"a": 1, "b": 2}
    as_json = MetricsReader(None, json_line=True)
    assert as_json.read('{"a": {"b": 1}}\n') == {"a.b": 1}
    assert as_json.read("{not json\n") == {}


def test_a_metric_is_not_shown_again_as_the_last_line():
    config = EnvironmentConfig.from_mapping({"name": "x", "run": ["true"], "results_stdout_pattern": PAIR.source})
    progress = LiveProgress(Stream(terminal=True), config)
    progress.on_trial_started(Trial("bench", hosts=("a", "b")))
    progress.on_phase_started(TRIAL, "run", "", ())
    progress.on_output(TRIAL, "a", "stdout", "pass 3 of 9, score=1\nscore=2\n\n")
    progress.on_output(TRIAL, "b", "stderr", "score=3\n")  # no metric: those are taken from stdout
    progress.stop()
    assert [view.line for view in progress._view.hosts.values()] == ["pass 3 of 9, score=1", "score=3"]


def test_what_is_a_metric_and_nothing_else():
    reader = MetricsReader(PAIR, json_line=True)
    assert [reader.is_metric(line) for line in ("a=1", "a=1\r", 'a="é"', "a = 1", "", '{"a": 1}', "{a")] == [
        *[True] * 3,
        *[False] * 2,
        True,
        False,
    ]
    slow = MetricsReader(compile_pattern(r"^(?P<n>(?:a|aa)+)$"), json_line=False)
    assert [slow.is_metric(line) for line in ("aa", "a" * 40 + "!", "aa")] == [True, False, False]


def test_a_pattern_that_takes_too_long_is_given_up():
    reader = MetricsReader(compile_pattern(r"^(?P<n>(?:a|aa)+)$"), json_line=False)
    assert reader.read("aa\n") == {"n": "aa"}
    assert reader.read("a" * 40 + "!\n") == {}
    assert reader.read("aa\n") == {}  # not tried again


# How long the rest will take


def test_pace_counts_ends_and_follows_a_change():
    pace = Pace(100, now=0.0)
    assert pace.left(5.0) is None
    for n in range(1, 11):
        pace.end(n * 10.0)
    assert pace.left(100.0) == pytest.approx(900)
    assert pace.left(104.0) == pytest.approx(896)
    assert pace.left(500.0) == pytest.approx(890)  # the one under way takes longer: the end moves with it
    for n in range(1, 41):
        pace.end(100.0 + n)
    assert pace.left(140.0) == pytest.approx(50)
    assert Pace(None, 0.0).left(1.0) is None


def test_time_that_is_left_is_said_as_exactly_as_it_is_known():
    assert [about(s) for s in (None, 3, 42, 600, 5000, 7300, 200_000)] == [
        "time left unknown",
        "a few seconds left",
        "about 40 s left",
        "about 10 min left",
        "about 83 min left",
        "about 2 h left",
        "about 2 days left",
    ]
    assert [clock(s) for s in (None, 42.9, 3723)] == ["-", "0:42", "1:02:03"]


def test_the_bar_and_the_time_left_are_shown_for_several_trials():
    pace = Pace(10, 0.0)
    pace.end(60.0)
    view = a_view(2)
    view.begun = 62.0
    line = shown(view, pace=pace)[1]
    assert line.startswith("━━━━────")
    assert line.endswith("1 of 10 trials, about 9 min left")


# Which form


class Stream:
    encoding = "utf-8"

    def __init__(self, terminal):
        self.terminal = terminal
        self.text = ""

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.mark.parametrize(
    ("terminal", "env", "form", "live"),
    [
        (True, {}, ProgressForm.AUTO, True),
        (False, {}, ProgressForm.AUTO, False),
        (True, {"TERM": "dumb"}, ProgressForm.AUTO, False),
        (True, {"CI": "true"}, ProgressForm.AUTO, False),
        (False, {"FORCE_COLOR": "1"}, ProgressForm.AUTO, False),
        (True, {}, ProgressForm.PLAIN, False),
        (False, {}, ProgressForm.LIVE, True),
    ],
)
def test_the_live_view_is_for_terminals(monkeypatch, terminal, env, form, live):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    config = EnvironmentConfig.from_mapping({"name": "x", "run": ["true"]})
    made = make_progress(Stream(terminal), config, form=form)
    assert isinstance(made, LiveProgress) is live
    assert not isinstance(make_progress(Stream(terminal), config, form=form, quiet=True), LiveProgress)


def test_follow_shows_the_lines_of_some_hosts():
    stream = Stream(terminal=False)
    progress = Progress(stream, follow=["db*"])
    progress.on_trial_started(Trial("t", hosts=("db1", "db2", "web")))
    progress.on_phase_started(TRIAL, "run", "", ())
    for host in ("db1", "web", "db2"):
        progress.on_output(TRIAL, host, "stdout", f"line of {host}\n")
        progress.on_event(TRIAL, task_event(host, "runner_on_ok", task=f"task of {host}"))
    assert [word in stream.text for word in ("line of db1", "line of db2", "task of db1")] == [True] * 3
    assert "of web" not in stream.text


def test_no_time_is_known_twice():
    """What `about` says never grows while a trial runs on."""
    pace = Pace(5, 0.0)
    pace.end(10.0)
    left = [pace.left(10.0 + second) for second in range(30)]
    assert all(later <= sooner for sooner, later in itertools.pairwise(left))


def test_the_follow_option_refuses_a_host_that_is_not_there(tmp_path):
    (tmp_path / "env.yml").write_text("name: x\nrun: ['true']\n")
    result = CliRunner().invoke(app, ["trial", str(tmp_path / "env.yml"), "--follow", "localhos"])
    assert result.exit_code == 2
    assert "--follow localhos: is none of the hosts (did you mean 'localhost'?)" in result.stderr


# A sweep


def under_way(count, now=100.0):
    return [
        UnderWay(n, (f"db{n}", f"db{n}b"), {"cache": 2**n, "mode": "a\x1b[31mb"}, "setup", now - n)
        for n in range(1, count + 1)
    ]


def test_a_sweep_shows_how_far_it_is_and_what_is_under_way():
    pace = Pace(10, 0.0)
    pace.end(50.0)
    lines = [line.plain for line in sweep_panel(under_way(3), pace, width=80, height=20, now=100.0)]
    assert lines[0] == "━━━━────────────────────────────────────  1 of 10 trials, about 7 min left"
    assert lines[1] == "● trial 3  db3, db3b  setup 0:03  cache=8 mode=ab"  # the one that has taken longest
    assert len(lines) == 4


@settings(max_examples=40, deadline=None)
@given(count=st.integers(0, 70), width=st.integers(1, 200), height=st.integers(1, 60))
def test_a_sweep_fits_the_terminal(count, width, height):
    lines = sweep_panel(under_way(count), Pace(100, 0.0), width=width, height=height, now=100.0)
    assert len(lines) <= height
    assert all(cell_len(line.plain) <= width for line in lines)
    if 2 < height < count and width > 1:
        assert sum(line.plain.startswith("●") for line in lines) == height - 2
        assert width < 20 or lines[-1].plain.startswith(f"… and {count - height + 2} more")


def test_lines_scroll_by_above_a_sweep_and_it_makes_room_for_others():
    stream = Stream(terminal=True)
    progress = SweepProgress(stream, Pace(2, 0.0))
    progress.start()
    first, second = Trial("x", TrialRequest(1), hosts=("h1",)), Trial("x", TrialRequest(1, attempt=2), hosts=("h2",))
    progress.on_trial_started(first)
    progress.on_phase_started(first, "run", "", ("h1",))
    progress.note("[0 of 2] hello")
    console.say("from elsewhere")
    with progress.aside():
        assert not console.notify("nobody draws now")
        stream.write("a report\n")
    progress.on_trial_finished(replace(first, repeated=True))
    progress.on_trial_started(second)
    progress.on_trial_finished(second)
    progress.stop()
    assert not console.notify("nobody draws any more")
    assert "[0 of 2] hello" in stream.text
    assert stream.text.index("from elsewhere") < stream.text.index("a report")
    assert progress._pace.ended == 1


def test_the_view_of_a_sweep_is_for_terminals(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    plain = Progress(Stream(terminal=True))
    assert isinstance(make_sweep_progress(Stream(terminal=True), ProgressForm.AUTO, plain, 2), SweepProgress)
    assert make_sweep_progress(Stream(terminal=False), ProgressForm.AUTO, plain, 2) is plain
    assert make_sweep_progress(Stream(terminal=True), ProgressForm.PLAIN, plain, 2) is plain
    assert make_sweep_progress(Stream(terminal=True), ProgressForm.AUTO, plain, 2, quiet=True) is plain
