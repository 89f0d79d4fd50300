"""Collecting files from a target, with each /bin/sh that targets have."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_env.supervisor import collect as module
from ansible_env.supervisor.collect import Collection, Collector, Wanted
from ansible_env.supervisor.ending import Pace
from ansible_env.supervisor.file_payloads import PIECE
from ansible_env.supervisor.follow import Follower
from ansible_env.supervisor.transport import Disconnected, Stop
from tests.unit.supervisor.pipes import SHELLS, Target, make_target

START = 'cd "$HOME"'


@pytest.fixture(params=SHELLS)
def any_target(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return make_target(request.param, tmp_path, tmp_path_factory)


@pytest.fixture
def target(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return make_target("dash", tmp_path, tmp_path_factory)


def collect(transport: Any, directory: Path | None, *patterns: str, run: str = "", **more: Any) -> Collection:
    secrets = more.pop("secrets", ())
    return Collector(transport, Wanted(patterns, **more), directory, secrets, START).collect(run)


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_all_bytes_of_files_of_all_sizes(any_target: Target, tmp_path: Path) -> None:
    out, kept = any_target.base / "out", tmp_path / "kept"
    out.mkdir()
    sizes = (0, 1, 1000, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 17, 500_000, 500_001)
    files = {f"out/it's {size}.bin": os.urandom(size) for size in sizes} | {"out/new\nline": bytes(range(256))}
    for name, data in files.items():
        (any_target.base / name).write_bytes(data)
    done = collect(any_target, kept, "out/*")
    assert content(kept) == {name.replace("\n", "%0A"): data for name, data in files.items()}
    assert (sorted(done.files), done.notes) == (sorted(content(kept)), [])
    assert {path.stat().st_mode & 0o777 for path in kept.rglob("*")} == {0o700, 0o600}


def test_what_is_left_out_is_named(target: Target, tmp_path: Path) -> None:
    base, kept = target.base, tmp_path / "kept"
    (base / "big").write_bytes(bytes(2**20 + 1))
    (base / "small").write_bytes(b"1")
    os.mkfifo(base / "fifo")
    (base / "link").symlink_to("small")
    (base / "dangling").symlink_to("nowhere")
    (base / "sub").mkdir()
    done = collect(target, kept, "big", "small", "fifo", "link", "dangling", "sub", "none/*", "/dev/zero", limit=1)
    assert content(kept) == {"small": b"1", "link": b"1"}
    assert not (kept / "link").is_symlink()
    assert sorted(done.notes) == [
        "directories, not files: sub",
        "not collected, because the limit of 1 MiB (collect_limit_mib) is reached: big",
        "not files: fifo, /dev/zero",
        "there is no file: dangling, none/*",
    ]


def test_no_more_files_than_are_sensible(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_env.supervisor.file_payloads.MOST_FILES", 3)
    for number in range(5):
        (target.base / f"f{number}").touch()
    done = collect(target, tmp_path / "kept", "f*")
    assert (done.files, done.notes) == (["f0", "f1", "f2"], ["more than 1000 files: f3"])


def test_secrets_are_masked(target: Target, tmp_path: Path) -> None:
    (target.base / "hunter2.txt").write_bytes(b"x" * (PIECE - 3) + b"hunter2" + b"y")
    done = collect(target, tmp_path / "kept", "*.txt", results_file="hunter2.txt", secrets=["hunter2"])
    ((name, data),) = content(tmp_path / "kept").items()
    assert "hunter2" not in name + repr(done.notes)
    assert b"hunter2" not in data
    assert data.endswith(b"y")
    assert done.results == data


class Odd:
    """A target whose exchange number n is another one."""

    def __init__(self, target: Target, *faults: Callable[[str], bytes] | None) -> None:
        self.target = target
        self.faults = list(faults)
        self.count = 0

    def exchange(self, payload: str, limit: float) -> bytes:
        self.count += 1
        fault = self.faults.pop(0) if self.faults else None
        return fault(payload) if fault else self.target.exchange(payload, limit)

    def pause(self, seconds: float) -> None:
        """For `Transport`."""


def broken(payload: str) -> bytes:
    raise Disconnected("Shared connection closed")


def stopped(payload: str) -> bytes:
    raise Stop("canceled")


def test_a_connection_that_breaks(target: Target, tmp_path: Path) -> None:
    data = os.urandom(3 * PIECE)
    (target.base / "f").write_bytes(data)
    link = Odd(target, broken, lambda p: target.exchange(p)[:20], None, broken, lambda p: target.exchange(p)[:-1])
    assert collect(link, tmp_path / "kept", "f").notes == []
    assert (content(tmp_path / "kept"), link.count) == ({"f": data}, 8)
    link = Odd(target, None, None, *[broken] * 5)
    done = collect(link, tmp_path / "again", "f", results_file="f")
    assert (done.files, content(tmp_path / "again"), done.results, done.broken) == ([], {}, None, True)
    assert done.notes == ["not all files were collected: the connection broke (Shared connection closed)"]
    done = collect(Odd(target, None, stopped), tmp_path / "more", "f")
    assert done.notes == ["not all files were collected: the phase was ended"]
    assert content(tmp_path / "more") == {}


def test_a_file_that_becomes_shorter(target: Target, tmp_path: Path) -> None:
    path = target.base / "f"
    path.write_bytes(b"a" * 2 * PIECE)

    def shorten(payload: str) -> bytes:
        path.write_bytes(b"a" * 100)
        return target.exchange(payload)

    done = collect(Odd(target, None, shorten), tmp_path / "kept", "f")
    assert (done.files, content(tmp_path / "kept")) == ([], {})
    assert done.notes == ["not collected, because it changed meanwhile: f"]


def names(*listed: bytes) -> Callable[[str], bytes]:
    """A target that lies about the names of files."""

    def exchange(payload: str) -> bytes:
        header = re.search(r"ansible_env:\w+ files", payload)
        assert header is not None
        return header[0].encode() + b"\n" + b"".join(b"file 1 1 0 1 %s\0x" % name for name in listed) + b"end\0"

    return exchange


def test_no_name_leads_out(target: Target, tmp_path: Path) -> None:
    outside, kept = tmp_path / "outside", tmp_path / "kept"
    outside.mkdir()
    kept.mkdir()
    (kept / "link").symlink_to(outside)
    (kept / "file").symlink_to(outside / "target")
    lies = names(b"../a", b"/../../b", b"link/c", b"a", b"a/b", b"./a", b"/", b".unfinished", b"file", b"x" * 300)
    done = collect(Odd(target, lies), kept, "*")
    assert (done.files, content(kept), list(outside.iterdir())) == (["a", "file"], {"a": b"x", "file": b"x"}, [])
    assert done.notes[0].startswith("not collected, because of the name: ../a, /../../b, link/c, a/b, a and 3 more")


def test_a_full_disk_of_the_controller(target: Target, tmp_path: Path) -> None:
    (target.base / "f").write_bytes(b"score")
    (tmp_path / "file").touch()
    done = collect(target, tmp_path / "file" / "kept", "f", results_file="f")
    assert (done.files, done.results) == ([], b"score")
    full = Path("/dev/full")
    if full.exists():
        kept = module.KeptFiles(tmp_path / "kept")
        assert kept.claim("f")
        kept._file = full.open("wb", buffering=0)
        kept.write(b"x")
        assert "No space left" in kept.problem
        assert not kept.finish("f")
        kept.drop()


def follow(target: Target, text: str, tmp_path: Path, **wanted: Any) -> tuple[Any, Collection]:
    script = target.script(text, timeout=wanted.pop("timeout", 20))
    collector = Collector(target, Wanted(**wanted), tmp_path / "kept", (), START)
    ending = Follower(target, script, lambda out, err: None, Pace(), collect=collector.collect).start()
    target.assert_gone(script)
    return ending, collector.collection


def test_files_of_a_script(any_target: Target, tmp_path: Path) -> None:
    ending, done = follow(any_target, "echo 42 >score; exit 3", tmp_path, patterns=["score"], results_file="score")
    assert (ending.reply.rc, ending.dropped) == (3, True)
    assert (done.files, done.results, done.notes) == (["score"], b"42\n", [])


def test_files_after_a_deadline(any_target: Target, tmp_path: Path) -> None:
    ending, done = follow(any_target, "echo 42 >score; sleep 60", tmp_path, patterns=["score"], timeout=1)
    assert (ending.reply.why, content(tmp_path / "kept")) == ("timeout", {"score": b"42\n"})
    assert done.notes == []


def test_a_result_of_an_earlier_run_is_none(any_target: Target, tmp_path: Path) -> None:
    (any_target.base / "score").write_text("41")
    os.utime(any_target.base / "score", (time.time() - 60,) * 2)
    _, done = follow(any_target, "true", tmp_path, patterns=["score"], results_file="score")
    assert (done.results, done.problem) == (None, "it is older than the script, which has not written it")
    assert (done.files, done.notes) == (["score"], ["older than the script: score"])


def test_a_file_with_metrics_that_is_too_large(target: Target, tmp_path: Path) -> None:
    with (target.base / "score").open("wb") as file:
        file.truncate(9 * 2**20)
    done = collect(target, None, "score", results_file="score")
    assert (done.results, done.problem) == (None, "it has 9437184 bytes, more than 8 MiB")
    assert done.notes == ["no files were collected: there is no directory for the logs of this run"]
