"""What hosts are, and Ansible's events: what is kept of them."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.results.masking import Secrets
from ansible_env.storage.bundle.event_log import append_events
from ansible_env.storage.fingerprint import SCRIPT, of_this_machine, parse
from ansible_env.testing import FakeEngine, phase_event


def test_this_machine():
    found = of_this_machine()
    assert found["kernel"] == " ".join(os.uname()[index] for index in (0, 2))
    assert (found["cpus"], found["machine"]) == (os.cpu_count(), os.uname().machine)
    assert found["memory_kib"] > 0


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_any_shell_can_ask(shell):
    command = {"busybox": ["busybox", "sh", "-s"]}.get(shell, [shell, "-s"])
    try:
        done = subprocess.run(command, input=SCRIPT, capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        pytest.skip(f"there is no {shell} here")
    assert (done.returncode, done.stderr) == (0, "")
    assert parse(done.stdout)["cpus"] == os.cpu_count()


def test_of_the_machine_id_only_a_hash_is_kept():
    found = parse("ansible_env.machine_id=0123456789abcdef0123456789abcdef\n")
    assert len(found["machine_id"]) == 32
    assert found["machine_id"] not in ("0123456789abcdef0123456789abcdef", parse("ansible_env.machine_id=0\n"))


def test_what_else_is_printed_is_nothing():
    text = "Welcome!\nname=x\nansible_env.cpus=many\nansible_env.cpu=A=B  \nansible_env.load=0.5\n"
    assert parse(text) == {"cpu": "A=B", "load": 0.5}


def test_hosts_that_give_no_answer_are_left_out():
    def answer(phase, host, task):
        return {"rc": 1} if host == "h2" else {"stdout": "ansible_env.cpus=4\n" if host == "h1" else ""}

    with RemoteEnv(config={"name": "x", "run": ["a"]}, engine=FakeEngine(["h1", "h2", "h3"], answer)) as env:
        assert env.fingerprints() == {"h1": {"cpus": 4}}
        assert env.results == {}


# Events


def test_events_are_kept_without_secrets_and_without_long_texts(tmp_path):
    path = tmp_path / "events" / "run.jsonl"
    event = phase_event("h", stdout="x" * 5000, msg="it is hunter2", invocation={"module_args": {"password": "other"}})
    for _ in range(2):
        append_events(
            path, [{**event, "counter": 1, "stdout": "terminal", "runner_ident": "job"}], Secrets(["hunter2", " "])
        )
    first, second = map(json.loads, path.read_text().splitlines())
    res = first["event_data"]["res"]
    assert first == second
    assert set(first) == {"counter", "event", "event_data"}
    assert (res["msg"], len(res["stdout"]), "invocation" in res) == ("it is ********", 1001, False)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
