"""A poll that waits is told of all news, also of what came while nobody was waiting."""

from __future__ import annotations

import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_env.supervisor.protocol import State
from tests.unit.supervisor.pipes import PATH, Target, eventually, make_target


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["dash", "busybox", "bash"])
def test_what_was_printed_between_two_polls(
    shell: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It does not lie there until there is more output, or until the poll's time is up."""
    target = make_target(shell, tmp_path, tmp_path_factory)
    gate = tmp_path / "gate"
    script = target.script(
        f"echo one; while [ ! -e {gate} ]; do sleep 0.1; done; echo two; exec sleep 300", timeout=600
    )
    assert target.start(script, wait=1).out == b"one\n"
    gate.touch()
    assert eventually(lambda: (target.directory(script) / "out").read_bytes() == b"one\ntwo\n")
    time.sleep(0.1)  # the clock of the file system ticks some 100 times a second
    begun = time.monotonic()
    reply = target.poll(script, out=4, wait=50)
    assert (reply.state, reply.out) == (State.RUNNING, b"two\n")
    assert time.monotonic() - begun < 25  # half of what it takes if the news goes unseen
    target.finish(script, target.stop(script, out=8))
    target.assert_gone(script)


@pytest.fixture
def sleeps(target: Target, tmp_path: Path) -> Path:
    """Each process that only sleeps leaves a line here."""
    tools = tmp_path / "counted"
    tools.mkdir()
    (tools / "sleep").write_text(f'#!/bin/sh\necho "$@" >>"{tmp_path}/sleeps"\nexec /bin/sleep "$@"\n')
    (tools / "sleep").chmod(0o755)
    target.path = f"{tools}:{PATH}"
    (tmp_path / "sleeps").touch()
    return tmp_path / "sleeps"


@pytest.fixture
def target(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return make_target("dash", tmp_path, tmp_path_factory)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("perl"), reason="no perl here")
@pytest.mark.parametrize("environ", [{}, {"PERL5OPT": "-w"}], ids=["perl", "no perl"])
def test_a_perl_needs_no_process_for_each_look(target: Target, sleeps: Path, environ: dict[str, str]) -> None:
    """A process each second would cost the benchmark some 0.2 % of a core."""
    script = target.script("exec /bin/sleep 300", timeout=600)
    target.start(script, wait=0)
    target.environ.update(environ)
    begun = time.monotonic()
    assert target.poll(script, wait=4).state is State.RUNNING
    assert time.monotonic() - begun > 3.5
    assert sleeps.read_text() == ("" if not environ else "1\n" * 4)
    target.finish(script, target.stop(script))
    target.assert_gone(script)


@pytest.mark.slow
@pytest.mark.parametrize("fake", ["exit 0", "exit 1", "kill -9 $$", None])
def test_a_wait_with_a_perl_that_does_not_work(target: Target, tmp_path: Path, fake: str | None) -> None:
    """It is asked once, and the wait goes on without it."""
    script = target.script("exec sleep 300", timeout=600)
    target.start(script, wait=0)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "perl").write_text(f"#!/bin/sh\necho asked >>{tmp_path}/asked\n{fake}\n" if fake else "no program")
    (broken / "perl").chmod(0o755)
    target.path = f"{broken}:{PATH}"
    begun = time.monotonic()
    assert target.poll(script, wait=3).state is State.RUNNING
    assert time.monotonic() - begun > 2.5
    assert fake is None or (tmp_path / "asked").read_text() == "asked\n"
    target.finish(script, target.stop(script))
    target.assert_gone(script)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dash", "dash without perl", "busybox"])
def test_a_supervisor_that_was_killed_is_news(
    kind: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = make_target(kind, tmp_path, tmp_path_factory)
    script = target.script("exec sleep 300", timeout=600)
    target.start(script, wait=0)
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(target.poll, script, wait=50)
        assert eventually(lambda: [*target.directory(script).glob("w.*")])
        os.kill(int((target.directory(script) / "sup").read_text()), signal.SIGKILL)
        assert waiting.result().state is State.LOST
    assert time.monotonic() - begun < 25
    target.drop(script)
    target.assert_gone(script)
