"""A trial as tables."""

import io

import pytest
from rich.console import Console

from ansible_env.cli.options import Output
from ansible_env.cli.trial_output import Writer, trial_tables
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.results.trial import Trial, TrialRequest


def a_trial(count, failed=(), **more):
    hosts = [
        HostResult(f"h{n}", Kind.EXIT, rc=3, metrics={"score": n}, metrics_partial=True)
        if n in failed
        else HostResult(f"h{n}", Kind.OK, metrics={"score": 1000 * n, "mode": "WAL", "same": 5, **more})
        for n in range(1, count + 1)
    ]
    return Trial("bench", TrialRequest(1), phases={"run": phase_result("run", hosts)}).finish()


def lines(trial, width, height):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    with console.capture() as capture:
        for table in trial_tables(trial, width, height):
            console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_more_hosts_than_lines_are_folded_and_those_that_failed_are_last():
    found = lines(a_trial(64, failed=[5, 23]), 80, 24)
    assert len(found) <= 24
    assert found[3].split() == ["score", "1,000", "h1", "33,500", "64,000", "h64"]  # of those that succeeded
    assert found[4].split() == ["same", "5", "5", "5"]
    assert not any("mode" in line for line in found[:6])  # no number
    assert [line.split()[:2] for line in found[-3:-1]] == [["h5", "exit"], ["h23", "exit"]]
    assert found[-1].startswith("62 of 64 hosts succeeded")


@pytest.mark.parametrize(("count", "height"), [(12, 5), (40, 50), (64, None)])
def test_hosts_that_fit_are_all_shown(count, height):
    found = lines(a_trial(count), 80, height)
    assert [line.split()[0] for line in found[3:-2]] == [f"h{n}" for n in range(1, count + 1)]
    assert found[-1].split() == ["group", f"{1000 * (count + 1) / 2:,.0f}", "WAL", "5"]


@pytest.mark.parametrize("height", [1, 10, 24, 50])
def test_all_failed(height):
    found = lines(a_trial(100, failed=range(1, 101)), 80, height)
    assert len(found) <= max(height, 12)
    assert "0 of 100 hosts succeeded" in found[-1]
    shown = sum(line.startswith("h") for line in found) - 1
    assert found[-2] == f"… and {100 - shown} more hosts that did not succeed"


def test_metrics_that_do_not_fit_leave_room_for_the_hosts_that_failed():
    wide = {f"a_rather_long_name_of_a_metric_{n}": n for n in range(9)}
    assert [line.split()[:2] for line in lines(a_trial(30, failed=[7], **wide), 80, 24)][-2] == ["h7", "exit"]


def test_a_pipe_has_a_row_for_each_host():
    stream = io.StringIO()
    writer = Writer(Output.TABLE, stream)
    writer.add(a_trial(64))
    assert len(stream.getvalue().splitlines()) == 64 + 5


@pytest.mark.parametrize("width", [40, 80])
def test_the_aggregate_is_where_the_hosts_are(width):
    found = lines(a_trial(4), width, 24)
    titles = [line.split() for line in found if line.startswith("metric")]
    assert all(line[-1] == "group" for line in titles)
    assert {line.split()[-1] for line in found if line.startswith("score")} == {"2,500"}
    assert not [line for line in lines(a_trial(1), width, 24) if "group" in line], "a single host is the group"


def test_several_trials_end_with_their_spread():
    stream = io.StringIO()
    Writer(Output.TABLE, stream).add_summary([a_trial(count) for count in (1, 3, 5)])
    table = [line.split() for line in stream.getvalue().splitlines()]
    assert table[1:3] == [
        ["3", "of", "3", "trials", "succeeded"],
        ["metric", "median", "min", "max", "±", "cv", "trials"],
    ]
    assert table[4] == ["score", "2,000", "1,000", "3,000", "50.0%", "3"]
    for output in (Output.JSON, Output.CSV):
        Writer(output, stream := io.StringIO()).add_summary([a_trial(1), a_trial(2)])
        assert stream.getvalue() == ""
