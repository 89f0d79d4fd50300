"""A target whose file system is full: before a script is started, between two steps of that, and while it runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ansible_env.results.outcomes import Kind
from ansible_env.supervisor.ending import Pace
from ansible_env.supervisor.follow import Follower
from ansible_env.supervisor.protocol import State
from ansible_env.supervisor.script import Script
from ansible_env.supervisor.verdict import verdict
from tests.unit.supervisor.pipes import Target, background, eventually, make_target, processes

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nsenter") is None, reason="wants root and nsenter")
FILL = """head -c 10000000 /dev/zero >"$BASE/fill" 2>/dev/null
i=0; while true >"$BASE/i$((i += 1))"; do :; done 2>/dev/null"""


@dataclass
class SmallTarget(Target):
    """A target with a small file system of its own, in a mount namespace of its own."""

    holder: int = 0

    def exchange(self, payload: str, limit: float = 60) -> bytes:
        enter = ["nsenter", "-t", str(self.holder), "-m", str(self.sh), "-s"]
        text = payload.replace("/bin/sh", str(self.sh)).encode()
        env = {"PATH": self.path, "HOME": "/", **self.environ}
        return subprocess.run(enter, input=text, capture_output=True, check=False, env=env, timeout=limit).stdout

    @property
    def disk(self) -> Path:
        """The file system as it is seen from here."""
        return Path(f"/proc/{self.holder}/root{self.base}")

    def directory(self, script: Script) -> Path:
        return self.disk / super().directory(script).name

    def assert_gone(self, script: Script) -> None:
        super().assert_gone(script)
        assert not list(self.disk.glob("ansible_env.*"))


@contextlib.contextmanager
def small(target: Target, options: str) -> Iterator[SmallTarget]:
    """Give a target a file system with some options."""
    base = target.base.parent / "".join(filter(str.isalnum, options))
    base.mkdir()
    command = f"mount -t tmpfs -o {options} small {base} && echo ready && exec sleep 600"
    unshare = ["unshare", "-m", "--propagation", "private", "sh", "-c", command]
    with background(unshare, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        yield SmallTarget(target.sh, base, target.path, target.environ, holder.pid)


@pytest.fixture(params=["dash", "dash without perl", "busybox", "bash", "bash without perl"])
def target(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return make_target(request.param, tmp_path, tmp_path_factory)


def follow(target: Target, script: Script) -> tuple[Kind, str, bytes, float]:
    """Run a script to its end: kind, message, output, and how long it took."""
    out = bytearray()
    begun = time.monotonic()
    ending = Follower(target, script, lambda more, _: out.extend(more), Pace(reconnect=5)).start()
    return *verdict(ending, script), bytes(out), time.monotonic() - begun


ROOM = [f"nr_inodes={number}" for number in range(1, 31)] + [f"size={4 * number}k" for number in range(1, 24)]


def test_any_room(target: Target) -> None:
    """Inode by inode, page by page: it runs as it should, or is said not to have been started; and it is gone."""

    def check(options: str) -> Kind:
        with small(target, options) as disk:
            script = disk.script("echo done; exit 3", timeout=60)
            kind, message, out, seconds = follow(disk, script)
            started = kind is Kind.EXIT and out == b"done\n"
            full = kind is Kind.NO_SPACE and "full" in message
            assert started or full, (options, kind, message, out)
            assert seconds < 15, (options, seconds)
            disk.assert_gone(script)
            return kind

    with ThreadPoolExecutor(4) as pool:
        kinds = list(pool.map(check, ROOM))
    assert set(kinds) == {Kind.EXIT, Kind.NO_SPACE}


ENDS = {Kind.TIMEOUT: "exec sleep 300", Kind.SIGNAL: "kill -9 $$", Kind.EXIT: "exit 3"}


@pytest.mark.parametrize("keep_running", [False, True], ids=["", "keep_running"])
@pytest.mark.parametrize("end", ENDS)
def test_a_script_that_fills_it(target: Target, end: Kind, keep_running: bool) -> None:
    """How it ends is known all the same."""
    with small(target, "size=400k,nr_inodes=60") as disk:
        timeout = 2 if end is Kind.TIMEOUT else 30
        script = disk.script(f"{FILL}\n{ENDS[end]}", env={"BASE": str(disk.base)}, timeout=timeout)
        script = replace(script, reap=not keep_running)
        begun = time.monotonic()
        assert follow(disk, script)[0] is end
        assert time.monotonic() - begun < 15
        assert (disk.disk / "fill").exists()
        disk.assert_gone(script)


def test_a_cancel_when_it_is_full(target: Target) -> None:
    with small(target, "size=400k,nr_inodes=60") as disk:
        script = disk.script(f"echo ready; sleep 1.5; {FILL}\nsleep 300", env={"BASE": str(disk.base)}, timeout=60)
        assert disk.start(script, wait=1).out == b"ready\n"
        assert eventually((disk.disk / "i1").exists, 10)
        time.sleep(0.5)
        assert disk.poll(script, out=6, wait=0).state is State.RUNNING
        reply = disk.stop(script, out=6)
        assert (reply.state, reply.why) == (State.DONE, "canceled")
        disk.drop(script)
        disk.assert_gone(script)


def test_output_that_fills_it(target: Target) -> None:
    with small(target, "size=400k") as disk:
        kind, message, _, seconds = follow(disk, disk.script("yes | head -c 1000000; exit 0", timeout=25))
        assert (kind, "full" in message) == (Kind.NO_SPACE, True)
        assert seconds < 15


def test_what_lives_on_fills_nothing(target: Target) -> None:
    """What it prints after the end of the script is read, so that it is not broken, and discarded."""
    with small(target, "size=4m") as disk:
        script = disk.script("setsid sh -c 'echo $$; sleep 1; exec yes' & sleep 0.4; exit 0", timeout=25)
        reply = disk.finish(replace(script, reap=False))
        pid = reply.out.decode().split()[0]
        try:
            assert not disk.directory(script).exists()
            time.sleep(1.5)
            assert Path("/proc", pid, "comm").read_text() == "yes\n"
            used = os.statvfs(disk.disk)
            assert used.f_blocks - used.f_bfree <= 16, "a deleted file grows"
        finally:
            subprocess.run(["kill", "-9", pid], check=True)
        assert eventually(lambda: not processes(script.run_id), 5)
