"""`AnsibleEnv`: a RemoteEnv as an environment of mlos_bench."""

from __future__ import annotations

import logging
import string
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, runtime_checkable

from mlos_bench.environments.base_environment import Environment
from mlos_bench.environments.status import Status as MlosStatus
from mlos_bench.services.base_service import Service
from mlos_bench.tunables.tunable_groups import TunableGroups

from ansible_env.config.documents import read_document
from ansible_env.config.fields import PHASES
from ansible_env.config.model import EnvironmentConfig
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, Problem
from ansible_env.mlos.compat import to_mlos
from ansible_env.mlos.schemas import ENVIRONMENT_CLASSES, register_schemas
from ansible_env.mlos.settings import HOST_KEYS, Settings
from ansible_env.mlos.work import Work, log_failure

logger = logging.getLogger(__name__)

register_schemas()

FILE_KEY = "environment_file"
"""The key that names an environment file of ours. The keys of the configuration override those of the file."""
_NOT_FOR_MLOS = ("name", "description", "tunables", "include_tunables", "include_services", "experiment_id", "$schema")
_LISTS = ("required_args", "tunable_params")


@runtime_checkable
class SupportsAnsible(Protocol):
    """The interface of a service that AnsibleEnv needs; an AnsibleService provides it."""

    def ansible_work(self, params: Mapping[str, Any], *, name: str = ...) -> Work:
        """Return access to the hosts that parameters select."""


class AnsibleEnv(Environment):
    """A benchmark on one host or a group of hosts, with all features of `ansible_env.RemoteEnv`.

    Its `config` has the keys of an environment file, see docs/howto/mlos_bench.md. A failed run has no metrics; its
    scripts' output is logged.
    """

    def __init__(
        self,
        *,
        name: str,
        config: dict[str, Any],
        global_config: dict[str, Any] | None = None,
        tunables: TunableGroups | None = None,
        service: Service | None = None,
    ) -> None:
        """Make an environment and check it without a host.

        Raises:
            ConfigError: the configuration is not valid, or no AnsibleService is among the services.
        """
        config = _with_file(config, service)
        super().__init__(name=name, config=config, global_config=global_config, tunables=tunables, service=service)
        provider: object = service
        if not isinstance(provider, SupportsAnsible):
            hint = f"include a service of the class {ENVIRONMENT_CLASSES[0].replace('AnsibleEnv', 'AnsibleService')}"
            raise ConfigError(Problem(f"{name}: an AnsibleEnv needs an AnsibleService", hint=hint))
        params = {**(global_config or {}), **self._params}
        work = _work(provider, name, config.get("hosts"), params)
        own = {key: value for key, value in config.items() if key not in ("hosts", FILE_KEY)}
        form = {**own, **_defaults(work.settings, own), "hosts": work.target.pattern}
        self._env = RemoteEnv(
            config=EnvironmentConfig.from_mapping(
                {"class": ENVIRONMENT_CLASSES[0], "name": name, "config": form},
                source=Path(config[FILE_KEY]) if FILE_KEY in config else None,
            ),
            global_config=global_config,
            tunables=tunables,
            inventory=work.target.inventory,
            hosts=work.target.hosts,
            engine=work.engine,
            options=work.options,
        )

        # mlos_bench may enter a context for each trial, and calls teardown once, after the last one.
        self._env.once.lasts = True

    def __enter__(self) -> AnsibleEnv:
        super().__enter__()
        self._env.__enter__()
        return self

    def __exit__(
        self, ex_type: type[BaseException] | None, ex_val: BaseException | None, ex_tb: TracebackType | None
    ) -> Literal[False]:
        self._env.__exit__(ex_type, ex_val, ex_tb)
        return super().__exit__(ex_type, ex_val, ex_tb)

    @property
    def remote(self) -> RemoteEnv:
        """The wrapped environment; its `results` have the results of each host."""
        return self._env

    def setup(self, tunables: TunableGroups, global_config: dict[str, Any] | None = None) -> bool:
        """Set up the hosts for a trial. Return whether they are ready.

        Raises:
            ParameterError: a value cannot be used; no host has been contacted.
            InventoryError: there is no host.
        """
        if not super().setup(tunables, global_config):
            return False
        self._is_ready = self._env.setup(tunables, global_config)
        if not self._is_ready:
            self._log("boot", "setup_once", "setup")
        return self._is_ready

    def run(self) -> tuple[MlosStatus, datetime, dict[str, Any] | None]:
        """Run the benchmark. Return its status, its end by the hosts' clock, and the group's metrics or None."""
        status, timestamp, _ = super().run()
        if status is not MlosStatus.READY:
            return status, timestamp, None
        ended, timestamp, metrics = self._env.run()
        self._log("run")
        return to_mlos(ended), timestamp, metrics

    def teardown(self) -> None:
        """Clean up. Failures are logged."""
        super().teardown()
        self._env.teardown()
        self._env.once.finish()

    def status(self) -> tuple[MlosStatus, datetime, list[tuple[datetime, str, Any]]]:
        """Return whether the environment is ready, and the telemetry of the last run."""
        status, _, _ = super().status()
        return status, datetime.now(UTC), self._env.status()[2]

    def _log(self, *phases: str) -> None:
        for phase in phases:
            if phase in self._env.results:
                log_failure(self.name, self._env.results[phase])


