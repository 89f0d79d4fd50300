"""Which targets have supervisor.pl, and that it is no worse where it is not of use; all else is in the other files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from ansible_env.supervisor.protocol import State
from ansible_env.supervisor.script import FAST_SUPERVISOR
from ansible_env.supervisor.telemetry import Probe
from tests.unit.supervisor.pipes import PATH, Target, eventually, make_target

PERL = shutil.which("perl")
pytestmark = pytest.mark.skipif(PERL is None, reason="no perl here")
WHO = 'tr "\\0" " " <"/proc/$(cat "${0%/*}/sup")/cmdline"'


@pytest.fixture
def target(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return make_target("dash", tmp_path, tmp_path_factory)


@pytest.mark.parametrize(
    "text", [files("ansible_env.supervisor").joinpath("supervisor.pl").read_text(), FAST_SUPERVISOR]
)
def test_it_is_strict_and_has_no_warnings(text: str) -> None:
    done = subprocess.run([PERL or "", "-Mstrict", "-Mwarnings", "-c"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "- syntax OK\n")


def test_no_module_is_loaded() -> None:
    """Debian's perl-base has few, and some take longer than all that the supervisor does."""
    show = "END { print STDERR join ' ', keys %INC }"
    done = subprocess.run([PERL or "", "-", "/nowhere"], input=show + FAST_SUPERVISOR, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (98, "")


@pytest.mark.parametrize(
    ("options", "environ"),
    [
        ({}, {}),
        ({"reap": False}, {}),
        ({"probes": [Probe(1)]}, {}),
        ({}, {"PERL5OPT": "-w"}),
        ({}, {"PERL_UNICODE": "D"}),
    ],
    ids=["usual", "keep_running", "telemetry", "options", "encodings"],
)
def test_who_supervises(target: Target, options: dict[str, Any], environ: dict[str, str]) -> None:
    target.environ.update(environ)
    reply = target.run(WHO, **options)
    program = reply.out.decode().split()[1].rpartition("/")[2]
    assert program == ("supervisor" if environ else "supervisor.pl")


@pytest.mark.parametrize("fake", ["exit 1", "exit 98", "kill -9 $$", None])
def test_a_perl_that_does_not_work(target: Target, tmp_path: Path, fake: str | None) -> None:
    """Or one that is another program altogether, or for another machine."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "perl").write_text(f"#!/bin/sh\n{fake}\n" if fake else "no program")
    (broken / "perl").chmod(0o755)
    target.path = f"{broken}:{PATH}"
    script = target.script("echo once >>said; echo done; exit 3", chdir=str(tmp_path))
    reply = target.finish(script)
    assert (reply.state, reply.rc, reply.out) == (State.DONE, 3, b"done\n")
    assert (tmp_path / "said").read_text() == "once\n"
    target.assert_gone(script)


def test_whoever_waits_first_is_killed(target: Target, tmp_path: Path) -> None:
    """The script is not started a second time, and its end is found by whoever comes next."""
    script = target.script('echo once >>said; kill -9 "$(cat parent)"; sleep 0.5; echo done', chdir=str(tmp_path))
    target.path = f"{tmp_path}:{PATH}"
    (tmp_path / "perl").write_text(f'#!/bin/sh\necho $$ >"{tmp_path}/parent"\nexec {PERL} "$@"\n')
    (tmp_path / "perl").chmod(0o755)
    reply = target.finish(script)  # the shell that had started it asks in its place
    assert (reply.state, reply.rc, reply.out) == (State.DONE, 0, b"done\n")
    assert (tmp_path / "said").read_text() == "once\n"
    target.assert_gone(script)


@pytest.mark.slow
@pytest.mark.parametrize("timeout", [None, 2])
def test_run_is_killed(target: Target, timeout: float | None) -> None:
    """The keeper ends the script at its deadline, and itself when there is nothing left to do."""
    script = target.script("echo begun; sleep 1.2; echo late; exec sleep 60", timeout=timeout)
    assert target.start(script, wait=1).state is State.RUNNING
    os.kill(int((target.directory(script) / "sup").read_text()), signal.SIGKILL)
    out = target.directory(script) / "out"
    assert eventually(lambda: out.read_text() == "begun\nlate\n", 5)
    if timeout is None:
        assert target.poll(script).state is State.LOST  # which ends it
    target_session = target.directory(script) / "pid"
    assert eventually(lambda: not Path("/proc", target_session.read_text().strip()).exists(), 8)
    target.finish(script, target.poll(script))
    target.assert_gone(script)


@pytest.mark.parametrize("lines", [1, 200_000])
def test_output_of_both_streams_is_whole(target: Target, lines: int) -> None:
    text = f"i=0; while [ $i -lt 3 ]; do i=$((i + 1)); seq {lines}; seq {lines} >&2; done"
    reply = target.run(text)
    expected = "".join(f"{number}\n" for number in range(1, lines + 1)).encode() * 3
    assert reply.out == expected and reply.err == expected


HOMES = [
    "{base}/home",
    "{base}/link",
    "{base}/home/",
    "{base}//home",
    "{base}/home/../home",
    "{base}/none",
    "home",
    "",
]
CHDIRS = ["{base}/link", "{base}/a b'c", "{base}/none", "home", "/"]


@pytest.mark.parametrize(
    ("home", "chdir"), [*[(home, None) for home in HOMES], *[("{base}/home", chdir) for chdir in CHDIRS]]
)
def test_a_script_starts_as_it_does_without_perl(target: Target, home: str, chdir: str | None) -> None:
    """In the same directory, with the same environment, umask and arguments, byte by byte."""
    for name in ("home", "a b'c"):
        (target.base / name).mkdir()
    (target.base / "link").symlink_to(target.base / "home")
    target.environ = {"OLDPWD": "/usr", "CDPATH": str(target.base), "HOME": home.format(base=target.base)}
    env = {"TEXT": "it's '' \\' \n\n'", "EMPTY": "", "RAW": "\udcff\udc80", "PATH": f"/nowhere:{PATH}"}
    show = "env -0 | grep -vz ^PERL5OPT | sort -z; pwd -P; umask; echo $# $0; readlink /proc/$$/fd/0; exit 3"
    options = {"env": env, "shell": "/bin/dash", "run_id": "same", "chdir": chdir and chdir.format(base=target.base)}
    ends = []
    for more in ({}, {"PERL5OPT": "-w"}):
        target.environ |= more
        reply = target.run(show, **options)
        ends.append((reply.rc, reply.out, reply.err[-40:]))
    assert ends[0] == ends[1]
    started = chdir != "{base}/none"
    assert (ends[0][0], b"TEXT=it's '' \\' \n\n'\0" in ends[0][1]) == (3 if started else 1, started)


def test_a_shell_that_cannot_be_started(target: Target) -> None:
    shell = target.base / "shell"
    shell.write_text("#!/no/such/program\n")
    shell.chmod(0o755)
    for more in ({}, {"PERL5OPT": "-w"}):
        target.environ |= more
        reply = target.run("echo never", shell=str(shell))
        assert (reply.rc, reply.out, b"shell: not found" in reply.err) == (127, b"", True)


def test_the_next_round_trip_finds_a_run_that_is_slow_to_begin(target: Target, tmp_path: Path) -> None:
    """As on a target whose cores are all busy: a run that was begun must not be taken for gone."""
    tools = tmp_path / "slow"
    tools.mkdir()
    edit = f"""sed "s/&& put('sup'/\\&\\& !select(undef, undef, undef, 1) &/" "$1" >{tmp_path}/slow.pl"""
    (tools / "perl").write_text(f'#!/bin/sh\n{edit}\nshift\nexec {PERL} {tmp_path}/slow.pl "$@"\n')
    (tools / "perl").chmod(0o755)
    target.path = f"{tools}:{PATH}"
    script = target.script("exec sleep 300", timeout=600)
    assert target.start(script, wait=0).state is State.RUNNING
    assert "!select(undef, undef, undef, 1) && put('sup'" in (tmp_path / "slow.pl").read_text()
    assert target.poll(script, wait=0).state is State.RUNNING
    target.finish(script, target.stop(script))
    target.assert_gone(script)
