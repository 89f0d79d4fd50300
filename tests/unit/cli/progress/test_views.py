"""What a live view shows of hosts and of trials, and that it fits the terminal."""

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, Group

from ansible_env.cli.progress.remaining_time import RemainingTime
from ansible_env.cli.progress.views import FEWEST_ROWS, HostState, PhaseView, RunningTrial, stopwatch, sweep_layout
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind

ALONE = RemainingTime(1, 0.0)


def failed_host(host, message="exit status 3"):
    return HostResult(host, Kind.EXIT, message, rc=3)


def a_view(count, *, failed=(), done=(), late=(), timeout=60.0, width=2):
    view = PhaseView("bench: trial 1", "run", [f"h{n:0{width}}" for n in range(1, count + 1)], timeout)
    for number, host in enumerate(view.hosts.values(), 1):
        view.on_task_started(host.host, "")
        host.started = view.started  # the clock goes on while a test runs
        host.metrics = {"throughput": 1000.5 + number, "p99": number / 7}
        view.on_output(host.host, [f"round {number}", ""])
        if number in failed:
            view.on_result(failed_host(host.host))
        if number in done:
            view.on_result(HostResult(host.host, Kind.OK))
        if number in late:
            host.started = view.started - 0.9 * timeout
    return view


def lines_of(parts, width):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, emoji=False)
    with console.capture() as capture:
        console.print(Group(*parts))
    return [line.rstrip() for line in capture.get().splitlines()]


def shown(view, width=80, height=22, remaining=ALONE, **more):
    return lines_of(view.layout((width, height), view.started + 2, remaining, **more), width)


@pytest.mark.parametrize(("width", "height"), [(80, 22), (160, 48)])
def test_a_line_for_each_host(width, height):
    lines = shown(a_view(8, failed=[3], done=[1, 2]), width, height)
    assert len(lines) == 9
    assert re.match(r"bench: trial 1  run 0:02 +✗ 1 failed  ● 5 running  ✓ 2 done$", lines[0])
    assert cell_len(lines[0]) == width
    assert re.match(r"✓ h01  run 0:0", lines[1])
    assert re.match(r"✗ h03  run 0:0", lines[3])
    assert "exit status 3  round 3" in lines[3]
    assert re.match(r"● h08  run 0:02/1:00  throughput=1,008.5 p99=1.1429 +round 8$", lines[8])


def test_the_only_host_has_one_line():
    assert shown(a_view(1))[1:] == ["● h01  run 0:02/1:00  throughput=1,001.5 p99=0.14286  round 1"]


def test_many_hosts_are_folded_to_those_that_need_attention():
    lines = shown(a_view(64, failed=[7, 60], late=[33], done=range(40, 50)), required=["p99"])
    assert len(lines) <= 22
    assert lines[0].endswith("✗ 2 failed  ! 1 late  ● 51 running  ✓ 10 done")
    assert re.match(r"p99 +min +0\.14286  median +4\.6429  max +9\.1429  of 64", lines[1])
    hosts = [line.split()[1] for line in lines if line[0] in "✗!●·✓"]
    assert hosts[:3] == ["h07", "h60", "h33"]
    assert len(hosts) == FEWEST_ROWS
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
    timeout = 3600.0 if count % 2 else None
    view = PhaseView(name, "teardown", [name, *(f"h{n}" for n in range(1, count))], timeout)
    view.on_output(name, [line])
    view.hosts[name].metrics = {name: 1e9, "text": line}
    if failed:
        view.on_result(failed_host(name, line))
    remaining = RemainingTime(10, 0.0) if count % 3 else ALONE
    lines = lines_of(view.layout((width, height), view.started + 4000, remaining), width)
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)
    assert not any(char in text for text in lines for char in "\x1b\n\r\x9b")


def test_a_host_goes_on_to_its_next_task_and_stays_failed():
    view = PhaseView("bench: trial 1", "run", ["h"])
    host = view.hosts["h"]
    assert host.state is HostState.WAITING
    view.on_task_started("h", "install it")
    assert (host.state, host.task) == (HostState.RUNNING, "install it")
    view.on_task_ended("h")
    assert host.state is HostState.DONE
    view.on_task_started("h", "")
    assert (host.state, host.task) == (HostState.RUNNING, "")
    view.on_result(HostResult("h", Kind.OK, metrics={"score": 1}))
    assert (host.state, host.metrics) == (HostState.DONE, {"score": 1})
    view.on_result(HostResult("h", Kind.UNREACHABLE, "no route"))
    view.on_task_ended("h")
    view.on_task_started("stranger", "")
    assert (host.state, host.failure) == (HostState.FAILED, "unreachable: no route")
    view.on_task_started("h", "")  # a retry
    assert host.state is HostState.RUNNING


def test_the_bar_and_the_time_left_are_shown_for_several_trials():
    view = a_view(2)
    remaining = RemainingTime(10, view.started - 62)
    remaining.trial_ended(view.started - 2)
    line = shown(view, remaining=remaining)[1]
    assert line.startswith("━━━━ ")
    assert line.endswith("1 of 10 trials, about 9 min left")
    assert line.index("1 of 10") == 42


def test_stopwatch():
    assert [stopwatch(s) for s in (None, 42.9, 3723)] == ["-", "0:42", "1:02:03"]


# A sweep


def running(count, now=100.0):
    return [
        RunningTrial(n, (f"db{n}", f"db{n}b"), {"cache": 2**n, "mode": "a\x1b[31mb"}, now - n, "setup")
        for n in range(1, count + 1)
    ]


def test_a_sweep_shows_how_far_it_is_and_what_runs():
    remaining = RemainingTime(10, 0.0)
    remaining.trial_ended(50.0)
    lines = lines_of(sweep_layout(running(3), remaining, (80, 20), 100.0), 80)
    assert re.match("━━━━ {38}1 of 10 trials, about 7 min left$", lines[0])
    assert lines[1] == "● trial 3  db3, db3b  setup 0:03  cache=8 mode=ab"  # the one that has taken longest
    assert len(lines) == 4


@settings(max_examples=40, deadline=None)
@given(count=st.integers(0, 70), width=st.integers(1, 200), height=st.integers(1, 60))
def test_a_sweep_fits_the_terminal(count, width, height):
    lines = lines_of(sweep_layout(running(count), RemainingTime(100, 0.0), (width, height), 100.0), width)
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)
    if 2 < height < count and width > 1:
        assert sum(line.startswith("●") for line in lines) == height - 2
        assert width < 20 or lines[-1].startswith(f"… and {count - height + 2} more")
