"""How scripts are ended, under the shells that hosts have as /bin/sh: deadline, cancel, what they leave running."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_env.results.outcomes import Kind
from ansible_env.supervisor.ending import Ending
from ansible_env.supervisor.protocol import Reply, State
from ansible_env.supervisor.script import MARKER, start_payload
from ansible_env.supervisor.verdict import verdict
from tests.unit.supervisor.pipes import NONCE, SHELLS, Target, at_once, background, eventually, make_target, processes


def writers(path: Path) -> list[int]:
    """The processes that have a file open."""
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if path in [entry.readlink() for entry in (process / "fd").iterdir()]:
                pids.append(int(process.name))
    return pids


@pytest.fixture(params=SHELLS)
def target(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return make_target(request.param, tmp_path, tmp_path_factory)


# -- deadline ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_deadline(target: Target) -> None:
    script = target.script("echo begun; sleep 300; echo never", timeout=2)
    start = time.monotonic()
    reply = target.finish(script)
    assert (reply.state, reply.why, reply.out) == (State.DONE, "timeout", b"begun\n")
    assert reply.begin is not None and reply.end is not None
    assert 1.9 < (reply.end - reply.begin).total_seconds() < 10
    assert time.monotonic() - start < 15
    target.assert_gone(script)


def test_a_script_without_its_directory(target: Target) -> None:
    """It is found by the name in the environment of its processes; setsid does not hide them."""
    script = target.script("setsid sleep 300 & trap '' TERM; while :; do sleep 0.1; done")
    assert target.start(script, wait=0).state is State.RUNNING
    assert eventually(lambda: len(processes(f"{MARKER}={script.run_id}")) >= 3)
    shutil.rmtree(target.directory(script))
    reply = target.stop(script, wait=4)
    assert (reply.state, reply.left) == (State.GONE, ())
    assert not processes(f"{MARKER}={script.run_id}")
    assert eventually(lambda: not processes(script.run_id), 5), processes(script.run_id)
    assert target.stop(script, wait=4).left == ()


STUBBORN = [
    "trap '' TERM HUP INT; while :; do sleep 0.1; done",
    "(trap '' TERM; sleep 300; sleep 301) & trap 'sleep 302' TERM; sleep 303",
    "sleep 300 & sleep 301 & kill -STOP $$",
    "timeout 300 sleep 290 & sleep 301",  # `timeout` leaves the process group
]


@pytest.mark.slow
def test_deadline_of_what_does_not_want_to_end(target: Target) -> None:
    for reply in at_once(target, [f"echo begun\n{text}" for text in STUBBORN], timeout=2):
        assert (reply.state, reply.why, reply.left, reply.out) == (State.DONE, "timeout", (), b"begun\n")


def test_a_deadline_holds_without_anybody_asking(target: Target) -> None:
    script = target.script("sleep 300", timeout=1)
    assert target.start(script, wait=0).state is State.RUNNING
    assert eventually(lambda: processes(f"{MARKER}={script.run_id}"))
    assert eventually(lambda: (target.directory(script) / "result").exists())
    assert not processes(f"{MARKER}={script.run_id}")
    assert target.poll(script).why == "timeout"
    target.drop(script)
    target.assert_gone(script)


@pytest.mark.slow
def test_a_script_that_ended_in_time_did_not_time_out(target: Target) -> None:
    """Also if what it left behind takes until after the deadline to be ended."""
    script = target.script("(trap '' TERM; sleep 300; sleep 300) & sleep 0.3; exit 0", timeout=3, grace=4)
    reply = target.finish(script)
    assert (reply.state, reply.rc, reply.why) == (State.DONE, 0, "")
    target.assert_gone(script)


# -- background processes ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_a_script_leaves_running_is_ended(target: Target) -> None:
    texts = ["sleep 300 &", "timeout 300 sleep 290 &", "(sleep 300; sleep 301) & (sleep 302 &)"]
    start = time.monotonic()
    for reply in at_once(target, [f"{text}\nsleep 0.2; echo end" for text in texts], grace=20):
        assert (reply.state, reply.rc, reply.out) == (State.DONE, 0, b"end\n")
    assert time.monotonic() - start < 15


def test_zombies_are_not_waited_for(target: Target) -> None:
    """In a container without an init nobody takes them away."""
    leave = "import os, time; os.fork() or os._exit(0); os.setsid(); time.sleep(60)"
    script = target.script(f"{sys.executable} -c '{leave}' >/dev/null 2>&1 & echo $!; sleep 0.5", grace=20)
    start = time.monotonic()
    reply = target.finish(script)
    subprocess.run(["kill", "-9", reply.out.decode().strip()], check=False)  # it was ended with the others
    assert reply.rc == 0
    assert time.monotonic() - start < 15
    target.assert_gone(script)


def test_what_may_be_left_running_lives_on(target: Target) -> None:
    script = target.script("sleep 290 & echo $!", reap=False)
    reply = target.finish(script)
    assert (reply.state, reply.rc) == (State.DONE, 0)
    left = processes(f"{MARKER}={script.run_id}")
    subprocess.run(["kill", "-9", reply.out.decode().strip()], check=True)
    assert len(left) == 1
    target.assert_gone(script)


ESCAPES = {
    "setsid": "setsid sleep 291 >/dev/null & sleep 0.3",
    "double fork": "setsid sh -c '(sleep 291 &) ; exit 0'; sleep 0.2",
    "nohup": 'trap "" HUP; setsid sleep 291 >/dev/null 2>&1 & sleep 0.3',
    "output": "setsid sleep 291 & sleep 0.3",
    "deaf": "setsid sh -c 'trap \"\" TERM; sleep 291; sleep 291' & sleep 0.3",
    "env -i": "env -i setsid sleep 291 & sleep 0.3",
}


def assert_ended(reply: Reply) -> None:
    for name in reply.escaped:
        stat = Path("/proc", name.split()[0], "stat")
        assert eventually(lambda: not stat.exists() or ") Z" in stat.read_text()), name  # noqa: B023 - called at once


@pytest.mark.parametrize("how", ESCAPES)
def test_what_has_left_the_session_is_ended_and_reported(target: Target, how: str) -> None:
    """Unless nothing shows where it came from: without its name in the environment, only Perl's supervisor knows."""
    usage = target.run("true").after
    if how == "env -i" and (usage is None or usage.max_rss is None):
        pytest.skip("no perl on this target")
    script = target.script(ESCAPES[how])
    reply = target.finish(script)
    assert (reply.state, reply.rc, reply.left) == (State.DONE, 0, ())
    assert {name.split()[1] for name in reply.escaped} <= {"sleep", "sh", target.sh.name} and reply.escaped
    assert_ended(reply)
    target.assert_gone(script)


