"""Never two scripts on one host: a script whose end is not known is ended before anything else is started there.

Each script takes a lock that its processes hold: the host itself records two at once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from ansible_env import Kind, RemoteEnv, run_trials
from ansible_env.storage.journal import Journal
from tests.engines import ALL
from tests.faults.bench import Bench
from tests.hosts import Host

pytestmark = [pytest.mark.ssh, pytest.mark.root]
all_engines = pytest.mark.parametrize("engine", ALL, indirect=True)

ALONE = "exec 9>/tmp/alone; flock -n 9 || echo two at once >>/tmp/overlaps\n"
LONG = f"{ALONE}echo begun; sleep 60"
AWAY = {"reboot": "run", "timeouts": {"run": 100, "boot": 1, "grace": 1}}
"""A lost connection is tried again for a second."""


@pytest.fixture(params=["perl", "no perl"])
def host(request: pytest.FixtureRequest, remote: Bench) -> Iterator[Host]:
    """A host, with and without Perl, on which no two scripts may have run at once in the end."""
    host = remote.hosts["h1"]
    host.exec(
        "rm -f /tmp/overlaps /tmp/alone"
        + ("" if request.param == "perl" else "; mount --bind /bin/false /usr/bin/perl")
    )
    yield host
    host.accept()
    if request.param != "perl":
        host.exec("umount /usr/bin/perl")
    try:
        assert not host.path("/tmp/overlaps").exists()
        remote.assert_clean()
    finally:
        for process in remote.scripts():  # they would hold the lock in the next test
            os.kill(process.pid, signal.SIGKILL)


def lose(bench: Bench, host: Host, seconds: float | None = None) -> threading.Thread:
    """Take the host away as soon as a script runs there, for some seconds or until it is told to accept again."""

    def work() -> None:
        bench.until_begun()
        host.refuse()
        host.cut()
        if seconds is not None:
            time.sleep(seconds)
            host.accept()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@all_engines
def test_teardown_after_the_host_was_away(remote: Bench, host):
    with remote.env(run=LONG, teardown=f"{ALONE}echo clean", **AWAY) as env:
        assert env.setup()
        thread = lose(remote, host)
        (result,) = env.run_phase("run").hosts.values()
        thread.join()
        assert result.kind is Kind.UNREACHABLE
        (result,) = env.run_phase("teardown").hosts.values()
        assert (result.kind, result.stdout) == (Kind.UNREACHABLE, "")
        assert result.message.startswith("nothing was started: the script of run that was started before may still be")
        assert remote.scripts()
        host.accept()
        (result,) = env.run_phase("teardown").hosts.values()
        assert (result.kind, result.stdout) == (Kind.OK, "clean\n")
        assert not remote.scripts()


def test_the_next_trial_on_the_host(remote: Bench, host):
    """The host is back when the pool gives it the trial again; the script of the first attempt still runs."""
    host.exec("rm -f /tmp/again")
    script = f"{ALONE}[ -e /tmp/again ] || {{ touch /tmp/again; sleep 60; }}"
    with remote.env(run=script, teardown=f"{ALONE}true", **AWAY) as env:
        thread = lose(remote, host, seconds=4)
        trials = list(run_trials(env, [{}, {}]))
        thread.join()
    assert {(trial.number, trial.status.name) for trial in trials} == {(1, "SUCCEEDED"), (2, "SUCCEEDED")}
    assert sorted(trial.attempts for trial in trials) == [1, 2]


def test_a_directory_that_somebody_removed(remote: Bench, host):
    with remote.env(run=LONG, teardown=f"{ALONE}echo clean") as env:
        assert env.setup()

        def work() -> None:
            remote.until_begun()
            time.sleep(2)  # beyond the first round trip
            host.exec("rm -rf /tmp/ansible_env.*")

        thread = threading.Thread(target=work)
        thread.start()
        (result,) = env.run_phase("run").hosts.values()
        thread.join()
        assert (result.kind, "was removed" in result.message) == (Kind.LOST_RESULT, True)
        (result,) = env.run_phase("teardown").hosts.values()
        assert (result.kind, result.stdout) == (Kind.OK, "clean\n")


def test_a_cancel_that_the_host_did_not_confirm(remote: Bench, host):
    with remote.env(run=LONG, teardown=f"{ALONE}echo clean", timeouts={"run": None, "grace": 1}) as env:
        assert env.setup()

        def work() -> None:
            remote.until_begun()
            time.sleep(2)
            host.freeze()
            env.cancel()

        thread = threading.Thread(target=work)
        thread.start()
        (result,) = env.run_phase("run").hosts.values()
        thread.join()
        host.thaw()
        assert result.kind is Kind.CANCELED
        assert remote.scripts()
        (result,) = env.run_phase("teardown").hosts.values()
        assert (result.kind, result.stdout) == (Kind.OK, "clean\n")


def test_the_journal_knows_the_script(remote: Bench, host, tmp_path, shared_engine):
    config = remote.config(run=LONG, teardown=f"{ALONE}echo clean", **AWAY)
    common = {"config": config, "inventory": remote.inventory, "limit": "h1"}
    with RemoteEnv(**common, engine=remote.engine, journal=Journal(tmp_path / "trial")) as env:
        assert env.setup()
        thread = lose(remote, host)
        env.run_phase("run")
        thread.join()
    host.accept()
    assert remote.scripts()
    with RemoteEnv(**common, engine=shared_engine("cold"), journal=Journal.open(tmp_path / "trial")) as env:
        assert env.attach() is None
        (result,) = env.run_phase("teardown").hosts.values()
        assert (result.kind, result.stdout) == (Kind.OK, "clean\n")
