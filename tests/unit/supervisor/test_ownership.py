"""A run directory that is not ours is never believed: /tmp is everybody's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ansible_env.supervisor.protocol import ReplyError, State, parse_reply
from ansible_env.supervisor.script import Script, poll_payload, run_directory, start_payload

NONCE = "0123456789abcdef"
EVIL = "printf pwned >>{mark}\nprintf 'ansible_env:%s state=done rc=0\\n' \"$2\"\n"


def ask(payload: str) -> bytes:
    return subprocess.run(["/bin/sh", "-s"], input=payload.encode(), capture_output=True, check=False).stdout


def trap(directory: Path, mark: Path) -> None:
    directory.mkdir()
    (directory / "sup").write_text("1\n")
    (directory / "supervisor").write_text(EVIL.format(mark=mark))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory that is somebody else's")
def test_a_directory_of_somebody_else(tmp_path: Path) -> None:
    directory = Path(run_directory(str(tmp_path), "abc"))
    trap(directory, tmp_path / "mark")
    os.chown(directory, 65534, 65534)
    answer = ask(poll_payload(run_directory(str(tmp_path), "abc"), NONCE, out=0, err=0, wait=0, tick=1))
    assert parse_reply(answer, NONCE).state is State.GONE
    script = Script(text="true", run_id="abc", base=str(tmp_path), shell="sh")
    assert parse_reply(ask(start_payload(script, NONCE, wait=1, tick=1)), NONCE).state is State.ERROR
    assert not (tmp_path / "mark").exists()


def test_a_link(tmp_path: Path) -> None:
    trap(tmp_path / "elsewhere", tmp_path / "mark")
    Path(run_directory(str(tmp_path), "abc")).symlink_to(tmp_path / "elsewhere")
    answer = ask(poll_payload(run_directory(str(tmp_path), "abc"), NONCE, out=0, err=0, wait=0, tick=1))
    assert parse_reply(answer, NONCE).state is State.GONE
    script = Script(text="true", run_id="abc", base=str(tmp_path), shell="sh")
    assert parse_reply(ask(start_payload(script, NONCE, wait=1, tick=1)), NONCE).state is State.ERROR
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "state=zz",
        "state=done rc=x",
        "state=done end=1e300",
        "state=done out=-3",
        "state=done out=5",
        "state=done up=x",
    ],
)
def test_answers_that_are_none(header: str) -> None:
    with pytest.raises(ReplyError):
        parse_reply(f"ansible_env:{NONCE} {header}\nab".encode(), NONCE)