def test_what_has_left_the_session_is_ended_at_the_deadline(target: Target) -> None:
    reply = target.finish(script := target.script("setsid sleep 292 & sleep 292", timeout=1))
    assert (reply.state, reply.why) == (State.DONE, "timeout")
    assert [name.split()[1] for name in reply.escaped] == ["sleep"]
    assert_ended(reply)
    target.assert_gone(script)


def test_what_may_live_on_is_reported(target: Target) -> None:
    script = target.script("setsid sleep 293 >/dev/null 2>&1 & echo $!; sleep 0.3", reap=False)
    reply = target.finish(script)
    try:
        assert reply.escaped == (f"{reply.out.decode().strip()} sleep",)
        assert Path("/proc", reply.out.decode().strip()).exists()
    finally:
        subprocess.run(["kill", "-9", reply.out.decode().strip()], check=True)
    target.assert_gone(script)


@pytest.mark.slow
def test_a_session_of_its_own_lives_on(target: Target) -> None:
    """Its output must not break it."""
    text = "setsid sh -c 'echo $$ >pid; sleep 1; echo late; echo ok >said; exec sleep 290' & sleep 0.3"
    script = target.script(text, reap=False)
    start = time.monotonic()
    reply = target.finish(script)
    assert (reply.state, reply.rc) == (State.DONE, 0)
    assert time.monotonic() - start < 8
    try:
        assert eventually((target.base / "said").exists, 5)
    finally:
        subprocess.run(["kill", "-9", (target.base / "pid").read_text().strip()], check=True)
    target.assert_gone(script)


