"""The live view: what it takes from a trial, and when there is one."""

from dataclasses import replace

import pytest

from ansible_env.cli import console
from ansible_env.cli.options import Display, ProgressForm
from ansible_env.cli.progress.live import LivePhases, LiveSweep, phase_progress, sweep_progress
from ansible_env.cli.progress.views import HostState
from ansible_env.config.model import EnvironmentConfig
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.testing import phase_event, task_event

TRIAL = Trial("t")


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


def test_a_metric_is_not_shown_again_as_the_last_line():
    config = EnvironmentConfig.from_mapping({"name": "x", "run": ["true"], "results_stdout_pattern": r"^(\w+)=(\S+)$"})
    progress = LivePhases(Stream(terminal=True), config)
    progress.on_trial_started(Trial("bench", hosts=("a", "b")))
    progress.on_phase_started(TRIAL, "run", "", ())
    progress.on_output(TRIAL, "a", "stdout", "pass 3 of 9, score=1\nscore=2\n\n")
    progress.on_output(TRIAL, "b", "stderr", "score=3\n")  # no metric: those are taken from stdout
    progress.stop()
    assert [view.line for view in progress._view.hosts.values()] == ["pass 3 of 9, score=1", "score=3"]


def test_states_come_from_tasks_and_from_the_results_of_hosts():
    config = EnvironmentConfig.from_mapping({"name": "x", "run": ["true"]})
    progress = LivePhases(Stream(terminal=True), config)
    progress.on_trial_started(Trial("bench", hosts=("h",)))
    progress.on_phase_started(TRIAL, "run", "", ())
    progress.on_event(TRIAL, task_event("h", "runner_on_start", task="install it"))
    host = progress._view.hosts["h"]
    assert (host.state, host.task) == (HostState.RUNNING, "install it")
    progress.on_event(TRIAL, task_event("h", "runner_on_failed", ignore_errors=True))
    assert host.state is HostState.DONE
    progress.on_event(TRIAL, task_event("h", "runner_on_start", action="ansible_env.bench.phase"))
    assert (host.state, host.task) == (HostState.RUNNING, "")
    progress.on_event(TRIAL, phase_event("h", kind="exit", rc=3))
    assert host.state is HostState.DONE  # an event alone says nothing about success
    progress.on_host_result(TRIAL, "run", HostResult("h", Kind.EXIT, "exit status 3", rc=3))
    assert (host.state, host.failure) == (HostState.FAILED, "exit status 3")
    progress.stop()


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
    for quiet, expected in ((False, live), (True, False)):
        options = Display(progress=form, quiet=quiet)
        assert isinstance(phase_progress(Stream(terminal), options, config, 1), LivePhases) is expected
        assert isinstance(sweep_progress(Stream(terminal), options, 2, []), LiveSweep) is expected


def test_lines_scroll_by_above_a_sweep_and_it_makes_room_for_others():
    stream = Stream(terminal=True)
    progress = LiveSweep(stream, trials=2)
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
    assert progress._remaining.ended == 1
