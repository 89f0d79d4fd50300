"""What else a real host does while a script runs there, and what the script leaves."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

import pytest

from ansible_env import RemoteEnv, WarmEngine
from ansible_env.results.host_result import HostResult
from tests.hosts import Hosts

pytestmark = [pytest.mark.ssh]
BURN = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; "


@pytest.fixture
def hog() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as process:
        yield process
        process.kill()


def run_on(hosts: Hosts, script: str, **config: object) -> dict[str, HostResult]:
    config = {"name": "d", "hosts": "h1:h2", "run": script, "results_stdout_pattern": r"^(\w+)=(\d+)$", **config}
    with (
        contextlib.closing(WarmEngine()) as engine,
        RemoteEnv(config=config, inventory=hosts.inventory(), engine=engine) as env,
    ):
        assert env.setup()
        assert env.run()[0].name == "SUCCEEDED", env.results["run"].summary()
        return dict(env.results["run"].hosts)


@pytest.mark.usefixtures("hog")
def test_a_hog_disturbs_and_is_told(ssh_hosts: Hosts) -> None:
    """Both hosts are on the same machine: each is disturbed by the hog, which takes a CPU of its own or a share."""
    for host in run_on(ssh_hosts, "sleep 2; echo score=1").values():
        assert host.disturbance["foreign_cpu_percent"] > 25
        assert host.disturbed.startswith("foreign_cpu_percent is ")
        assert host.metrics == {"score": 1}
    for host in run_on(ssh_hosts, "sleep 2; echo score=1", disturbed_if={"foreign_cpu_percent": False}).values():
        assert "foreign_cpu_percent" not in host.disturbed


def test_what_a_script_uses_and_leaves(ssh_hosts: Hosts) -> None:
    script = f"{BURN} setsid sleep 294 >/dev/null 2>&1 & sleep 0.5; {BURN} echo score=1"
    for host in run_on(ssh_hosts, script, resource_metrics=True).values():
        assert host.metrics["score"] == 1
        assert host.metrics["cpu_user_s"] + host.metrics["cpu_system_s"] > 0.1
        assert host.metrics["max_rss_bytes"] > 2**18
        assert [name.split()[1] for name in host.leftovers] == ["sleep"]
        assert host.left_running == ()
    assert subprocess.run(["pgrep", "-f", "^sleep 294"], check=False).returncode == 1
