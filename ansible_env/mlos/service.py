"""`AnsibleService`: the services that the environments of mlos_bench need, over Ansible."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from mlos_bench.environments.status import Status as MlosStatus
from mlos_bench.services.base_service import Service
from mlos_bench.services.types.fileshare_type import SupportsFileShareOps
from mlos_bench.services.types.host_ops_type import SupportsHostOps
from mlos_bench.services.types.host_provisioner_type import SupportsHostProvisioning
from mlos_bench.services.types.os_ops_type import SupportsOSOps
from mlos_bench.services.types.remote_exec_type import SupportsRemoteExec

from ansible_env.config.fields import PHASES
from ansible_env.config.shell_env import ShellEnv
from ansible_env.engine.protocol import Cancellation, Options
from ansible_env.errors import EngineError
from ansible_env.mlos import operations, share
from ansible_env.mlos.hosts import find_target
from ansible_env.mlos.runtime import Execution, end, runtime
from ansible_env.mlos.schemas import register_schemas
from ansible_env.mlos.settings import Settings
from ansible_env.mlos.work import Answer, Work, answer, finished, log_failure, not_started

logger = logging.getLogger(__name__)

register_schemas()

HANDLE = "ansibleExecution"
"""The key of the execution in the dictionary of a PENDING call."""


class AnsibleService(
    Service, SupportsRemoteExec, SupportsHostOps, SupportsOSOps, SupportsHostProvisioning, SupportsFileShareOps
):
    """Runs scripts, moves files and restarts machines for mlos_bench, on any host that Ansible can reach."""

    def __init__(
        self,
        config: dict[str, Any] | None = None,
        global_config: dict[str, Any] | None = None,
        parent: Service | None = None,
        methods: dict[str, Callable[..., Any]] | list[Callable[..., Any]] | None = None,
    ) -> None:
        """Read a configuration, whose keys are those of `ansible_env.mlos.settings.Settings`.

        Raises:
            ConfigError: the configuration is not valid.
        """
        own: list[Callable[..., Any]] = [
            self.remote_exec, self.get_remote_exec_results,
            self.start_host, self.stop_host, self.restart_host, self.wait_host_operation,
            self.shutdown, self.reboot, self.wait_os_operation,
            self.provision_host, self.deprovision_host, self.deallocate_host, self.wait_host_deployment,
            self.upload, self.download,
            self.ansible_work,
        ]  # fmt: skip
        super().__init__(config, global_config, parent, self.merge_methods(methods, own))
        self._settings = Settings.read(self.config)
        self._globals = dict(global_config or {})
        self._executions: list[Execution[Any]] = []
        self._transfers = share.TransferHistory()

    # Scripts

    def remote_exec(self, script: Iterable[str], config: dict[str, Any], env_params: dict[str, Any]) -> Answer:
        """Start a script on the hosts that the parameters select, and return PENDING at once.

        Raises:
            ConfigError: the parameters select no host, or cannot be used; no host has been contacted.
        """
        lines = [script] if isinstance(script, str) else list(script)
        name = str(config.get("commandName") or "mlos-script")
        suffix = name.rpartition("-")[2]
        env = operations.checked_env(env_params, self._settings.secret_params)
        work = self.ansible_work(config, name=name, phase=suffix if suffix in PHASES else "run", env=env)
        environment = work.config(lines)

        def execute(cancel: Cancellation) -> Answer:
            result = work.run(environment, cancel)
            log_failure(work.name, result)
            return answer(result)

        return self._submit(work, execute)

    def get_remote_exec_results(self, config: dict[str, Any]) -> Answer:
        """Wait for a script and return its result, or PENDING for an unknown dictionary. It may be called again."""
        return self._wait(config)

    # Hosts

    def start_host(self, params: dict[str, Any]) -> Answer:
        """Start a host with the tasks of the configuration, if there are any, and wait until it answers."""
        return self._operate(params, "start-host", operations.start)

    def stop_host(self, params: dict[str, Any], force: bool = False) -> Answer:
        """Stop a host with the tasks of the configuration, or shut it down."""
        if self._settings.stop_host:
            return self._operate(params, "stop-host", operations.stop)
        return self.shutdown(params, force)

    def restart_host(self, params: dict[str, Any], force: bool = False) -> Answer:
        """Restart a host with the tasks of the configuration, or reboot it, and wait until it answers."""
        if self._settings.restart_host:
            return self._operate(params, "restart-host", operations.restart)
        return self.reboot(params, force)

    def wait_host_operation(self, params: dict[str, Any]) -> Answer:
        """Wait for start_host, stop_host or restart_host."""
        return self._wait(params)

    def shutdown(self, params: dict[str, Any], force: bool = False) -> Answer:
        """Shut the hosts down, and wait until they no longer answer."""
        return self._operate(params, "shutdown", partial(operations.shutdown, force=force))

    def reboot(self, params: dict[str, Any], force: bool = False) -> Answer:
        """Reboot the hosts, and wait until they have booted again."""
        return self._operate(params, "reboot", partial(operations.reboot, force=force))

    def wait_os_operation(self, params: dict[str, Any]) -> Answer:
        """Wait for shutdown or reboot."""
        return self._wait(params)

    def provision_host(self, params: dict[str, Any]) -> Answer:
        """Start a host, like start_host: the hosts of an inventory exist already."""
        return self._operate(params, "provision-host", operations.start)

    def deprovision_host(self, params: dict[str, Any]) -> Answer:
        """Do nothing: the hosts of an inventory are not deprovisioned."""
        logger.info("hosts of an inventory are not deprovisioned")
        return MlosStatus.SUCCEEDED, {}

    def deallocate_host(self, params: dict[str, Any]) -> Answer:
        """Stop a host, like stop_host."""
        return self.stop_host(params)

    def wait_host_deployment(self, params: dict[str, Any], *, is_setup: bool) -> Answer:
        """Wait for provision_host or deallocate_host."""
        return self._wait(params)

    def _operate(self, params: Mapping[str, Any], name: str, operation: Callable[[Work], operations.Job]) -> Answer:
        work = self.ansible_work(params, name=f"mlos-{name}")
        return self._submit(work, operation(work))

    # Files

    def upload(self, params: dict[str, Any], local_path: str, remote_path: str, recursive: bool = True) -> None:
        """Copy a file or directory to the hosts, with its modes; create parent directories.

        A directory is merged into the target. If the target exists and has no trailing slash, it is copied into it.

        Raises:
            FileNotFoundError: local_path does not exist.
            ConfigError: the parameters select no host.
            PhaseError: the transfer failed; `.result` has the reasons.
        """
        work = self.ansible_work(params, name="mlos-upload")
        share.upload(work, self._transfers, local_path, self._remote(remote_path), recursive=recursive)

    def download(self, params: dict[str, Any], remote_path: str, local_path: str, recursive: bool = True) -> None:
        """Copy a file or directory from a host, with the rules of `upload`.

        Raises:
            FileNotFoundError: remote_path does not exist.
            ConfigError: the parameters select no host, or several.
            PhaseError: the transfer failed; `.result` has the reasons.
        """
        work = self.ansible_work(params, name="mlos-download")
        source, trial = self._remote(remote_path), params.get("trial_id")
        share.download(work, self._transfers, source, local_path, recursive=recursive, trial=trial)

    def _remote(self, path: str) -> str:
        """Return a path on the hosts. Relative paths are relative to the share."""
        base = self._settings.share_dir or self._globals.get("mountPoint")
        if not base or path.startswith(("/", "~")):
            return path
        return f"{str(base).rstrip('/')}/{path}"

    # Common parts

    def ansible_work(
        self,
        params: Mapping[str, Any],
        *,
        name: str = "mlos",
        phase: str = "run",
        env: ShellEnv | None = None,
    ) -> Work:
        """Return access to the hosts that parameters select, for AnsibleEnv and the methods above.

        Raises:
            ConfigError: they select no host, or cannot be used.
        """
        settings = self._settings.called_with(params)
        return Work(
            name=name,
            settings=settings,
            target=find_target(settings, params, self._globals, self._resolved),
            engine=runtime().engine(settings.engine),
            options=self._options(settings),
            phase=phase,
            env=env or ShellEnv({}, {}),
        )

    def _resolved(self, path: str) -> str:
        """Locate a file like mlos_bench locates its configurations."""
        path = str(Path(path).expanduser())
        loader = getattr(self, "_config_loader_service", None)
        return str(loader.resolve_path(path)) if loader is not None else path

    def _options(self, settings: Settings) -> Options:
        return Options(
            forks=settings.forks,
            extra_vars=settings.extra_vars,
            arguments=tuple(settings.ansible_args),
            config_file=Path(self._resolved(settings.ansible_cfg)) if settings.ansible_cfg else None,
            pass_env=tuple(settings.pass_env),
        )

    def _submit(self, work: Work, job: Callable[[Cancellation], Answer]) -> Answer:
        def guarded(cancel: Cancellation) -> Answer:
            try:
                return job(cancel)
            except EngineError as error:
                return not_started(error)

        logger.info("%s on %s", work.name, work.target.pattern)
        execution = runtime().submit(guarded)
        self._executions = [other for other in self._executions if not other.done()] + [execution]
        return MlosStatus.PENDING, {HANDLE: execution}

    def _wait(self, pending: Mapping[str, Any]) -> Answer:
        execution = pending.get(HANDLE)
        if isinstance(execution, Execution):
            status, result = execution.result()
            return status, dict(result)
        return finished(pending) or (MlosStatus.PENDING, {})

    def _exit_context(self, ex_type: Any, ex_val: Any, ex_tb: Any) -> Literal[False]:
        """Leave the context. After an error or Ctrl-C, cancel the work in progress."""
        if ex_type is not None:
            end(self._executions)
            self._executions = []
        return super()._exit_context(ex_type, ex_val, ex_tb)

    def pprint(self) -> str:
        """Return the names of the methods only: values of the configuration may be secret."""
        return f"{self} :: {json.dumps(sorted(self._service_methods))}"
