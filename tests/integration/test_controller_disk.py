"""A controller whose disk is full, or read-only: teardown runs, and results are printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.engines import WARM_AND_COLD

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system of its own")

UNSHARE = ["unshare", "-m", "--propagation", "private", "sh", "-c"]
ENVIRONMENT = """
name: full
hosts: all
results_stdout_pattern: '^(\\w+)=(\\S+)$'
shell_env_params: [DISK, MARK]
required_args: [DISK, MARK]
setup: ['true']
run:
  - dd if=/dev/zero of="$DISK/fill" bs=64k 2>/dev/null; seq 20000; echo score=5
teardown: ['echo torn >>"$MARK"']
"""


def call(
    tmp_path: Path, disk: Path, command: str, variables: dict[str, str], *, options: str = "size=5m", more: str = ""
) -> tuple:
    """Run a command with a small disk; return its exit status, its stdout, its stderr, and what teardown wrote."""
    mark = tmp_path / "mark"
    mark.touch()
    (tmp_path / "env.yml").write_text(ENVIRONMENT)
    env = {**os.environ, "ANSIBLE_ENV_ARTIFACTS": str(tmp_path / "kept"), **variables}
    script = f"mount -t tmpfs -o {options} none '{disk}' && mkdir '{disk}/home' && {more or 'true'} && exec \"$@\""
    arguments = [*command.split(), str(tmp_path / "env.yml"), "-i", "h,", "-c", "local", "-q", "-p", f"DISK={disk}"]
    done = subprocess.run(
        [*UNSHARE, script, "sh", sys.executable, "-m", "ansible_env", *arguments, "-p", f"MARK={mark}"],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr, mark.read_text()


@pytest.fixture
def disk():
    """Return a directory with a name that is short enough for a control socket."""
    directory = Path(tempfile.mkdtemp(prefix="d"))
    yield directory
    directory.rmdir()


@pytest.mark.parametrize("engine", WARM_AND_COLD)
@pytest.mark.parametrize("command", ["trial", "sweep --repeat 1"])
def test_the_artifacts_cannot_be_written(tmp_path, disk, command, engine):
    variables = {"ANSIBLE_ENV_ARTIFACTS": str(disk / "kept")}
    code, out, err, torn = call(tmp_path, disk, f"{command} --engine {engine}", variables)
    assert (code, torn) == (0, "torn\n"), err
    assert "SUCCEEDED" in out or "5" in out
    assert err.count("the state of the trial cannot be written") == 1
    assert err.count("the bundle of a trial cannot be written") == 1
    assert err.count("not in the store") == 1
    assert len(err.splitlines()) == 3


@pytest.mark.parametrize("engine", WARM_AND_COLD)
@pytest.mark.parametrize("command", ["trial", "sweep --repeat 1"])
def test_no_temporary_file_can_be_written(tmp_path, disk, command, engine):
    code, out, err, torn = call(tmp_path, disk, f"{command} --engine {engine}", {"TMPDIR": str(disk)})
    assert torn == "torn\n", err
    assert code in (0, 1), err  # whether the run still had to write anything
    assert "1" in out
    assert ("No space left" in err) == (code == 1)
    assert "Traceback" not in err
    assert err.count("temporary files are in /dev/shm") == 1
    assert len(err.splitlines()) == 1 + code


def test_a_home_that_is_read_only(tmp_path, disk):
    variables = {"HOME": str(disk / "home"), "ANSIBLE_ENV_ARTIFACTS": ""}
    code, out, err, torn = call(tmp_path, disk, "trial", variables, more=f"mount -o remount,ro '{disk}'")
    assert (code, out, torn) == (2, "", ""), err
    assert "Traceback" not in err
    assert "Read-only file system (--artifacts DIR)" in err


def test_a_store_that_cannot_be_used_ends_no_trial(tmp_path, disk):
    (tmp_path / "store").mkdir()
    code, out, err, torn = call(tmp_path, disk, f"trial --trials 2 --store {tmp_path / 'store'}", {})
    assert (code, torn) == (0, "torn\n" * 2), err
    assert out.count("SUCCEEDED") >= 2
    assert err.count("trials are not stored") == len(err.splitlines()) == 1


LATER = """
name: later
hosts: all
results_stdout_pattern: '^(\\w+)=(\\S+)$'
shell_env_params: [DISK, MARK]
required_args: [DISK, MARK]
setup: ['dd if=/dev/zero of="$DISK/fill" bs=64k 2>/dev/null; true']
run:
  - exec 9>"$MARK.lock"; flock -n 9 || echo two at once >>"$MARK"; echo begun >>"$MARK"; sleep 60; echo score=5
teardown: ['exec 9>"$MARK.lock"; flock -n 9 || echo two at once >>"$MARK"; echo torn >>"$MARK"']
"""


def test_attach_after_the_disk_was_full(tmp_path, disk):
    """No record says that run was started: its script is ended before teardown, and is not called `not_run`."""
    (tmp_path / "mark").touch()
    (tmp_path / "env.yml").write_text(LATER)
    begin = f"trial {tmp_path}/env.yml -i h, -c local -q -p DISK={disk} -p MARK={tmp_path}/mark --artifacts {disk}/kept"
    script = f"""
mount -t tmpfs -o size=5m none {disk}
{sys.executable} -m ansible_env {begin} & pid=$!
until grep -q begun {tmp_path}/mark; do sleep 0.1; kill -0 $pid || exit 9; done
kill -KILL $pid; wait $pid 2>/dev/null
rm {disk}/fill
{sys.executable} -m ansible_env attach {disk}/kept/trial-1 -q -o json
"""
    done = subprocess.run([*UNSHARE, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    (trial,) = json.loads(done.stdout)["trials"]
    assert trial["hosts"]["h"]["kind"] == "lost_result", done.stderr
    assert (tmp_path / "mark").read_text() == "begun\ntorn\n"
