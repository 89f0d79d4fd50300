"""A target without a connection: payloads go to a shell of this machine by a pipe.

The shell is one of those that hosts have as /bin/sh; the busybox one sees busybox programs only, as on Alpine.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_env.supervisor.protocol import Reply, State, parse_reply
from ansible_env.supervisor.script import (
    MARKER,
    Script,
    drop_payload,
    poll_payload,
    run_directory,
    start_payload,
    stop_payload,
)

SHELLS = ("dash", "dash without perl", "busybox", "bash")
PATH = "/usr/local/bin:/usr/bin:/bin"
NONCE = "0123456789abcdef"


def eventually(condition: Callable[[], Any], seconds: float = 10, pause: float = 0.02) -> bool:
    """Whether something becomes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def processes(text: str) -> list[str]:
    """The live processes that have a text in their environment or command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes()
            if text.encode() in line or text.encode() in (entry / "environ").read_bytes():
                found.append(f"{entry.name} {line.replace(bytes(1), b' ').decode('utf-8', 'replace')}")
    return found


@dataclass
class Target:
    """A shell and a directory for runs."""

    sh: Path
    base: Path
    path: str
    environ: dict[str, str] = field(default_factory=dict)

    def script(self, text: str, **options: Any) -> Script:
        """A script for this target; /bin/sh is its usual shell here, for speed."""
        options = {"shell": str(self.sh), "run_id": uuid.uuid4().hex, "base": str(self.base), "grace": 1} | options
        return Script(text=text, **options)

    def exchange(self, payload: str, limit: float = 60) -> bytes:
        """Give a payload to the shell, as a connection would."""
        return subprocess.run(
            [str(self.sh), "-s"],
            input=payload.replace("/bin/sh", str(self.sh)).encode("utf-8", "surrogateescape"),
            capture_output=True,
            check=False,
            cwd="/",
            env={"PATH": self.path, "HOME": str(self.base), **self.environ},
            timeout=limit,
        ).stdout

    def pause(self, seconds: float) -> None:
        """For `Transport`."""
        time.sleep(min(seconds, 0.05))

    def start(self, script: Script, *, wait: int = 10, tick: int = 1, **options: Any) -> Reply:
        """Send the start payload."""
        return parse_reply(self.exchange(start_payload(script, NONCE, wait=wait, tick=tick, **options)), NONCE)

    def exchange_of(self, script: Script) -> bytes:
        """Send the start payload, and return what comes back, which may be nothing."""
        return self.exchange(start_payload(script, NONCE, wait=10, tick=1))

    def run(self, text: str, **options: Any) -> Reply:
        """Run a script to its end."""
        return self.finish(self.script(text, **options))

    def finish(self, script: Script, reply: Reply | None = None, *, drop: bool = True, **options: Any) -> Reply:
        """Follow a script to its end; the answer has all of its output from here on."""
        reply = reply or self.start(script, **options)
        out, err = reply.out, reply.err
        while reply.more or reply.state is State.RUNNING:
            reply = self.poll(script, out=len(out), err=len(err), wait=0 if reply.more else 10, **options)
            out, err = out + reply.out, err + reply.err
        if drop and reply.state is not State.GONE and not reply.dropped:
            self.drop(script)
        return replace(reply, out=out, err=err)

    def poll(self, script: Script, *, out: int = 0, err: int = 0, wait: int = 10, **options: Any) -> Reply:
        """Send a poll payload."""
        payload = poll_payload(script.directory, NONCE, out=out, err=err, wait=wait, tick=1, **options)
        return parse_reply(self.exchange(payload), NONCE)

    def stop(self, script: Script, reason: str = "canceled", *, out: int = 0, wait: int = 10) -> Reply:
        """Send a stop payload."""
        payload = stop_payload(script.directory, NONCE, reason, out=out, err=0, wait=wait)
        return parse_reply(self.exchange(payload), NONCE)

    def drop(self, script: Script) -> Reply:
        """Send a drop payload."""
        return parse_reply(self.exchange(drop_payload(script.directory, NONCE)), NONCE)

    def directory(self, script: Script) -> Path:
        """Where a script's files are."""
        return Path(run_directory(script.base, script.run_id))

    def assert_gone(self, script: Script) -> None:
        """Nothing of a script may be left: no process of it or of its supervisor, no directory."""
        assert eventually(lambda: not processes(f"{MARKER}={script.run_id}"), 3), processes(script.run_id)
        assert eventually(lambda: not processes(script.run_id), 3), processes(script.run_id)
        assert not self.directory(script).exists()


def at_once(target: Target, texts: Sequence[str], **options: Any) -> list[Reply]:
    """Run scripts side by side, and look that nothing is left of them."""
    scripts = [target.script(text, **options) for text in texts]
    with ThreadPoolExecutor(len(scripts)) as pool:
        replies = list(pool.map(target.finish, scripts))
    for script in scripts:
        target.assert_gone(script)
    return replies


@functools.cache
def _tools(kind: str, directory: Path) -> Path:
    """The programs that such a target has, made once for all tests."""
    program = shutil.which(kind)
    if program is None:
        pytest.skip(f"{kind} is not installed")
    tools = directory / kind  # not bin: see `exchange`
    tools.mkdir()
    if kind == "busybox":
        subprocess.run([program, "--install", "-s", str(tools)], check=True, capture_output=True)
    (tools / "sh").unlink(missing_ok=True)
    (tools / "sh").symlink_to(program)
    return tools


def make_target(kind: str, directory: Path, shared: pytest.TempPathFactory) -> Target:
    """A target whose /bin/sh is of some kind. One has no perl, and the busybox one neither."""
    kind, _, without_perl = kind.partition(" without ")
    tools = _tools(kind, shared.getbasetemp())
    base = directory / "base"
    base.mkdir()
    # Any option would do: with one, nobody knows what perl will do.
    environ = {"PERL5OPT": "-w"} if without_perl else {}
    return Target(tools / "sh", base, str(tools) if kind == "busybox" else PATH, environ)


@contextlib.contextmanager
def background(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive its test."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, 9)
