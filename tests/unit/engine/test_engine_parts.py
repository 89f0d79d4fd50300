"""The parts of the engine that need no Ansible: directories, processes, deadlines, output, left-overs."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
import uuid

import pytest

from ansible_env.common import Owner
from ansible_env.engine import cold, leftovers, processes, watch
from ansible_env.engine.events import Events, unfinished_hosts
from ansible_env.engine.forkserver.client import NOT_STARTED
from ansible_env.engine.inventory import Inventory
from ansible_env.engine.listing import NotStartedError, list_hosts
from ansible_env.engine.private import PLAYBOOK, PrivateDir
from ansible_env.engine.protocol import Cancellation, EngineRun, Job, Options
from ansible_env.errors import EngineError, InventoryError
from ansible_env.supervisor.interrupts import CANCEL_SIGNAL
from ansible_env.supervisor.variables import ENGINE_RUN, OWNER

INVENTORY = Inventory(("h,",))


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# What an engine is given


def test_secrets_are_in_no_repr():
    job = Job("- hosts: all", INVENTORY, secrets={"env": {"pw": "geheim"}})
    assert "geheim" not in repr(job)
    assert "geheim" not in repr(EngineRun(()))


def test_a_cancellation_is_never_taken_back():
    one = Cancellation()
    assert not one.requested
    one.cancel()
    one.cancel()
    assert one.requested
    assert one.reason == "canceled"


def test_an_event_of_the_callers_is_one():
    event = threading.Event()
    one, other = Cancellation(event), Cancellation(event)
    event.set()
    assert one.requested
    assert other.requested


# Events


def phase_event(name, host, action="ansible_env.bench.phase", **more):
    return {"event": name, "event_data": {"host": host, "task_action": action}, **more}


def test_hosts_whose_script_gave_no_result():
    events = [
        phase_event("runner_on_start", "a"),
        phase_event("runner_on_start", "b"),
        phase_event("runner_on_start", "other", "ansible.builtin.command"),
        phase_event("runner_on_ok", "a"),
        phase_event("runner_on_start", "a"),
        phase_event("runner_on_start", "c"),
        phase_event("runner_on_unreachable", "c"),
        {"event": "verbose"},
    ]
    assert unfinished_hosts(events) == ("b", "a")


def test_forged_events_are_dropped(caplog):
    events = Events()
    assert events.add({"event": "playbook_on_start", "job_id": events.job_id})
    assert not events.add({"event": "runner_on_ok", "event_data": {}})
    assert not events.add({"event": "verbose", "job_id": 5})
    assert len(caplog.records) == 2
    assert not events.add({"event": "verbose", "stdout": "ERROR! no such module\n"})
    assert len(caplog.records) == 2
    assert (events.complete, len(events.genuine)) == (False, 1)
    assert events.message() == "no such module"


# The private directory


def test_only_its_owner_can_look_into_it(tmp_path):
    former = os.umask(0)
    try:
        private = PrivateDir(tmp_path)
        files = [
            private.write("cancel", "canceled"),
            private.write_variables("secrets", {"pw": "geheim"}),
            private.write_playbook("- hosts: all\n", None, everything=False),
        ]
    finally:
        os.umask(former)
    assert {mode(path) for path in [private.path, *private.path.iterdir()] if path.is_dir()} == {0o700}
    assert {mode(path) for path in files} == {0o600}


def test_it_is_new_and_goes_away(tmp_path):
    one, other = PrivateDir(tmp_path), PrivateDir(tmp_path)
    assert one.path != other.path
    one.remove()
    one.remove()
    assert list(tmp_path.iterdir()) == [other.path]


@pytest.fixture
def author(tmp_path):
    """A directory with an environment file and its neighbours."""
    found = tmp_path / "author"
    for name in ("group_vars", "roles", "templates", "secrets"):
        (found / name).mkdir(parents=True)
    (found / "env.yml").write_text("name: x\n")
    (found / PLAYBOOK).write_text("his own file of this name\n")
    return found


@pytest.mark.parametrize(
    ("everything", "names"),
    [
        (False, {"group_vars", "roles"}),
        (True, {"group_vars", "roles", "templates", "secrets", "env.yml"}),
    ],
)
def test_the_neighbours_lie_beside_the_playbook(tmp_path, author, everything, names):
    private = PrivateDir(tmp_path)
    playbook = private.write_playbook("- ours\n", author, everything=everything)
    assert playbook.read_text() == "- ours\n"
    assert {path.name for path in playbook.parent.iterdir() if path.is_symlink()} == names
    private.remove()
    assert (author / "group_vars").is_dir()
    assert (author / PLAYBOOK).read_text() == "his own file of this name\n"


def test_workers_report_that_they_wait_and_that_they_do_not_any_more(tmp_path):
    private = PrivateDir(tmp_path)
    assert private.waiting() == {}
    private.write("workers", "+12 h1\n+34 h2\n+56 h 3\n-34 h2\n+7 h1\n-7 h1\n+7 h2\n")
    assert private.waiting() == {12: "h1", 56: "h 3", 7: "h2"}


# Which hosts

LISTING = """#!/bin/sh
printf '%s\\n' "$@" >"$OUT"
"""


def listing(tmp_path, body, pattern="web", limit=None):
    program = tmp_path / "ansible"
    program.write_text(LISTING + body)
    program.chmod(0o755)
    found = list_hosts([str(program), "-i", "x"], pattern, limit, {"OUT": str(tmp_path / "out"), "PATH": os.defpath})
    return found, (tmp_path / "out").read_text().splitlines()


HOSTS = "echo '  hosts (2):'; echo '    web2'; echo '    web1'"


@pytest.mark.smoke
def test_hosts_in_the_inventorys_order(tmp_path):
    found, arguments = listing(tmp_path, HOSTS)
    assert found == ("web2", "web1")
    assert arguments == ["-i", "x", "--list-hosts", "--", "web"]


def test_a_pattern_is_no_option(tmp_path):
    assert listing(tmp_path, HOSTS, "--version", "web1")[1][-3:] == ["--limit=web1", "--", "--version"]


def test_no_host_matches(tmp_path):
    with pytest.raises(InventoryError, match=r"no host matches 'web' within the limit 'x' \(Could not match\)"):
        listing(tmp_path, "echo '  hosts (0):'; echo '[WARNING]: Could not match' >&2", limit="x")


@pytest.mark.smoke
def test_an_inventory_that_cannot_be_read(tmp_path):
    with pytest.raises(InventoryError, match="the inventory cannot be used: no such plugin"):
        listing(tmp_path, "echo '[ERROR]: no such' >&2; echo 'plugin' >&2; exit 4")


def test_a_fork_server_that_does_not_answer(tmp_path):
    with pytest.raises(NotStartedError):
        listing(tmp_path, f"exit {NOT_STARTED}")


def test_no_program():
    with pytest.raises(EngineError, match="could not be read"):
        list_hosts(["/no/such/program"], "all", None, {})


# Processes of a run


@pytest.fixture
def started():
    """Start processes with variables of one's own; they are ended after the test."""
    found = []

    def start(code="pass", **variables):
        child = subprocess.Popen(
            [sys.executable, "-S", "-c", f"{code}; print(flush=True); input()"],
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        found.append(child)
        assert child.stdout is not None
        child.stdout.readline()  # by now it has its environment, and its signal handlers
        return child

    yield start
    for child in found:
        child.kill()
        child.communicate()


@pytest.fixture
def run():
    """The name of a run that nobody else has: other tests may be at work on this machine."""
    return uuid.uuid4().hex


def test_processes_are_known_by_their_marker(started, run):
    child, other = started(**{ENGINE_RUN: run}), started(**{ENGINE_RUN: f"{run}1"})
    started()
    assert processes.marked(run) == [child.pid]
    assert processes.marked(f"{run}1") == [other.pid]
    assert processes.marked(run[:-1]) == []


def test_processes_of_the_warm_engine_are_known_by_their_name(started, run):
    child = started(f"open('/proc/self/comm', 'w').write({processes.process_name(run)!r})")
    assert len(processes.process_name(run)) <= 15
    assert processes.marked(run) == [child.pid]


def test_end_is_asked_for_before_it_is_enforced(started, run):
    child = started("import signal, sys; signal.signal(15, lambda *_: sys.exit(7))", **{ENGINE_RUN: run})
    processes.end(run, patience=20)
    assert processes.marked(run) == []
    assert child.wait(10) == 7


def test_who_does_not_listen_is_killed(started, run):
    child = started("import signal; signal.signal(15, signal.SIG_IGN)", **{ENGINE_RUN: run})
    processes.end(run, patience=0.2)
    assert child.wait(10) == -signal.SIGKILL


def test_a_signal_to_nobody_is_no_error():
    processes.send([2**22 + 1], signal.SIGKILL)
    processes.end(uuid.uuid4().hex)


# Deadline and cancellation


@pytest.fixture
def sent(monkeypatch):
    """The signals that were sent: pids and the signal."""
    found = []
    monkeypatch.setattr(processes, "send", lambda pids, number: found.append((list(pids), number)))
    monkeypatch.setattr(processes, "marked", lambda run: [77, 99])
    return found


def watched(tmp_path, *, timeout=None, grace=5.0, workers=(), cancel=None):
    private = PrivateDir(tmp_path)
    private.write("workers", "".join(f"+{pid} h\n" for pid in workers))
    job = Job("", INVENTORY, hosts=("h",), timeout=timeout, grace=grace)
    found = watch.Watch(job, "r", private, cancel or Cancellation())
    return found, private


def test_nothing_is_done_before_its_time(tmp_path, sent):
    found, private = watched(tmp_path, timeout=1000)
    found.poll(time.monotonic())
    assert (found.stopped, sent) == ("", [])
    assert not (private.path / "cancel").exists()


def test_a_cancel_in_three_steps(tmp_path, sent):
    cancel = Cancellation()
    found, private = watched(tmp_path, workers=[5, 6], cancel=cancel)
    found.pid = 99
    cancel.cancel()
    now = time.monotonic()
    found.poll(now)
    assert found.stopped == "canceled"
    assert (private.path / "cancel").read_text() == "canceled"
    assert [(sorted(pids), number) for pids, number in sent] == [([5, 6], CANCEL_SIGNAL)]
    found.poll(now + 10.9)  # grace and 6 s, for the targets to end their scripts
    assert len(sent) == 1
    found.poll(now + 11.1)
    assert sent[1:] == [([99], signal.SIGTERM)]
    found.poll(now + 14.2)
    found.poll(now + 15.3)
    assert sent[2:] == [([77, 99], signal.SIGKILL)] * 2


def test_a_cancel_when_the_disk_is_full(tmp_path, sent, monkeypatch):
    cancel = Cancellation()
    found, private = watched(tmp_path, workers=[5], cancel=cancel)
    monkeypatch.setattr(private, "write", lambda *_: (_ for _ in ()).throw(OSError("no space")))
    cancel.cancel()
    found.poll(time.monotonic())
    assert sent == [([5], CANCEL_SIGNAL)]


def test_without_a_worker_there_is_nothing_to_wait_for(tmp_path, sent):
    cancel = Cancellation()
    cancel.cancel()
    found, _ = watched(tmp_path, cancel=cancel)
    now = time.monotonic()
    found.poll(now)
    found.poll(now + 0.4)
    assert sent == [([], CANCEL_SIGNAL), ([77, 99], signal.SIGTERM)]  # the parent is not known


def test_a_deadline_says_so(tmp_path, sent):
    found, private = watched(tmp_path, timeout=5)
    found.poll(time.monotonic() + 6)
    assert (found.stopped, (private.path / "cancel").read_text()) == ("timeout", "timeout")


def test_the_first_reason_stays(tmp_path, sent):
    cancel = Cancellation()
    found, _ = watched(tmp_path, timeout=5, cancel=cancel)
    found.poll(time.monotonic() + 6)
    cancel.cancel()
    found.poll(time.monotonic() + 60)
    assert found.stopped == "timeout"


# Output as it comes


class Heard:
    def __init__(self):
        self.text = []

    def on_event(self, event):
        raise AssertionError

    def on_output(self, host, stream, text):
        self.text.append((host, stream, text))


def test_output_is_handed_on_as_it_comes(tmp_path):
    (tmp_path / "h.stdout").write_bytes(b"of an earlier trial\n")
    heard = Heard()
    tail = watch.Tail(tmp_path, ("h", "../i"), heard)
    tail.poll()
    assert heard.text == []
    with (tmp_path / "h.stdout").open("ab") as file:
        file.write("1 ü".encode()[:-1])
    tail.poll()
    with (tmp_path / "h.stdout").open("ab") as file:
        file.write("ü".encode()[-1:] + b"\n")
    (tmp_path / "..%2Fi.stderr").write_bytes(b"\xff\n")
    tail.poll(last=True)
    assert heard.text == [("h", "stdout", "1 "), ("h", "stdout", "ü\n"), ("../i", "stderr", "\ufffd\n")]
    tail.poll(last=True)
    assert len(heard.text) == 3


def test_much_output_is_handed_on_in_pieces(tmp_path):
    heard = Heard()
    tail = watch.Tail(tmp_path, ("h",), heard)
    (tmp_path / "h.stdout").write_bytes(b"x" * (2 * watch.CHUNK + 1))
    tail.poll()
    assert [len(text) for _, _, text in heard.text] == [watch.CHUNK]
    tail.poll(last=True)
    assert sum(len(text) for _, _, text in heard.text) == 2 * watch.CHUNK + 1


# What killed controllers leave

DEAD = Owner(2**22 + 1, "of long ago").to_text()


def test_a_base_is_private_and_names_its_owner(tmp_path):
    base = leftovers.make_base(str(tmp_path))
    assert mode(base) == 0o700
    assert Owner.of_text((base / "owner").read_text()) == Owner.this()
    leftovers.remove_base(base)
    assert list(tmp_path.iterdir()) == []


def test_an_engine_moves_when_its_directory_has_no_room(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(processes, "environments", lambda variable: iter(()))
    usual, spare = tmp_path / "usual", tmp_path / "spare"
    usual.mkdir()
    spare.mkdir()
    full = []
    monkeypatch.setattr(leftovers, "short_temp", lambda: str(usual))
    monkeypatch.setattr(leftovers, "SPARE", (str(spare),))
    for module in (leftovers, cold):
        monkeypatch.setattr(module, "has_room", lambda place: not any(str(place).startswith(str(f)) for f in full))
    engine = cold.ColdEngine()
    first = engine._directory()
    assert first.parent == usual
    full.append(usual)
    second = engine._directory()
    assert (second.parent, engine._directory(), first.is_dir()) == (spare, second, True)
    assert len(caplog.records) == 1
    full.append(spare)  # nothing has room: it stays where it is
    assert engine._directory() == second
    engine.close()
    assert [*usual.iterdir(), *spare.iterdir()] == []


def test_only_what_the_dead_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "environments", lambda variable: iter(()))
    alive, dead, unknown = (leftovers.make_base(str(tmp_path)) for _ in range(3))
    (dead / "owner").write_text(DEAD)
    (unknown / "owner").write_text("x")
    made_anew, just_made = tmp_path / "ae-old", tmp_path / "ae-new"
    for base in (made_anew, just_made):
        (base / "cp").mkdir(parents=True)
    os.utime(made_anew, (1, 1))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "owner").write_text(DEAD)
    (tmp_path / "ae-link").symlink_to(elsewhere)
    (tmp_path / "ae-file").write_text(DEAD)
    leftovers.remove_leftovers(str(tmp_path))
    assert set(tmp_path.iterdir()) == {alive, unknown, just_made, elsewhere, tmp_path / "ae-link", tmp_path / "ae-file"}


