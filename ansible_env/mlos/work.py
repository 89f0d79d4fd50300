"""The run of one playbook on the hosts of a call, and its result for mlos_bench."""

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
from ansible_env.mlos.runtime import CachingEngine
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
    """Work on the hosts of one call."""

    name: str
    """mlos_bench's name of the command, for messages."""
    settings: Settings
    target: HostSelection
    engine: CachingEngine
    options: Options
    phase: str = "run"
    env: ShellEnv = field(default_factory=lambda: ShellEnv({}, {}))

    def config(self, items: Sequence[Any], **more: Any) -> EnvironmentConfig:
        """Return an environment with these items in the phase of the work.

        Raises:
            ConfigError: an item cannot run on a host.
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
        """Return the hosts that the call selects.

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
        """Run a playbook, by default that of the phase, and return the result with the whole output.

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
    """Return a result with the whole output of its scripts instead of its beginning and end."""
    hosts = {
        name: replace(host, stdout=_text(host.stdout_log, host.stdout), stderr=_text(host.stderr_log, host.stderr))
        for name, host in result.hosts.items()
    }
    return replace(result, hosts=hosts)


def _text(log: str | None, short: str) -> str:
    """Return the text of a log. Bytes that are not UTF-8 become U+FFFD, as in a result."""
    if log is None or not Path(log).is_file():
        return short
    return Path(log).read_bytes().decode("utf-8", "replace")


def answer(result: PhaseResult) -> Answer:
    """Return the answer for mlos_bench, which stores it like metrics if a script failed.

    So it contains no parameters of the call, and no messages of a connection.
    """
    hosts = list(result.hosts.values())
    kinds = [host.kind for host in hosts if not host.status.is_succeeded()]
    codes = [host.rc for host in hosts if host.rc is not None]
    starts = [host.started for host in hosts if host.started]
    ends = [host.finished for host in hosts if host.finished]
    output = {
        "stdout": "".join(host.stdout for host in hosts),
        "stderr": "".join(host.stderr for host in hosts),
        "exitCode": next((code for code in codes if code), codes[0] if codes else None),
        "kind": str(kinds[0] if kinds else Kind.OK),
        "startTimestamp": min(starts).isoformat() if starts else None,
        "endTimestamp": max(ends).isoformat() if ends else None,
    }
    return to_mlos(result.status), output


def finished(output: Mapping[str, Any]) -> Answer | None:
    """Return the answer that `output` belongs to, or None if it is no output of an answer."""
    kind = output.get("kind")
    if kind not in OUTCOMES or "stdout" not in output:
        return None
    return to_mlos(OUTCOMES[Kind(kind)].status), dict(output)


def not_started(error: EngineError) -> Answer:
    """Return the answer to a call for which Ansible could not be started."""
    logger.error("Ansible could not be started: %s", error)
    host = HostResult("", Kind.CONTROLLER)
    return to_mlos(host.status), {"stdout": "", "stderr": "", "exitCode": None, "kind": str(host.kind)}


def log_failure(name: str, result: PhaseResult) -> None:
    """Log the reasons of a failure: mlos_bench shows only a status."""
    if not result.status.is_succeeded():
        logger.warning("%s: %s", name, result.summary())