def test_what_is_printed_after_the_end_does_not_count(target: Target) -> None:
    """Of either stream; and the end is not waited for where somebody has the pipes."""
    later = "setsid sh -c 'sleep 0.7; echo score=1; echo score=1 >&2; sleep 1' &"
    texts = [f"{later} sleep 0.2; echo score=5; echo score=6 >&2", f"{later} seq 30000; echo score=5; echo score=6 >&2"]
    scripts = [target.script(text) for text in texts]
    with ThreadPoolExecutor() as pool:
        replies = list(pool.map(target.finish, scripts))
    for reply in replies:
        assert (reply.state, reply.rc, reply.out[-8:], reply.err) == (State.DONE, 0, b"score=5\n", b"score=6\n")
        assert reply.begin is not None and reply.end is not None
    assert replies[1].out == b"".join(b"%d\n" % number for number in range(1, 30001)) + b"score=5\n"
    for script in scripts:
        assert eventually(lambda: not processes(script.run_id), 5)  # noqa: B023 - called at once
        target.assert_gone(script)


@pytest.mark.parametrize("stream", ["out", "err"])
def test_a_collector_that_is_killed(target: Target, stream: str) -> None:
    """What it had was lost, and that is what is said, not that the disk is full; the deadline holds all the same."""
    script = target.script("echo begun; trap '' PIPE; sleep 1; echo more; sleep 1; exit 0", timeout=30)
    assert target.start(script, wait=0).state is State.RUNNING
    out = target.directory(script) / "out"
    assert eventually(lambda: out.exists() and out.read_text() == "begun\n")
    collectors = writers(target.directory(script) / stream)
    assert collectors
    for pid in collectors:
        os.kill(pid, signal.SIGKILL)
    reply = target.finish(script, target.poll(script))
    assert (reply.state, reply.why) == (State.DONE, "collector")
    kind, message = verdict(Ending(reply), script)
    assert (kind, "killed" in message, "full" in message) == (Kind.LOST_RESULT, True, False)
    target.assert_gone(script)


def test_a_deadline_holds_if_a_collector_is_killed(target: Target) -> None:
    script = target.script("echo begun; exec sleep 300", timeout=2)
    assert target.start(script, wait=0).state is State.RUNNING
    out = target.directory(script) / "out"
    assert eventually(lambda: out.exists() and out.read_text() == "begun\n")
    for pid in writers(out):
        os.kill(pid, signal.SIGKILL)
    assert eventually((target.directory(script) / "result").exists, 15)
    assert target.poll(script).why == "timeout"
    target.drop(script)
    target.assert_gone(script)


# -- cancel ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_cancel(target: Target) -> None:
    script = target.script("echo begun; trap '' TERM HUP; while :; do sleep 0.1; done", timeout=60)
    assert target.start(script).state is State.RUNNING
    reply = target.stop(script)
    assert (reply.state, reply.why, reply.out) == (State.DONE, "canceled", b"begun\n")
    assert target.stop(script, "timeout").why == "canceled"  # the first reason counts
    target.drop(script)
    target.assert_gone(script)


def test_cancel_at_once(target: Target) -> None:
    """However early it comes, the script does not go on."""
    script = target.script("sleep 300; echo never")
    with background([str(target.sh), "-s"], stdin=subprocess.PIPE, env={"PATH": target.path}) as starter:
        assert starter.stdin is not None
        payload = start_payload(script, NONCE, wait=0, tick=1).replace("/bin/sh", str(target.sh))
        starter.stdin.write(payload.encode())
        starter.stdin.close()
        assert eventually(lambda: target.directory(script).exists(), pause=0)
        assert eventually(lambda: target.stop(script).state is not State.GONE, pause=0)
        starter.wait(10)
    reply = target.poll(script)
    assert (reply.why, reply.out) == ("canceled", b"")
    target.drop(script)
    target.assert_gone(script)


def test_cancel_after_the_end_changes_nothing(target: Target) -> None:
    script = target.script("echo done; exit 3")
    target.start(script, wait=0, drop=False)
    assert eventually(lambda: target.poll(script).state is State.DONE)
    reply = target.stop(script)
    assert (reply.state, reply.rc, reply.why) == (State.DONE, 3, "")
    target.drop(script)
    target.assert_gone(script)
