"""One playbook on the hosts of a call, and what mlos_bench is told about it."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlos_bench.environments.status import Status as MlosStatus

from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.shell_env import ShellEnv
from ansible_env.engine.protocol import Cancellation, Listener, Options
from ansible_env.environment.phase_events import PhaseCall
from ansible_env.environment.phase_runner import PhaseRunner
from ansible_env.environment.target import Target
from ansible_env.errors import EngineError
from ansible_env.mlos.compat import to_mlos
from ansible_env.mlos.hosts import HostSelection
from ansible_env.mlos.runtime import Listed
from ansible_env.mlos.settings import Settings
from ansible_env.playbook.playbook import Playbook
from ansible_env.playbook.plays import render
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import OUTCOMES, Kind
from ansible_env.results.phase_result import PhaseResult

logger = logging.getLogger(__name__)

Answer = tuple[MlosStatus, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Work:
    """Something to be done on the hosts of one call."""

    name: str
    """For people: mlos_bench's name of the command."""
    settings: Settings
    target: HostSelection
    engine: Listed
    options: Options
    phase: str = "run"
    env: ShellEnv = field(default_factory=lambda: ShellEnv({}, {}))

    def config(self, items: Sequence[Any], **more: Any) -> EnvironmentConfig:
        """Return an environment that does this in its phase.

        Raises:
            ConfigError: a script cannot be sent to a host.
        """
        settings = self.settings
        data = {
            "name": self.name,
            "hosts": self.target.pattern,
            self.phase: list(items),
            "timeouts": {self.phase: settings.deadline, "grace": settings.grace, "boot": settings.boot_timeout},
            "shell": settings.interpreter,
            "fail_fast": settings.fail_fast,
            "keep_running": settings.keep_running,
            "reboot": settings.reboot,
            "become": settings.become,
            "become_user": settings.become_user,
            "become_method": settings.become_method,
        }
        return EnvironmentConfig.from_mapping({**data, **more})

    def hosts(self) -> tuple[str, ...]:
        """Return the hosts that the call means.

        Raises:
            InventoryError: the inventory cannot be read, or no host in it matches.
        """
        target = self.target
        return target.hosts or tuple(self.engine.hosts(target.inventory, target.pattern, None, self.options))

    def run(
        self,
        config: EnvironmentConfig,
        cancel: Cancellation,
        playbook: Playbook | None = None,
        listener: Listener | None = None,
    ) -> PhaseResult:
        """Do it, and return what came of it on each host, with all that was printed.

        Raises:
            InventoryError: the inventory cannot be read, or no host in it matches.
            EngineError: Ansible could not be started.
        """
        target = self.target
        runner = PhaseRunner(Target(config, self.engine, target.inventory, None, self.options, target.hosts))
        playbook = playbook or render(config, self.phase, {}, self.env)
        secrets = {"env": dict(self.env.secret), "params": {}} if self.env.secret else {}
        logs = Path(tempfile.mkdtemp(prefix="ansible_env-mlos-"))
        try:
            result = runner.run(playbook, PhaseCall(cancel, secrets, logs, listener=listener))
            if self.settings.logs:
                shutil.copytree(logs, Path(self.settings.logs).expanduser() / logs.name, dirs_exist_ok=True)
            return _with_output(result)
        finally:
            shutil.rmtree(logs, ignore_errors=True)


def _with_output(result: PhaseResult) -> PhaseResult:
    """Return a result that has all that its scripts printed, and not only the beginning and end of it."""
    hosts = {
        name: replace(host, stdout=_text(host.stdout_log, host.stdout), stderr=_text(host.stderr_log, host.stderr))
        for name, host in result.hosts.items()
    }
    return replace(result, hosts=hosts)


def _text(log: str | None, short: str) -> str:
    """Return the whole of a log; bytes that are no UTF-8 become U+FFFD, as in a result."""
    if log is None or not Path(log).is_file():
        return short
    return Path(log).read_bytes().decode("utf-8", "replace")


def answer(result: PhaseResult) -> Answer:
    """Return what mlos_bench is told: it stores this, where a script failed, as if it were metrics.

    So there is nothing of the call's parameters in it, nor what a connection said.
    """
    hosts = list(result.hosts.values())
    kinds = [host.kind for host in hosts if not host.status.is_succeeded()]
    codes = [host.rc for host in hosts if host.rc is not None]
    starts = [host.started for host in hosts if host.started]
    ends = [host.finished for host in hosts if host.finished]
    told = {
        "stdout": "".join(host.stdout for host in hosts),
        "stderr": "".join(host.stderr for host in hosts),
        "exitCode": next((code for code in codes if code), codes[0] if codes else None),
        "kind": str(kinds[0] if kinds else Kind.OK),
        "startTimestamp": min(starts).isoformat() if starts else None,
        "endTimestamp": max(ends).isoformat() if ends else None,
    }
    return to_mlos(result.status), told


def finished(told: Mapping[str, Any]) -> Answer | None:
    """Return an answer that was given before, where this is one."""
    kind = told.get("kind")
    if kind not in OUTCOMES or "stdout" not in told:
        return None
    return to_mlos(OUTCOMES[Kind(kind)].status), dict(told)


def not_started(error: EngineError) -> Answer:
    """Return the answer to a call for which Ansible could not be started."""
    logger.error("Ansible could not be started: %s", error)
    host = HostResult("", Kind.CONTROLLER)
    return to_mlos(host.status), {"stdout": "", "stderr": "", "exitCode": None, "kind": str(host.kind)}


def log_failure(name: str, result: PhaseResult) -> None:
    """Tell people what went wrong; mlos_bench knows only a status."""
    if not result.status.is_succeeded():
        logger.warning("%s: %s", name, result.summary())
