"""One trial at a time on a host: several controllers and users, over ssh."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

import pytest

from ansible_env import Kind, RemoteEnv
from ansible_env.engine.environ import ansible_program
from ansible_env.environment.leases import SWITCH
from ansible_env.storage.journal import Journal
from tests.engines import ALL
from tests.faults.bench import Bench, until
from tests.faults.controller import Controller

pytestmark = [pytest.mark.ssh, pytest.mark.root]
ALONE = "exec 9>/tmp/alone; flock -n 9 || echo two at once >>/tmp/overlaps\n"


@pytest.fixture(autouse=True)
def leases(monkeypatch: pytest.MonkeyPatch, remote: Bench) -> None:
    monkeypatch.delenv(SWITCH)
    remote.hosts["h1"].exec("rm -f /tmp/overlaps /tmp/alone /tmp/may_end")


def held(bench: Bench) -> list[list[str]]:
    """The words of the leases on the host, in the order of their numbers."""
    paths = sorted(bench.hosts["h1"].path("/tmp").glob("ansible_env.lease.*"))
    return [path.read_text().split() for path in paths]


WAIT = f"{ALONE}until [ -e /tmp/may_end ]; do sleep 0.05; done; echo score=7"


@pytest.mark.parametrize("kind", ALL)
def test_two_controllers(remote: Bench, kind):
    host = remote.hosts["h1"]
    with Controller(remote, kind, run=WAIT) as other:
        remote.until_begun()
        with remote.env(run=f"{ALONE}true") as env:
            (result,) = env.run_phase("run").hosts.values()
            assert (result.kind, result.is_infrastructure_failure) == (Kind.BUSY, True)
            assert "nothing was started: the trial " in result.message
            assert "/fault/1 uses the host; its lease expires in " in result.message
            host.path("/tmp/may_end").touch()
            assert other.answer()["kind"] == "ok"
            (result,) = env.run_phase("run").hosts.values()
            assert result.kind is Kind.OK
    assert held(remote) == []
    assert not host.path("/tmp/overlaps").exists()
    remote.assert_clean()


def test_a_host_is_waited_for(remote: Bench, caplog):
    with Controller(remote, "warm", run=WAIT) as other:
        remote.until_begun()
        with remote.env(run=f"{ALONE}true", wait_for_hosts="2m") as env:
            threading.Timer(1.5, remote.hosts["h1"].path("/tmp/may_end").touch).start()
            (result,) = env.run_phase("run").hosts.values()
            assert result.kind is Kind.OK
        assert other.answer()["kind"] == "ok"
    (said,) = [text for text in caplog.messages if "waiting for up to 120 s: h1: the trial " in text]
    assert "/fault/1 uses the host; its lease expires in " in said
    assert held(remote) == []
    assert not remote.hosts["h1"].path("/tmp/overlaps").exists()
    remote.assert_clean()


def test_attach_continues_with_the_lease_of_a_killed_controller(remote: Bench):
    host = remote.hosts["h1"]
    with Controller(remote, "warm", run=WAIT) as other:
        remote.until_begun()
        other.kill()
        with remote.env(run=f"{ALONE}true") as env:
            (result,) = env.run_phase("run").hosts.values()
            assert result.kind is Kind.BUSY
        host.path("/tmp/may_end").touch()
        until(lambda: not remote.scripts(), "the end")
        journal = Journal.open(other.journal)
        config = remote.config(run=WAIT)
        with RemoteEnv(
            config=config, engine=remote.engine, inventory=remote.inventory, limit="h1", journal=journal
        ) as env:
            attached = env.attach()
            assert attached is not None
            assert attached.hosts["h1"].kind is Kind.OK
    assert held(remote) == []
    with remote.env(run=f"{ALONE}true") as env:
        (result,) = env.run_phase("run").hosts.values()
        assert result.kind is Kind.OK
    assert not host.path("/tmp/overlaps").exists()
    remote.assert_clean()


@pytest.mark.parametrize("users", [("root", "bench"), ("bench", "root")])
def test_other_users(remote: Bench, users):
    """Another user's lease counts, and one that has expired can be exceeded, though not removed."""
    host = remote.hosts["h1"]
    first, second = (remote.hosts.inventory(user=user) for user in users)
    with remote.env(setup="true", run="true", inventory=first) as env:
        assert env.setup()
        ((_, boot, _, owner),) = held(remote)
        assert owner.endswith("/fault/1")
        with remote.env(setup="true", run="true", inventory=second) as other:
            assert not other.setup()
            assert other.results["setup"].hosts["h1"].kind is Kind.BUSY
            path = host.path("/tmp/ansible_env.lease.1")
            host.exec(f"echo gone {boot} 1 x >/tmp/lease; cat /tmp/lease >/tmp/ansible_env.lease.1; rm /tmp/lease")
            assert path.read_text() == f"gone {boot} 1 x\n"
            assert other.setup()
            assert [words[3].rpartition("/")[2] for words in held(remote)] == (["x"] if users[1] == "bench" else []) + [
                "2"
            ]
            assert env.run_phase("run").hosts["h1"].kind is Kind.BUSY
    host.exec("rm -f /tmp/ansible_env.lease.*")
    remote.assert_clean()


def test_leases_need_their_form(remote: Bench):
    host = remote.hosts["h1"]
    host.exec("ln -s /etc/passwd /tmp/ansible_env.lease.5")
    with remote.env(run="true") as env:
        (result,) = env.run_phase("run").hosts.values()
        assert (result.kind, "is not a lease" in result.message) == (Kind.BUSY, True)
    host.exec("rm /tmp/ansible_env.lease.5")


def test_the_role_takes_one_and_gives_it_back(remote: Bench, tmp_path: Path):
    host = remote.hosts["h1"]
    config = {"name": "role", "setup": ["true"], "run": ["cat /tmp/ansible_env.lease.* >/tmp/seen; echo score=1"]}
    (tmp_path / "env.yml").write_text(json.dumps(config))
    play = {
        "hosts": "h1",
        "gather_facts": False,
        "roles": ["ansible_env.bench.environment"],
        "vars": {"environment_file": "env.yml"},
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]))

    def run_role() -> str:
        command = [ansible_program("ansible-playbook"), "-i", str(remote.hosts.inventory()), "play.yml"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
        return done.stdout + done.stderr

    with Controller(remote, "warm", run=WAIT) as other:
        remote.until_begun()
        said = run_role()
        assert "busy: nothing was started: the trial " in said
        host.path("/tmp/may_end").touch()
        assert other.answer()["kind"] == "ok"
    said = run_role()
    assert "failed=0" in said, said
    assert "/role/role" in host.path("/tmp/seen").read_text()
    assert held(remote) == []
    remote.assert_clean()