def _with_file(config: dict[str, Any], service: Service | None) -> dict[str, Any]:
    """Return a configuration with the keys of the environment file that it names, if any.

    Raises:
        ConfigError: the file is not valid.
    """
    name = config.get(FILE_KEY)
    if name is None:
        return config
    path = Path(service.config_loader_service.resolve_path(str(name)) if service is not None else str(name))
    loaded = EnvironmentConfig.load(path)
    data = read_document(path).data
    keys = {key: value for key, value in data.get("config", data).items() if key not in _NOT_FOR_MLOS}
    keys.setdefault("tunable_params", [] if "class" in data else list(loaded.tunables.groups))
    merged = {**keys, **config, FILE_KEY: str(path)}
    merged["const_args"] = {**keys.get("const_args", {}), **config.get("const_args", {})}
    for key in _LISTS:  # our files allow a single item; mlos_bench reads some of these keys itself
        if key in merged and not isinstance(merged[key], list):
            merged[key] = [merged[key]]
    return merged


def _work(service: SupportsAnsible, name: str, hosts: str | None, params: Mapping[str, Any]) -> Work:
    """Return access to the hosts that the environment selects, or that its parameters select, or to all hosts."""
    if hosts is not None:
        return service.ansible_work({"ansible_host_pattern": string.Template(hosts).safe_substitute(params)}, name=name)
    try:
        return service.ansible_work(params, name=name)
    except ConfigError:
        if any(params.get(key) is not None for key in HOST_KEYS):
            raise
        return service.ansible_work({**params, "ansible_host_pattern": "all"}, name=name)


def _defaults(settings: Settings, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the service's defaults for keys that the environment does not set."""
    shared = ("become", "become_user", "become_method", "fail_fast", "keep_running", "reboot")
    defaults: dict[str, Any] = {key: getattr(settings, key) for key in shared if key in settings.model_fields_set}
    if settings.shell or settings.ssh_shell:
        defaults["shell"] = settings.interpreter
    timeouts: dict[str, Any] = {"grace": settings.grace, "boot": settings.boot_timeout}
    if settings.deadline is not None:
        timeouts |= dict.fromkeys(PHASES, settings.deadline)
    defaults["timeouts"] = timeouts
    if isinstance(config.get("timeouts"), Mapping):
        defaults["timeouts"] = timeouts | dict(config["timeouts"])
    return {key: value for key, value in defaults.items() if key not in config or key == "timeouts"}
