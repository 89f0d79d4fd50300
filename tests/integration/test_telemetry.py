"""Telemetry of real hosts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ansible_env import RemoteEnv, WarmEngine
from tests.faults.bench import host_left, until
from tests.hosts import Hosts, HostSpec

pytestmark = [pytest.mark.ssh]
COMMAND = {"command": 'echo "v=$value"', "pattern": r"(\w+)=(\w+)", "every": "200ms"}


def test_samples_come_with_the_run_and_the_sampler_goes_with_it(ssh_hosts: Hosts) -> None:
    config = {
        "name": "t",
        "hosts": "h1:h2",
        "const_args": {"value": 7},
        "shell_env_params": ["value"],
        "telemetry": [{"every": "200ms"}, COMMAND],
        "setup": "true",
        "run": "sleep 1; echo score=1",
        "results_stdout_pattern": r"^(\w+)=(\d+)$",
    }
    engine = WarmEngine()
    try:
        with RemoteEnv(config=config, inventory=ssh_hosts.inventory(), engine=engine) as env:
            assert env.setup(), env.results["setup"].summary()
            status, _, metrics = env.run()
            assert (status.name, metrics) == ("SUCCEEDED", {"score": 1})
            result = env.results["run"]
            for host in result.hosts.values():
                assert host.stdout == "score=1\n"
                assert host.started is not None
                assert host.finished is not None
                assert [v for _, name, v in host.telemetry if name == "v"][:2] == [7, 7]
                assert any(name == "cpu_percent" for _, name, _ in host.telemetry)
                assert all((time - host.started).total_seconds() > -1 for time, _, _ in host.telemetry)
                assert all((time - host.finished).total_seconds() < 1 for time, _, _ in host.telemetry)
            assert {name for _, name, _ in env.status()[2]} >= {"v{h1}", "v{h2}"}
            assert env.results["setup"].hosts["h1"].telemetry == ()
        config |= {"run": "sleep 60.5", "timeouts": {"run": 1, "grace": 1}}
        with RemoteEnv(config=config, inventory=ssh_hosts.inventory(), engine=engine) as env:
            assert env.setup()
            assert env.run()[0].name == "TIMED_OUT"
            assert env.status()[2]
        for host in ssh_hosts:
            until(lambda host=host: not host_left(host), "everything to go", 5)
    finally:
        engine.close()


@pytest.mark.root
def test_on_a_host_with_busybox(make_hosts: Callable[..., Hosts]) -> None:
    hosts = make_hosts([HostSpec("h1", python=False, sh="busybox")])
    config = {"name": "t", "run": "sleep 1", "telemetry": True, "shell": "sh"}
    with RemoteEnv(config=config, inventory=hosts.inventory(), engine="cold") as env:
        assert env.setup()
        assert env.run()[0].name == "SUCCEEDED"
        assert {name for _, name, _ in env.status()[2]} >= {"memory_used_bytes", "load_1m"}
        assert not host_left(hosts[0])
