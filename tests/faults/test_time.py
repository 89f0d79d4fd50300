"""Cases 32-37 and 43-45: deadlines, cancellation and broken connections, and that nothing is left of any."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from ansible_env import Kind, Status
from tests.engines import ALL, PLACES
from tests.faults.bench import SLACK, Bench, host_left, local_left, until

pytestmark = pytest.mark.ssh
each = pytest.mark.parametrize("engine", ALL, indirect=True)
places = pytest.mark.parametrize(
    ("anywhere", "engine"),
    PLACES,
    indirect=True,
)
PATTERN = r"^(\w+)=(\d+)$"
STUBBORN = "trap '' TERM HUP INT; echo score=7; (trap '' TERM HUP; sleep 300) & while :; do sleep 0.2; done"
"""Ignores what it can ignore, and has a child that does."""


def seconds_for(env, phase="run"):
    """Return the result of a phase and how long it took, without what is done once for an environment."""
    env.hosts  # noqa: B018 - asks Ansible
    begun = time.monotonic()
    result = env.run_phase(phase)
    return result, time.monotonic() - begun


def later(seconds, action):
    thread = threading.Timer(seconds, action)
    thread.start()
    return thread


@places
@pytest.mark.parametrize("script", ["echo score=7; sleep 300", STUBBORN], ids=["meek", "stubborn"])
def test_32_33_deadline(anywhere: Bench, script):
    timeouts = {"run": 2, "grace": 1}
    with anywhere.env(run=script, timeouts=timeouts, results_stdout_pattern=PATTERN) as env:
        group, took = seconds_for(env)
    (result,) = group.hosts.values()
    assert (group.status, result.kind) == (Status.TIMED_OUT, Kind.TIMEOUT)
    assert took < 2 + 1 + 3 + SLACK
    assert took >= 2
    # What there was by then is kept.
    assert result.stdout == "score=7\n"
    assert (result.metrics, result.metrics_partial) == ({"score": 7}, True)
    anywhere.assert_clean()


@each
def test_33_deadline_with_a_connection_that_hangs(remote: Bench, ssh_hosts):
    host = ssh_hosts["h1"]
    with remote.env(run="echo begun; sleep 300", timeouts={"run": 2, "grace": 1}) as env:
        env.hosts  # noqa: B018
        froze = threading.Thread(target=lambda: (remote.until_begun(), host.freeze()))
        froze.start()
        try:
            group, took = seconds_for(env)
            froze.join()
            # The target does its part without us.
            until(lambda: not remote.scripts(), "the target's watchdog", timeout=SLACK)
        finally:
            host.thaw()
    (result,) = group.hosts.values()
    assert (group.status, result.kind) == (Status.TIMED_OUT, Kind.TIMEOUT)
    assert "watchdog" in result.message
    assert took < 2 + 1 + 3 + SLACK
    # The run directory waits for somebody who attaches, and goes with a later run a day after its deadline.
    until(lambda: not host_left(host, directories=False), "processes on the host to end")
    host.exec("rm -rf /tmp/ansible_env.*")
    remote.assert_clean()
    assert remote.host("echo again").stdout == "again\n"


def test_deadline_while_the_login_hangs(remote: Bench, make_hosts):
    """The supervisor's deadline has not begun: the controller's own ends it."""
    hosts = make_hosts(1)
    bench = Bench(remote.engine, hosts, remote.directory)
    with bench.env(run="echo begun", timeouts={"run": 1, "grace": 1}) as env:
        env.hosts  # noqa: B018
        hosts[0].freeze()
        group, took = seconds_for(env)
        assert not local_left()  # an ssh client with the script in hand would start it now
        hosts[0].thaw()
        time.sleep(1)
    (result,) = group.hosts.values()
    assert result.status in (Status.TIMED_OUT, Status.FAILED)
    assert result.kind in (Kind.TIMEOUT, Kind.UNREACHABLE)
    assert took < 1 + 1 + 15 + SLACK
    bench.assert_clean()


@places
def test_34_cancel_of_a_script_that_traps_signals(anywhere: Bench):
    with anywhere.env(run=STUBBORN) as env:
        env.hosts  # noqa: B018
        asked = []

        def cancel():
            anywhere.until_begun()
            time.sleep(0.3)
            asked.append(time.monotonic())
            env.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        (result,) = env.run_phase("run").hosts.values()
        took = time.monotonic() - asked[0]
        thread.join()
    assert (result.kind, result.status) == (Kind.CANCELED, Status.CANCELED)
    assert result.stdout == "score=7\n"
    assert took < 1 + 3 + SLACK
    anywhere.assert_clean()


@places
def test_35_cancel_before_anything_has_begun(anywhere: Bench):
    event = threading.Event()
    event.set()
    ran = "/tmp/ran-" + anywhere.mark
    with anywhere.env(run=f"touch {ran}; sleep 300", cancel=event) as env:
        group = env.run_phase("run")
    assert group.status is Status.CANCELED
    assert {host.kind for host in group.hosts.values()} == {Kind.CANCELED}
    anywhere.assert_clean()
    assert not (anywhere.hosts["h1"].path(ran) if anywhere.hosts else Path(ran)).exists()


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.2, 0.3])
def test_35_cancel_while_ansible_starts(remote: Bench, seconds):
    with remote.env(run="sleep 300", limit=None) as env:
        env.hosts  # noqa: B018
        timer = later(seconds, env.cancel)
        group = env.run_phase("run")
        timer.join()
    assert group.status is Status.CANCELED
    assert {host.kind for host in group.hosts.values()} == {Kind.CANCELED}
    remote.assert_clean()


def test_36_cancel_as_it_finishes(anywhere: Bench):
    """Whatever wins, all that is told must fit together."""
    with anywhere.env(run="sleep 0.5; echo score=7", results_stdout_pattern=PATTERN) as env:
        env.hosts  # noqa: B018
        for early in (0.0, 0.1, 0.2, 0.3):
            env.setup()

            def cancel(pause=0.6 - early):
                anywhere.until_begun()
                time.sleep(pause)
                env.cancel()

            thread = threading.Thread(target=cancel)
            thread.start()
            group = env.run_phase("run")
            thread.join()
            (result,) = group.hosts.values()
            assert group.status is result.status
            if result.kind is Kind.OK:
                assert (result.rc, result.metrics, result.metrics_partial) == (0, {"score": 7}, False)
            else:
                assert result.kind is Kind.CANCELED
                assert result.metrics_partial or not result.metrics
            anywhere.assert_clean()


@each
def test_37_cancel_twice_from_two_threads(remote: Bench):
    with remote.env(run="echo begun; sleep 300", teardown="echo clean", limit=None) as env:
        env.hosts  # noqa: B018
        begun = threading.Event()

        def cancel(first):
            if first:  # one looks for both: the script is gone as soon as one has canceled
                remote.until_begun()
                begun.set()
            begun.wait(60)
            for _ in range(3):
                env.cancel()
                time.sleep(0.05)

        threads = [threading.Thread(target=cancel, args=(number == 0,)) for number in range(2)]
        for thread in threads:
            thread.start()
        group = env.run_phase("run")
        for thread in threads:
            thread.join()
        env.cancel()
        env.teardown()
        assert env.results["teardown"].status is Status.SUCCEEDED
    assert group.status is Status.CANCELED
    remote.assert_clean()


@pytest.mark.parametrize("times", [1, 3])
def test_43_sessions_killed_in_the_middle(remote: Bench, ssh_hosts, times):
    host = ssh_hosts["h1"]
    with remote.env(run="echo begun; sleep 4; echo score=7", results_stdout_pattern=PATTERN) as env:
        env.hosts  # noqa: B018

        def cut():
            remote.until_begun()
            for number in range(times):
                time.sleep(0.8 if number else 0.4)  # the first one in the first round trip, which lasts a second
                host.cut()

        thread = threading.Thread(target=cut)
        thread.start()
        (result,) = env.run_phase("run").hosts.values()
        thread.join()
    assert (result.kind, result.rc, result.metrics) == (Kind.OK, 0, {"score": 7})
    assert result.stdout == "begun\nscore=7\n"  # all of it, once
    assert result.reconnects >= 1
    remote.assert_clean()


def test_44_script_that_reads_stdin_gets_its_end(anywhere: Bench):
    result = anywhere.host("cat; read -r line || echo end", timeouts={"run": 10})
    assert (result.kind, result.stdout) == (Kind.OK, "end\n")


def test_45_background_process_that_holds_stdout(anywhere: Bench):
    """Documented (`keep_running`): in `run` it is ended with its script, after `setup` it stays."""
    holds = f"echo begun; bash -c 'sleep 60; : {anywhere.mark}' & echo done"
    with anywhere.env(setup=holds, run=holds, limit="h1") as env:
        group, took = seconds_for(env)
        (result,) = group.hosts.values()
        assert (result.kind, result.stdout) == (Kind.OK, "begun\ndone\n")
        assert took < 1 + 2 + SLACK
        anywhere.assert_clean()
        group, took = seconds_for(env, "setup")
        (result,) = group.hosts.values()
        assert (result.kind, result.stdout) == (Kind.OK, "begun\ndone\n")
        assert took < 2 + SLACK
    left = anywhere.scripts()
    assert {process.name for process in left} >= {"sleep"}
    for process in left:
        process_end(process.pid)
    anywhere.assert_clean()


def process_end(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
