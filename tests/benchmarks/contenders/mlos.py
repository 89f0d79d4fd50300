"""mlos_bench's SshHostService: asyncssh on a cached connection, without a look at host keys (its default)."""

from __future__ import annotations

from typing import Any

from mlos_bench.services.remote.ssh.ssh_host_service import SshHostService

from tests.benchmarks.contenders.setting import Setting


class Mlos:
    """Submits to all hosts, then fetches from all."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        first = setting.hosts[0]
        config = {
            "ssh_username": first["user"],
            "ssh_priv_key_path": first["key"],
        }
        self._service: Any = SshHostService(config=config)
        self._service.__enter__()

    def phase(self) -> None:
        """Run the script on all."""
        submitted = [
            self._service.remote_exec(
                script=self._setting.script,
                config={"ssh_hostname": host["address"], "ssh_port": host["port"]},
                env_params={},
            )
            for host in self._setting.hosts
        ]
        fetched = [self._service.get_remote_exec_results(config) for _, config in submitted]
        self._setting.check([output["stdout"] for _, output in fetched])

    def close(self) -> None:
        """End its connections."""
        self._service.__exit__(None, None, None)


def ssh(setting: Setting) -> Mlos:
    """SshHostService."""
    return Mlos(setting)
