"""A target whose clock is set while a script runs, or while it waits for its release: durations stay right."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from ansible_env.results.outcomes import Kind
from ansible_env.supervisor.capture import Capture
from ansible_env.supervisor.ending import Ending
from ansible_env.supervisor.follow import Follower
from ansible_env.supervisor.protocol import State, parse_reply
from ansible_env.supervisor.report import task_result
from tests.unit.supervisor.pipes import Target, make_target

FAKE_DATE = """#!/bin/sh
now=$({date} "$@") step=$(cat {step} 2>/dev/null || echo 0)
fraction=${{now#*.}}
[ "$fraction" != "$now" ] && fraction=.$fraction || fraction=
echo "$((${{now%%.*}} + step))$fraction"
"""
SET_CLOCK = """
  if (!$_[0] && open my $step, '<', '{step}') {{
    my ($s, $ns) = unpack 'qq', $time;
    $time = pack 'qq', $s + <$step>, $ns;
  }}
"""
FAKE_PERL = """#!/bin/sh
sed '/^syscall $clock_gettime/r {step}.set' "$1" >{step}.pl
shift
exec {perl} {step}.pl "$@"
"""


@pytest.fixture(params=["dash", "dash without perl", "busybox", "bash without perl"])
def target(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """A target whose clock is ahead by the seconds in the file `step`."""
    target = make_target(request.param, tmp_path, tmp_path_factory)
    fakes, step = tmp_path / "fakes", tmp_path / "step"
    fakes.mkdir()
    (tmp_path / "step.set").write_text(SET_CLOCK.format(step=step))
    programs = {"date": FAKE_DATE.format(date=shutil.which("date", path=target.path), step=step)}
    if target.sh.resolve().name != "busybox":
        programs["perl"] = FAKE_PERL.format(perl=shutil.which("perl"), step=step)
    for name, text in programs.items():
        (fakes / name).write_text(text)
        (fakes / name).chmod(0o755)
    target.path = f"{fakes}:{target.path}"
    return target


@pytest.mark.parametrize("step", [7200, -7200])
def test_a_clock_that_is_set(target: Target, tmp_path: Path, step: int) -> None:
    script = target.script(f"sleep 0.6; echo {step} >{tmp_path}/step; sleep 0.6", timeout=30)
    before = time.time()
    reply = target.finish(script)
    assert (reply.state, reply.rc) == (State.DONE, 0)
    assert reply.begin is not None and reply.end is not None and reply.clock_step is not None
    assert abs(reply.begin.timestamp() - before) < 5
    assert abs(reply.end.timestamp() - before - step) < 10
    assert abs(reply.clock_step - step) < 2
    capture = Capture(tmp_path, "h")
    capture.close()
    result = task_result(Kind.OK, "", script, Ending(reply), capture, metrics={})
    assert 1.1 < result["elapsed"] < 4
    assert result["clock_step"] == reply.clock_step
    target.assert_gone(script)


@pytest.mark.parametrize("step", [7200, -7200])
def test_a_deadline_by_a_clock_that_is_set(target: Target, tmp_path: Path, step: int) -> None:
    script = target.script(f"echo {step} >{tmp_path}/step; trap '' TERM; while :; do sleep 0.1; done", timeout=2)
    begun = time.monotonic()
    reply = target.finish(script)
    assert reply.why == "timeout"
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize("step", [7200, -7200])
def test_a_start_together_by_a_clock_that_is_set(target: Target, tmp_path: Path, step: int) -> None:
    """Between the question for it and the release: the start is by the clock as it was."""
    script = target.script("echo done", hold=30, timeout=30)
    assert target.start(script, wait=0).state is State.RUNNING
    time.sleep(0.5)
    asked = time.time()
    (tmp_path / "step").write_text(str(step))
    assert Follower(target, script, lambda out, err: None).release(asked + 1.5) is not None
    reply = target.finish(script, target.poll(script))
    assert (reply.state, reply.out) == (State.DONE, b"done\n")
    assert reply.begin is not None
    coarse = target.sh.resolve().name == "busybox"  # whose `date` knows whole seconds only
    assert (-1.1 if coarse else -0.1) < reply.begin.timestamp() - asked - 1.5 < 1.5
    target.assert_gone(script)


@pytest.mark.parametrize(
    ("ends", "elapsed", "step"),
    [
        (("100.5", "102.75", "7.0", "9.25"), 2.25, None),
        (("100.5", "102.75", "", ""), 2.25, None),
        (("100", "103", "7.10", "9.35"), 2.25, None),
        (("100", "7303", "7.10", "9.35"), 2.25, 7200.75),
        (("7300.5", "102.75", "7.0", "9.25"), 2.25, -7200.0),
        (("100.5", "102.76", "7.0", "9.25"), 2.26, None),
    ],
    ids=["agreed", "unknown", "whole seconds", "forward", "back", "finer"],
)
def test_two_clocks(ends: tuple[str, str, str, str], elapsed: float, step: float | None) -> None:
    begin, end, begin_up, end_up = ends
    header = f"ansible_env:n state=done rc=0 begin={begin} end={end} begin_up={begin_up} end_up={end_up}\n"
    reply = parse_reply(header.encode(), "n")
    assert reply.begin is not None and reply.end is not None
    assert reply.clock_step == step
    assert (reply.end - reply.begin).total_seconds() - (step or 0) == pytest.approx(elapsed, abs=0.001)
