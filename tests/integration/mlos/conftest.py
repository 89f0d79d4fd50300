"""Services of mlos_bench with ours among them, over real ssh servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlos_bench", reason="needs the extra `mlos`")

from mlos_bench.environments import RemoteEnv
from mlos_bench.services.base_service import Service
from mlos_bench.services.config_persistence import ConfigPersistenceService
from mlos_bench.services.local.local_exec import LocalExecService
from mlos_bench.tunables.tunable_groups import TunableGroups

from ansible_env.mlos import AnsibleService
from ansible_env.mlos.runtime import close
from tests.hosts import Hosts

MakeService = Callable[..., Service]


@pytest.fixture(scope="session", autouse=True)
def closed_runtime() -> Iterator[None]:
    """End the shared engine with the session."""
    yield
    close()


@pytest.fixture
def inventory(ssh_hosts: Hosts) -> str:
    """The three hosts h1, h2 and h3."""
    return str(ssh_hosts.inventory())


@pytest.fixture
def make_service(inventory: str, tmp_path: Path) -> MakeService:
    """Make a service of those that mlos_bench gives an environment, AnsibleService the last one."""

    def make(config: dict[str, Any] | None = None, global_config: dict[str, Any] | None = None) -> Service:
        paths: dict[str, Any] = {"config_path": [str(tmp_path)], "temp_dir": str(tmp_path / "temp")}
        (tmp_path / "temp").mkdir(exist_ok=True)
        loader = ConfigPersistenceService({"config_path": paths["config_path"]}, global_config or {})
        local = LocalExecService({"temp_dir": paths["temp_dir"]}, global_config or {}, loader)
        settings = {"inventory": inventory, "exec_timeout": 60, "grace": 1, **(config or {})}
        ours = AnsibleService(settings, global_config or {}, local)
        service = Service(parent=local)
        service.register(ours.export())
        return service

    return make


@pytest.fixture
def service(make_service: MakeService) -> Service:
    """The usual one."""
    return make_service()


def remote_env(service: Service, *, host: str = "h1", **config: Any) -> RemoteEnv:
    """Return mlos_bench's own RemoteEnv for one host."""
    const_args = {"vmName": host, **config.pop("const_args", {})}
    return RemoteEnv(
        name="Bench", config={"const_args": const_args, **config}, tunables=TunableGroups({}), service=service
    )


def call(
    service: Any, script: list[str], env: dict[str, str] | None = None, **params: Any
) -> tuple[str, dict[str, Any]]:
    """Run a script by the service alone, and return how it ended."""
    status, handle = service.remote_exec(script, params or {"vmName": "h1"}, env or {})
    assert status.name == "PENDING"
    status, told = service.get_remote_exec_results(handle)
    return status.name, told
