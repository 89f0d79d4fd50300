"""A host that does not meet `require` runs nothing, and its trials go to others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_env import Kind, run_trials
from tests.engines import ALL
from tests.faults.bench import Bench
from tests.hosts import Hosts

TOOL = "/tmp/ansible-env-tool"
RUN = ["touch /tmp/ran; echo score=1"]


@pytest.fixture
def tools(ssh_hosts: Hosts) -> Iterator[Hosts]:
    """The hosts h1 and h3 have a program that h2 has not."""
    for name in ("h1", "h3"):
        ssh_hosts[name].exec(f"printf '#!/bin/sh' >{TOOL}; chmod +x {TOOL}")
    yield ssh_hosts
    for host in ssh_hosts:
        host.exec(f"rm -f {TOOL} /tmp/ran")


@pytest.mark.parametrize("engine", ALL, indirect=True)
def test_nothing_is_started_on_an_unfit_host(remote: Bench, tools: Hosts) -> None:
    rules = {"commands": [TOOL], "load_1m": "< 1000", "clock_offset_s": "< 5"}
    result = remote.phase(RUN, limit="h1,h2", require=rules)
    assert {name: host.kind for name, host in result.hosts.items()} == {"h1": Kind.OK, "h2": Kind.UNFIT}
    unfit = result.hosts["h2"]
    assert unfit.message == f"{TOOL} is not installed (do: install {TOOL} there)"
    assert unfit.is_infrastructure_failure
    assert not tools["h2"].path("/tmp/ran").exists()
    remote.assert_clean()


def test_its_trials_run_on_other_hosts(remote: Bench, tools: Hosts) -> None:
    with remote.env(run=RUN, require={"commands": [TOOL]}, limit=None) as env:
        trials = list(run_trials(env, [{}], repeat=5))
    assert all(trial.status.is_succeeded() for trial in trials)
    assert {host for trial in trials for host in trial.hosts} == {"h1", "h3"}
    assert max(trial.attempts for trial in trials) > 1
    assert not tools["h2"].path("/tmp/ran").exists()
