"""What a trial's controller writes down, and who may take it over."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ansible_env.common import Owner
from ansible_env.errors import ConfigError, LifecycleError
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.status import Status
from ansible_env.storage.journal import Journal

DEAD = Owner(2**22 + 1, "of long ago")  # above every pid_max


@pytest.fixture
def journal(tmp_path):
    found = Journal(tmp_path / "trial")
    found.begin_trial({"cache": 3}, {"trial_id": 7})
    return found


def state(journal):
    return json.loads((journal.directory / "state.json").read_text())


def orphan(journal, **more):
    """Have its owner be dead."""
    (journal.directory / "state.json").write_text(json.dumps({**state(journal), "owner": DEAD.to_text(), **more}))


def test_another_controller_finds_what_was_written(journal):
    key = journal.begin_phase("setup")
    journal.end_phase(PhaseResult("setup", Status.SUCCEEDED, {}))
    other = journal.begin_phase("run")
    assert key != other
    assert len(key) == 32
    orphan(journal)
    found = Journal.open(journal.directory)
    assert found.trial == ({"cache": 3}, {"trial_id": 7})
    assert found.interrupted() == ("run", other)
    assert (found.status("setup"), found.status("run"), found.status("teardown")) == ("SUCCEEDED", None, None)
    assert found.ended() == {"setup": PhaseResult("setup", Status.SUCCEEDED, {})}
    assert found.results("run") == journal.directory / "results" / "run"
    assert Owner.of_text(state(journal)["owner"]) == Owner.this()


def test_a_record_that_cannot_be_written_is_not_complete(tmp_path, monkeypatch):
    for alone in (True, False):
        journal = Journal(tmp_path / f"trial-{alone}")
        if not alone:
            journal.begin_trial({}, {})
        key = journal.next_key("run")
        assert journal.begin_phase("run") == key
        assert journal.is_complete
        assert journal.next_key("run") != key
        with monkeypatch.context() as full:
            full.setattr("ansible_env.storage.journal.write_private", lambda *_, **__: (_ for _ in ()).throw(OSError()))
            journal.end_phase(PhaseResult("run", Status.FAILED, {}))
        assert not journal.is_complete


def test_a_phase_that_ended_is_not_interrupted(journal):
    journal.begin_phase("run")
    assert journal.interrupted() is not None
    journal.end_phase(PhaseResult("run", Status.FAILED, {}))
    assert journal.interrupted() is None


def test_a_phase_that_is_run_again_has_another_key(journal):
    first = journal.begin_phase("run")
    journal.end_phase(PhaseResult("run", Status.SUCCEEDED, {}))
    second = journal.begin_phase("run")
    assert journal.ended() == {}
    assert first != second
    assert journal.interrupted() == ("run", second)


def test_a_new_trial_forgets_the_phases_of_the_last(journal):
    journal.begin_phase("run")
    journal.begin_trial({}, {})
    assert journal.interrupted() is None


def test_only_its_owner_can_read_it(journal):
    journal.begin_phase("run")
    assert journal.directory.stat().st_mode & 0o777 == 0o700
    assert (journal.directory / "state.json").stat().st_mode & 0o777 == 0o600
    assert journal.results("run").stat().st_mode & 0o777 == 0o700


def test_a_state_that_cannot_be_written_is_reported_once_and_leaves_the_last_one(journal, monkeypatch, caplog):
    before = state(journal)
    monkeypatch.setattr(os, "fsync", lambda *_, **__: (_ for _ in ()).throw(OSError("no space")))
    journal.begin_phase("run")
    journal.end_phase(PhaseResult("run", Status.SUCCEEDED, {}))
    assert journal.status("run") == "SUCCEEDED"
    assert state(journal) == before
    assert len(caplog.records) == 1
    assert "no space" in caplog.text


def test_values_that_json_does_not_know_are_written_as_text(journal, tmp_path):
    journal.begin_trial({"path": tmp_path}, {})
    assert state(journal)["tunables"] == {"path": str(tmp_path)}


def test_it_can_be_taken_over_only_from_the_dead(journal):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        owner = Owner(child.pid, start_of(child.pid))
        orphan(journal, owner=owner.to_text())
        with pytest.raises(LifecycleError, match=str(child.pid)):
            Journal.open(journal.directory)
    finally:
        child.communicate()
    assert Journal.open(journal.directory)


def test_its_own_controller_may_open_it(journal):
    assert Journal.open(journal.directory).trial == journal.trial


def test_a_pid_that_somebody_else_has_by_now_is_not_the_owner(journal):
    orphan(journal, owner=Owner(os.getpid(), "another-boot 1").to_text())
    assert Journal.open(journal.directory)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        '"x"',
        "\ud800",
        "{}",
        '{"version": 1}',
        '{"version": 1, "owner": 7, "phases": {}}',
        '{"version": 1, "owner": "x", "phases": {}}',
        '{"version": 1, "owner": "1 n x"}',
        '{"version": 1, "owner": "1 n x", "phases": []}',
        '{"version": 1, "owner": "1 n x", "phases": {"run": null}}',
        '{"version": 1, "owner": "1 n x", "phases": {"run": {"key": "k"}}}',
        '{"version": 2, "owner": "1 n x", "phases": {}}',
    ],
)
def test_a_state_that_is_none_is_one_clear_error(tmp_path, text):
    (tmp_path / "state.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError, match="state cannot be read") as caught:
        Journal.open(tmp_path)
    assert caught.value.problems[0].file == tmp_path / "state.json"


def test_no_state_at_all(tmp_path):
    with pytest.raises(ConfigError, match="no trial to attach to"):
        Journal.open(tmp_path / "no such")


# Owner


def start_of(pid):
    code = "import os; from ansible_env import common; print(common._started(int(os.sys.argv[1])))"
    done = subprocess.run([sys.executable, "-c", code, str(pid)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_we_live():
    assert Owner.this().lives()
    assert Owner.of_text(Owner.this().to_text()) == Owner.this()


def test_another_process_can_tell_that_we_live():
    assert start_of(os.getpid()) == Owner.this().started


@pytest.mark.parametrize("owner", [DEAD, Owner(os.getpid(), "another start"), Owner(10**30, ""), Owner(0, "x")])
def test_the_dead(owner):
    assert not owner.lives()


def test_a_process_that_has_ended_is_dead():
    child = subprocess.Popen(["true"])
    child.wait()
    assert not Owner(child.pid, "").lives()


@pytest.mark.parametrize("text", ["", "x", "x y", " "])
def test_what_is_no_owner(text):
    with pytest.raises(ValueError):
        Owner.of_text(text)


def test_a_process_in_another_pid_namespace_is_not_taken_for_dead():
    assert Owner(2**22 + 1, "of long ago", namespace="pid:[1]").lives()


def test_one_of_another_user_lives_too():
    init = Owner(1, start_of(1))
    assert init.lives()


TAKE = """
import sys
from pathlib import Path
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.status import Status
from ansible_env.storage.journal import Journal
sys.stdin.readline()
try:
    Journal.open(Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__, flush=True)
else:
    print("won", flush=True)
sys.stdin.readline()
"""


def test_one_of_many_takes_it_over(journal):
    orphan(journal)
    command = [sys.executable, "-c", TAKE, str(journal.directory)]
    others = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True) for _ in range(6)]
    for other in others:
        print(file=other.stdin, flush=True)
    answers = [other.stdout.readline().strip() for other in others]  # none ends before all have an answer
    for other in others:
        other.communicate()
    assert sorted(answers) == ["LifecycleError"] * 5 + ["won"]
