"""Reboots: told by the boot id, never by a connection that came back."""

from __future__ import annotations

import threading
import time

import pytest

from ansible_env import Kind, Status
from tests.engines import WARM_AND_COLD
from tests.faults.bench import SLACK, Bench
from tests.hosts import Hosts

pytestmark = [pytest.mark.ssh, pytest.mark.root]


@pytest.fixture
def rebooting(remote: Bench, make_module_hosts) -> Bench:
    """A host that may be restarted; the tests of this module share it."""
    hosts: Hosts = make_module_hosts(1)
    return Bench(remote.engine, hosts, remote.directory)


@pytest.mark.parametrize("engine", WARM_AND_COLD, indirect=True)
def test_reboot_that_nobody_asked_for(rebooting: Bench):
    host = rebooting.hosts["h1"]
    with rebooting.env(run="echo begun; sleep 20; echo score=1", timeouts={"run": 40}) as env:
        env.hosts  # noqa: B018

        def reboot():
            rebooting.until_begun()
            time.sleep(1.5)  # so that what was printed has been fetched
            host.reboot(wait=False)

        thread = threading.Thread(target=reboot)
        thread.start()
        (result,) = env.run_phase("run").hosts.values()
        thread.join()
    assert (result.kind, result.status, result.rc) == (Kind.LOST_RESULT, Status.FAILED, None)
    assert result.is_infrastructure_failure
    assert "restarted" in result.message
    assert result.stdout == "begun\n"
    host.wait_up()
    rebooting.assert_clean()


def test_reboot_on_purpose(rebooting: Bench):
    """The host's own init reboots it, as `reboot` would; the phase says that it may."""
    host = rebooting.hosts["h1"]
    boots = host.boots
    thread = threading.Thread(target=lambda: (rebooting.until_begun(), time.sleep(0.5), host.reboot(wait=False)))
    with rebooting.env(setup="echo rebooting; sleep 60", run="echo up again", reboot=["setup"]) as env:
        env.hosts  # noqa: B018
        thread.start()
        assert env.setup(), env.results["setup"].summary()
        thread.join()
        (result,) = env.run_phase("run").hosts.values()
    assert host.boots == boots + 1
    assert (result.kind, result.stdout) == (Kind.OK, "up again\n")
    rebooting.assert_clean()


def test_script_that_may_reboot_and_does_not(rebooting: Bench):
    result = rebooting.host("exit 3", reboot=["run"])
    assert (result.kind, result.rc) == (Kind.EXIT, 3)


def test_wait_boot(rebooting: Bench):
    host = rebooting.hosts["h1"]
    host.power_off()
    thread = threading.Timer(2, host.power_on)
    with rebooting.env(setup="echo ready", wait_boot=True, timeouts={"boot": 30}) as env:
        env.hosts  # noqa: B018
        thread.start()
        assert env.setup(), env.results
        thread.join()
        assert env.results["setup"].hosts["h1"].stdout == "ready\n"
    rebooting.assert_clean()


def test_wait_boot_in_vain(rebooting: Bench):
    host = rebooting.hosts["h1"]
    host.power_off()
    try:
        with rebooting.env(setup="echo ready", wait_boot=True, timeouts={"boot": 2}) as env:
            env.hosts  # noqa: B018
            begun = time.monotonic()
            assert not env.setup()
            assert time.monotonic() - begun < 2 + 3 + SLACK
            assert env.results["boot"].hosts["h1"].kind is Kind.UNREACHABLE
            assert "setup" not in env.results
    finally:
        host.power_on()
