"""A poll that waits is told of all news, also of what came while nobody was waiting."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ansible_env.supervisor import State
from tests.unit.supervisor_pipes import eventually, make_target


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
