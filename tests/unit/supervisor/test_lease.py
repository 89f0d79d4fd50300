"""Leases: one trial at a time on a host, whoever its users and controllers are."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_env.supervisor.lease import Lease, release_payload
from ansible_env.supervisor.protocol import State, parse_reply
from ansible_env.supervisor.script import start_payload
from tests.unit.supervisor.pipes import NONCE, SHELLS, Target, make_target

BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.fixture(params=SHELLS)
def target(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return make_target(request.param, tmp_path, tmp_path_factory)


def lease(token: str = "mine", seconds: int = 100, **more: object) -> Lease:
    return Lease.of_text(Lease(token, seconds, "box/me/bench/7", **more).to_text())  # type: ignore[arg-type]


def leases(target: Target) -> dict[str, list[str]]:
    """The leases by their numbers, as words."""
    return {path.suffix[1:]: path.read_text().split() for path in target.base.glob("ansible_env.lease.*")}


def plant(target: Target, number: int | str, *words: object) -> Path:
    """Make a lease as another one would."""
    path = target.base / f"ansible_env.lease.{number}"
    path.write_text(" ".join(map(str, words)) + "\n" if words else "")
    return path


def uptime() -> int:
    return int(float(Path("/proc/uptime").read_text().split()[0]))


def test_it_is_taken_and_kept(target: Target) -> None:
    reply = target.run("echo 1; umask", lease=lease())
    assert (reply.state, reply.rc) == (State.DONE, 0)
    ((number, words),) = leases(target).items()
    assert (number, words[0], words[1], words[3]) == ("1", "mine", BOOT, "box/me/bench/7")
    assert 90 <= int(words[2]) - uptime() <= 100
    assert (target.base / "ansible_env.lease.1").stat().st_mode & 0o777 == 0o644
    mask = os.umask(0)
    os.umask(mask)
    assert int(reply.out.split()[1], 8) == mask


def test_another_trial_is_busy_and_starts_nothing(target: Target) -> None:
    target.run("true", lease=lease())
    script = target.script("touch started", lease=lease("other"), chdir=str(target.base))
    reply = target.start(script)
    assert (reply.state, reply.holder) == (State.BUSY, "box/me/bench/7")
    assert reply.busy_for is not None and 90 <= reply.busy_for <= 100
    assert sorted(path.name for path in target.base.iterdir()) == ["ansible_env.lease.1"]
    assert target.run("true", lease=lease(seconds=500)).state is State.DONE  # the holder goes on, and renews it
    assert int(leases(target)["1"][2]) - uptime() > 400
    assert target.run("true").state is State.DONE  # without a lease nobody asks


def test_it_is_given_back_with_the_run_directory(target: Target) -> None:
    for text in ("true", "sleep 1.5; true"):  # removed with the first reply, and by a request
        assert target.run(text, lease=lease(release=True)).state is State.DONE
        assert list(target.base.iterdir()) == []
    assert target.run("true", lease=lease("other")).state is State.DONE


def test_it_is_given_back_by_name(target: Target) -> None:
    for number, token in enumerate(("a", "b", "c"), 1):
        plant(target, number, token, BOOT, uptime() + 100, "x")
    (target.base / "ansible_env.lease.9").symlink_to(target.base / "ansible_env.lease.2")
    reply = parse_reply(target.exchange(release_payload(str(target.base), ["a", "c"], NONCE)), NONCE)
    assert reply.state is State.GONE
    assert {path.suffix for path in target.base.iterdir()} == {".2", ".9"}


@pytest.mark.parametrize(
    ("words", "free"),
    [
        (("other", BOOT, 1, "x"), True),  # expired
        (("other", "another-boot", 10**9, "x"), True),
        (("former", BOOT, 10**9, "x"), True),  # of a trial of this controller
        (("other", BOOT, 10**9, "x"), False),
        (("other", BOOT, "soon", "x"), False),  # not one of ours
        ((), False),  # it is being made
    ],
)
def test_what_is_free(target: Target, words: tuple[object, ...], free: bool) -> None:
    plant(target, 4, *words)
    reply = target.run("true", lease=lease(former=("former",)))
    assert (reply.state is State.DONE) is free, reply
    assert list(leases(target)) == (["5"] if free else ["4"])


def test_one_whose_maker_was_killed(target: Target) -> None:
    path = plant(target, 1)
    os.utime(path, (time.time() - 200, time.time() - 200))
    assert target.run("true", lease=lease()).state is State.DONE


def test_an_expired_one_is_not_free_while_a_script_runs(target: Target) -> None:
    script = target.script("sleep 60", lease=lease(seconds=0))
    assert target.start(script, wait=0).state is State.RUNNING
    time.sleep(1.1)
    assert target.run("true", lease=lease("other")).state is State.BUSY
    target.stop(script)
    target.drop(script)
    assert target.run("true", lease=lease("other")).state is State.DONE


@pytest.mark.parametrize("kind", ["link", "directory", "pipe"])
def test_what_is_no_file_is_refused(target: Target, kind: str) -> None:
    path = target.base / "ansible_env.lease.3"
    other = target.base / "precious"
    other.write_text("kept")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    reply = target.run("true", lease=lease())
    assert (reply.state, reply.busy_for) == (State.BUSY, None)
    assert other.read_text() == "kept"


def test_other_names_are_passed_over(target: Target) -> None:
    for name in ("08", "x", "99999999999", "1.new", "*"):
        plant(target, name, "other", BOOT, 10**9, "x")
    assert target.run("true", lease=lease()).state is State.DONE
    assert "1" in leases(target)


def test_one_of_many_gets_it(target: Target) -> None:
    plant(target, 1, "other", BOOT, 1, "x")  # expired
    scripts = [target.script("sleep 0.2", lease=lease(f"t{number}")) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        states = [reply.state for reply in pool.map(target.finish, scripts)]
    assert states.count(State.DONE) == 1
    assert states.count(State.BUSY) == 7
    (words,) = leases(target).values()
    assert words[0] == f"t{states.index(State.DONE)}"


def test_a_lease_that_another_one_is_just_writing_is_not_removed(target: Target) -> None:
    """It has made the file, by the same user, and has not written to it yet."""
    plant(target, 1, "other", BOOT, 1, "x")  # expired
    text = start_payload(target.script("true", lease=lease()), NONCE, wait=1, tick=1)
    before, create, after = text.partition("set -C\n")
    assert create
    made = target.base / "ansible_env.lease.2"
    target.exchange(f"{before}true >{made}\n{create}{after}")
    assert made.exists()


def test_words_of_strangers_are_no_header(target: Target) -> None:
    plant(target, 1, "other", BOOT, 10**9, "a=b\x1b[31m", "state=done")
    reply = target.run("true", lease=lease())
    assert (reply.state, reply.holder) == (State.BUSY, "a?b??31m")