def test_a_directory_of_another_user_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "environments", lambda variable: iter(()))
    base = leftovers.make_base(str(tmp_path))
    (base / "owner").write_text(DEAD)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    leftovers.remove_leftovers(str(tmp_path))
    assert base.is_dir()


def test_processes_of_the_dead_are_killed(tmp_path, started, monkeypatch):
    orphan = started(**{OWNER: DEAD})
    ours = started(**{OWNER: Owner.this().to_text()})
    # Only these: whatever else runs on this machine is nobody's business here.
    real = processes.environments
    monkeypatch.setattr(
        processes, "environments", lambda name: (item for item in real(name) if item[0] in (orphan.pid, ours.pid))
    )
    leftovers.remove_leftovers(str(tmp_path))
    assert orphan.wait(10) == -signal.SIGKILL
    assert ours.poll() is None


def test_options_are_plain_ansible_by_default():
    assert Options() == Options(forks=None, extra_vars={}, check=False, diff=False, verbosity=0, arguments=())


def test_the_terminal_looks_often_instead_of_sleeping():
    terminal = pytest.importorskip("ansible_env.engine.terminal")
    import ansible_runner.runner
    import pexpect

    theirs = pexpect.spawn
    terminal.install()
    terminal.install()
    assert pexpect.spawn is theirs
    child = ansible_runner.runner.pexpect.spawn("/bin/sh", ["-c", "echo x; exit 3"])
    assert b"x" in child.read()
    child.close()
    assert child.exitstatus == 3
    stuck = ansible_runner.runner.pexpect.spawn("/bin/sh", ["-c", "trap '' HUP; exec sleep 100"])
    stuck.close(force=True)
    assert not stuck.isalive()
