"""What can happen to an engine: workers are killed, signals blocked, its directory is removed, its process forked."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ansible_env import ColdEngine, Kind, SessionEngine, WarmEngine
from tests.engines import ALL
from tests.faults.bench import Bench, until

pytestmark = pytest.mark.ssh
all_engines = pytest.mark.parametrize("engine", ALL, indirect=True)
KINDS = {"warm": WarmEngine, "cold": ColdEngine, "session": SessionEngine}
ROOT = Path(__file__).resolve().parents[2]


def waiting(engine) -> list[int]:
    """The workers that wait for a script."""
    lines = [line for path in engine._directory().glob("run-*/workers") for line in path.read_text().splitlines()]
    return [int(line[1:].split()[0]) for line in lines if line[0] == "+" and f"-{line[1:]}" not in lines]


def kill_a_worker(bench: Bench, scripts: int) -> threading.Thread:
    """Kill a worker, as the kernel does when memory is short, once so many scripts sleep."""

    def kill() -> None:
        until(lambda: sum(process.name == "sleep" for process in bench.scripts()) == scripts, "the scripts")
        os.kill(waiting(bench.engine)[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


@all_engines
def test_a_killed_worker_leaves_no_script(remote: Bench):
    """Ansible gives up the whole run then. Before a teardown or a next trial, the scripts of all hosts are ended."""
    with remote.env(limit=None, run="echo begun; sleep 300") as env:
        thread = kill_a_worker(remote, 3)
        result = env.run_phase("run")
        thread.join()
        left = remote.scripts()
    assert not left
    assert {host.kind for host in result.hosts.values()} == {Kind.CONTROLLER}
    assert "dead state" in result.message
    remote.assert_clean()


@all_engines
def test_a_killed_worker_leaves_no_step_of_several(local: Bench):
    """Also the scripts of a later step, and one in the background."""
    steps = [{"name": "Server", "script": "sleep 301", "background": "until_end"}, "true", "echo begun; sleep 300"]
    with local.env(run=steps) as env:
        thread = kill_a_worker(local, 2)
        result = env.run_phase("run")
        thread.join()
        left = local.scripts()
    assert not left
    assert [host.kind for host in result.hosts.values()] == [Kind.CONTROLLER]
    local.assert_clean()


def test_after_a_killed_worker_a_retry_starts_anew(remote: Bench):
    script = "if [ -e /tmp/second ]; then echo again; else touch /tmp/second; sleep 300; fi"
    with remote.env(limit=None, run=script, teardown="rm -f /tmp/second", retries=1, retry_on=["controller"]) as env:
        thread = kill_a_worker(remote, 3)
        result = env.run_phase("run")
        thread.join()
        env.teardown()
    assert [(host.kind, host.attempts, host.stdout) for host in result.hosts.values()] == [(Kind.OK, 2, "again\n")] * 3
    remote.assert_clean()


BLOCKED = """
import json, signal, sys, threading
from ansible_env import Kind
from tests.faults.test_engine import KINDS, Bench
signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
engine = KINDS[sys.argv[1]]()
bench = Bench(engine, None, Path(sys.argv[2]))
kinds = [bench.host("echo done", options=None).kind for _ in range(2)]
with bench.env(run="echo begun; sleep 300") as env:
    threading.Thread(target=lambda: (bench.until_begun(), env.cancel())).start()
    kinds += [host.kind for host in env.run_phase("run").hosts.values()]
engine.close()
bench.assert_clean()
print(*kinds)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_caller_that_blocks_all_signals(tmp_path, kind):
    """As programs with signalfd or sigwait do: what they start would never hear of its children's end."""
    program = "from pathlib import Path\n" + BLOCKED
    words = [sys.executable, "-c", program, kind, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.stdout.split() == ["ok", "ok", "canceled"], done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_directory_that_was_removed_is_made_anew(tmp_path, kind):
    """By a cleaner of /tmp, while the engine had nothing to do."""
    with contextlib.closing(KINDS[kind]()) as engine:
        bench = Bench(engine, None, tmp_path)
        assert bench.host("echo one").stdout == "one\n"
        # A session engine's processes may just be writing into it.
        until(lambda: shutil.rmtree(engine._base, ignore_errors=True) or not engine._base.exists(), "the removal")
        assert bench.host("echo two").stdout == "two\n"
        shutil.rmtree(engine._base / "cp")
        assert bench.host("echo three").stdout == "three\n"
        base = engine._base
    assert not base.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fork_of_the_caller_leaves_the_engine_alone(tmp_path, kind):
    """It closes the engine on its way out, and may use it before; what the engine has is its parent's."""
    engine = KINDS[kind]()
    bench = Bench(engine, None, tmp_path)
    assert bench.host("echo one").stdout == "one\n"
    base = engine._base
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            engine.close()
            assert bench.host("echo two").stdout == "two\n"
            assert engine._base != base
            engine.close()
            assert not engine._base
            status = 0
        os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert engine._base == base
    assert base.is_dir()
    assert bench.host("echo three").stdout == "three\n"
    engine.close()
    assert not base.exists()


def test_a_fork_that_lives_on_does_not_keep_the_server(tmp_path):
    """It has a copy of the pipe that the server watches."""
    engine = WarmEngine()
    assert Bench(engine, None, tmp_path).host("true").kind is Kind.OK
    (server,) = engine._servers.values()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    thread = threading.Thread(target=engine.close)
    thread.start()
    thread.join(5)
    in_time = not thread.is_alive()
    os.close(write)
    os.waitpid(pid, 0)
    thread.join()
    assert in_time
    assert server._process.returncode == 0
