"""The supervisor under the shells that hosts have as /bin/sh: status, output, connections, clean-up."""

from __future__ import annotations

import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ansible_env.supervisor.protocol import State
from ansible_env.supervisor.script import poll_payload, start_payload
from tests.unit.supervisor.pipes import NONCE, SHELLS, Target, at_once, background, eventually, make_target

WAIT = "until [ -e go-on ]; do sleep 0.1; done"
"""In a script: for the test. What is seen before that does not hang on how fast the machine is."""


@pytest.fixture(params=SHELLS)
def target(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return make_target(request.param, tmp_path, tmp_path_factory)


def test_exit_status_as_it_was(target: Target) -> None:
    codes = [0, 1, 2, 126, 127, 128, 137, 255]
    replies = at_once(target, [f"echo out; echo err >&2; exit {rc}" for rc in codes])
    assert [reply.rc for reply in replies] == codes
    assert {(reply.state, reply.signaled, reply.out, reply.err) for reply in replies} == {
        (State.DONE, False, b"out\n", b"err\n")
    }


def test_a_signal_is_told_from_an_exit_status(target: Target) -> None:
    signals = [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT]
    replies = at_once(target, [f"kill -{number.name[3:]} $$" for number in signals])
    assert [(reply.rc, reply.signaled) for reply in replies] == [(128 + number, True) for number in signals]


def test_nothing_is_left_of_a_script(target: Target) -> None:
    script = target.script("echo hello")
    assert target.start(script).out == b"hello\n"
    target.assert_gone(script)
    assert list(target.base.iterdir()) == []


def test_times_are_the_targets_own(target: Target) -> None:
    before = datetime.now(UTC)
    reply = target.run("sleep 0.3")
    assert reply.begin is not None and reply.end is not None
    assert before - timedelta(seconds=1) <= reply.begin <= reply.end <= datetime.now(UTC) + timedelta(seconds=1)
    fraction = target.sh.resolve().name != "busybox"  # whose `date` knows whole seconds only
    assert (0.2 if fraction else 0) <= (reply.end - reply.begin).total_seconds() < 10


def test_stdin_is_empty(target: Target) -> None:
    reply = target.run('read x; echo "$?"; cat; echo end')
    assert reply.out == b"1\nend\n"


def test_a_script_waits_for_nobody(target: Target) -> None:
    """The waiter is woken by the end of the script: the tick is for output only."""
    start = time.monotonic()
    assert target.start(target.script("sleep 0.2"), tick=8).state is State.DONE
    assert time.monotonic() - start < 4


@pytest.mark.slow
def test_output_is_followed_and_comes_in_pieces(target: Target) -> None:
    script = target.script(f"echo one; {WAIT}; printf two; sleep 1.3; printf '\\nthree' >&2; exit 3")
    reply = target.start(script)
    assert (reply.state, reply.out) == (State.RUNNING, b"one\n")
    (target.base / "go-on").touch()
    reply = target.finish(script, reply)
    assert (reply.out, reply.err, reply.rc) == (b"one\ntwo", b"\nthree", 3)
    target.assert_gone(script)


def test_more_output_than_fits_into_one_answer(target: Target) -> None:
    script = target.script('i=0; while [ $i -lt 4000 ]; do echo "line $i"; i=$((i + 1)); done; echo end >&2')
    expected = b"".join(b"line %d\n" % number for number in range(4000))
    reply = target.start(script, chunk=10_000)
    assert len(reply.out) <= 10_000
    assert target.directory(script).is_dir()
    reply = target.finish(script, reply, chunk=10_000)
    assert (reply.out, reply.err, reply.rc) == (expected, b"end\n", 0)
    target.assert_gone(script)


def test_twenty_megabytes(target: Target) -> None:
    reply = target.start(target.script("head -c 20000000 /dev/zero | tr '\\0' x; echo; echo end"), chunk=30_000_000)
    assert len(reply.out) == 20_000_005
    assert reply.out.endswith(b"x\nend\n")


def test_what_is_written_to_dev_stdout_and_dev_stderr_is_kept(target: Target) -> None:
    """As through a pipe: opening /dev/stdout anew must not truncate what is there."""
    reply = target.run("echo 1; echo 2 >/dev/stdout; echo 3; echo a >&2; echo b >/dev/stderr; echo c | tee /dev/stderr")
    assert (reply.out, reply.err) == (b"1\n2\n3\nc\n", b"a\nb\nc\n")


def test_signals_are_as_the_system_has_them(target: Target) -> None:
    """`timeout -s INT` and `kill -INT` must reach what a script measures with: nothing may be ignored from above."""
    text = "grep -E '^Sig(Ign|Blk)' /proc/self/status; trap 'echo trapped' INT QUIT; kill -INT $$; kill -QUIT $$"
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup make test` ignores it, for everything below as well
    try:
        reply = target.run(text)
    finally:
        signal.signal(signal.SIGHUP, former)
    masks = [int(line.split()[1], 16) for line in reply.out.decode().splitlines()[:2]]
    standard = 2**31 - 1  # signals 1 to 31; a real-time one may be ignored by whoever started the tests
    assert [mask & standard for mask in masks] == [0, 0]
    assert reply.out.endswith(b"trapped\ntrapped\n")


# -- the connection ----------------------------------------------------------------------------------------------------


def test_half_a_payload_runs_nothing(target: Target) -> None:
    script = target.script("touch ran")
    payload = start_payload(script, NONCE, wait=5, tick=1)
    for part in (0.1, 0.5, 0.9, 0.99):
        assert target.exchange(payload[: int(len(payload) * part)]) == b""
        assert target.exchange(payload[: len(payload) - 3]) == b""
    assert not target.directory(script).exists()
    assert not (target.base / "ran").exists()


def test_start_twice_runs_once(target: Target) -> None:
    script = target.script("echo x >>ran; sleep 1; cat ran")
    with ThreadPoolExecutor() as pool:
        replies = list(pool.map(lambda _: target.start(script, wait=5), range(3)))
    assert {reply.state for reply in replies} <= {State.RUNNING, State.DONE}
    assert eventually(lambda: target.poll(script).state in (State.DONE, State.GONE))
    assert (target.base / "ran").read_text() == "x\n"
    target.drop(script)
    target.assert_gone(script)


@pytest.mark.slow
def test_many_may_follow_one_script(target: Target) -> None:
    script = target.script("sleep 1.5; exit 3")
    target.start(script, wait=0)
    with ThreadPoolExecutor() as pool:
        replies = list(pool.map(lambda _: target.poll(script), range(6)))
    assert {(reply.state, reply.rc) for reply in replies} == {(State.DONE, 3)}
    assert not list(target.directory(script).glob("w.*"))
    target.drop(script)
    target.assert_gone(script)


def test_the_starter_does_not_drop_what_another_reads(target: Target) -> None:
    script = target.script(f"{WAIT}; echo end")
    with ThreadPoolExecutor() as pool:
        starting = pool.submit(target.start, script)
        assert eventually(lambda: target.poll(script, wait=0).state is State.RUNNING)
        (target.base / "go-on").touch()
        starting.result()
    reply = target.finish(script, target.poll(script))
    assert (reply.state, reply.out) == (State.DONE, b"end\n")
    target.assert_gone(script)


@pytest.mark.slow
def test_a_poller_that_is_killed_leaves_the_script_alone(target: Target) -> None:
    script = target.script(f"{WAIT}; echo end")
    target.start(script, wait=0)
    payload = poll_payload(script.directory, NONCE, out=0, err=0, wait=60, tick=1)
    with background([str(target.sh), "-s"], stdin=subprocess.PIPE, env={"PATH": target.path}) as poller:
        assert poller.stdin is not None
        poller.stdin.write(payload.replace("/bin/sh", str(target.sh)).encode())
        poller.stdin.close()
        assert eventually(lambda: list(target.directory(script).glob("w.*")))
    (target.base / "go-on").touch()
    reply = target.finish(script, target.poll(script))
    assert (reply.state, reply.out) == (State.DONE, b"end\n")
    target.assert_gone(script)


def test_a_stale_waiter_is_nobody_elses_pid(target: Target) -> None:
    """Whoever has got the pid of a waiter that was killed must not be signalled: SIGUSR1 ends most programs."""
    script = target.script("sleep 1")
    target.start(script, wait=0)
    with background(["sleep", "60"]) as innocent:
        (target.directory(script) / f"w.{innocent.pid}").touch()
        assert target.poll(script).state is State.DONE
        time.sleep(0.2)
        assert innocent.poll() is None
    target.drop(script)


def test_a_killed_supervisor_is_a_lost_result(target: Target) -> None:
    script = target.script("echo begun; sleep 300")
    target.start(script, wait=1)
    supervisor = (target.directory(script) / "sup").read_text().strip()
    subprocess.run(["kill", "-9", supervisor], check=True)
    reply = target.poll(script)
    assert (reply.state, reply.rc, reply.out) == (State.LOST, None, b"begun\n")
    target.drop(script)
    target.assert_gone(script)


def test_no_directory(target: Target) -> None:
    script = target.script("")
    assert target.poll(script).state is State.GONE
    assert target.stop(script).state is State.GONE
    assert target.drop(script).state is State.GONE
    assert target.poll(script).boot_id


# -- what can be missing -----------------------------------------------------------------------------------------------


def test_no_such_shell(target: Target) -> None:
    script = target.script("echo hello", shell="no-such-shell")
    assert target.start(script).state is State.NO_SHELL
    target.assert_gone(script)


def test_a_directory_that_cannot_be_made(target: Target) -> None:
    script = target.script("echo hello", base=str(target.base / "missing"))
    assert target.start(script).state is State.ERROR
    target.assert_gone(script)
