"""What the command inherits: descriptors that are closed or full, blocked signals, an alarm. No trial ends by them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = f"{sys.executable} -m ansible_env"
FULL = "ansible-env: error: stdout cannot be written: No space left on device\n"
ENVIRONMENT = """
name: odd
hosts: all
results_stdout_pattern: '^(\\w+)=(\\S+)$'
shell_env_params: [MARK]
required_args: [MARK]
run: ['echo begun >>"$MARK"; sleep ${NAP:-0}; echo score=5']
teardown: ['echo torn >>"$MARK"']
"""


def shell(script: str) -> subprocess.CompletedProcess:
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def trial(tmp_path, monkeypatch):
    """Return the command of a trial, and the file in which its phases leave a line each."""
    monkeypatch.setenv("ANSIBLE_ENV_ARTIFACTS", str(tmp_path / "kept"))
    (tmp_path / "env.yml").write_text(ENVIRONMENT)
    return f"{PROGRAM} trial {tmp_path}/env.yml -i h, -c local -p MARK={tmp_path}/mark", tmp_path / "mark"


@pytest.mark.parametrize(
    ("redirection", "code"),
    [(">/dev/full", 1), (">&-", 0), ("2>&-", 0), ("2>/dev/full", 0), ("<&- >&- 2>&-", 0)],
)
def test_a_trial_with_streams_that_cannot_be_written(trial, redirection, code):
    command, mark = trial
    done = shell(f"{command} {redirection}")
    assert (done.returncode, mark.read_text()) == (code, "begun\ntorn\n"), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.endswith(FULL) == (code == 1)
    assert ("score             5" in done.stdout) == ("2>" in redirection and ">&- " not in redirection)


@pytest.mark.parametrize(
    ("call", "code", "err"),
    [
        ("--version >/dev/full", 1, FULL),
        ("--help >/dev/full", 1, FULL),
        ("schema >&-", 0, ""),
        ("schema | true", 0, ""),
    ],
)
def test_text_that_cannot_be_written(call, code, err):
    done = shell(f"{PROGRAM} {call}")
    assert (done.returncode, done.stderr) == (code, err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGALRM])
def test_signals_that_were_blocked_end_a_trial_in_good_order(trial, number):
    """SIGALRM: an alarm that the caller has set before it started the command."""
    command, mark = trial
    mark.with_name("env.yml").write_text(ENVIRONMENT.replace("[MARK]", "[MARK, NAP]"))
    process = subprocess.Popen(
        [*command.split(), "-p", "NAP=60"],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()),
    )
    while not mark.exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    try:
        _, err = process.communicate(timeout=25)
    finally:
        process.kill()
    assert (process.returncode, mark.read_text()) == (130, "begun\ntorn\n"), err


def test_ctrl_c_during_imports():
    for _ in range(3):
        read, write = os.pipe()
        imports = [sys.executable, "-v", "-m", "ansible_env", "results"]
        process = subprocess.Popen(imports, stdout=subprocess.DEVNULL, stderr=write)
        os.close(write)
        with open(read, errors="replace") as lines:  # noqa: PTH123
            for line in lines:
                if "# code object from" in line and "typer" in line:
                    process.send_signal(signal.SIGINT)
                    break
            rest = lines.read()
        assert process.wait(30) == 130
        assert "ansible-env: canceled\n" in rest
        assert "Traceback" not in rest


def test_a_working_directory_that_was_removed(tmp_path):
    (tmp_path / "env.yml").write_text("name: x\nsetup: ['true']\nrun: ['true']\n")
    (tmp_path / "gone").mkdir()
    words = f'rmdir "$PWD"; exec {sys.executable} -m ansible_env trial {tmp_path}/env.yml -i h, -c local --no-store'
    done = subprocess.run(["sh", "-c", words], cwd=tmp_path / "gone", capture_output=True, text=True, check=False)
    said = "ansible-env: error: the working directory does not exist any more (change to another one)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
