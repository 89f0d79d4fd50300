"""Operations that start, stop and restart hosts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlos_bench.environments.status import Status as MlosStatus

from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.shell_env import ShellEnv
from ansible_env.config.text import env_name_fault, text_fault
from ansible_env.engine.protocol import Cancellation
from ansible_env.errors import ParameterError, Problem
from ansible_env.mlos.compat import to_mlos
from ansible_env.mlos.work import Answer, Work, log_failure
from ansible_env.playbook.plays import render_boot
from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import PhaseResult

Job = Callable[[Cancellation], Answer]

SHUTDOWN_TIMEOUT = 120
"""Longest time in seconds for a host to go down; after that, the request has failed."""
GONE_AFTER = 5.0
"""Seconds for which an unreachable host is polled before it counts as stopped."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# Tried in turn: systemd's command, then those of other inits. Success means only that the request was accepted.
_COMMANDS = {
    "reboot": ("systemctl reboot", "shutdown -r now", "reboot"),
    "shutdown": ("systemctl poweroff", "shutdown -h now", "poweroff"),
}
_FORCED = {
    "reboot": ("systemctl reboot --force", "reboot -f"),
    "shutdown": ("systemctl poweroff --force", "poweroff -f"),
}


def checked_env(values: Mapping[str, Any], secret: Collection[str]) -> ShellEnv:
    """Return environment variables for a host; those named in `secret` have secret values.

    Raises:
        ParameterError: a name or a value is not valid. No message contains a value.
    """
    problems = []
    texts = {name: str(value) for name, value in values.items()}
    for name, value in texts.items():
        if fault := env_name_fault(name):
            problems.append(Problem(fault, name))
        if fault := text_fault(value):
            problems.append(Problem(f"the value {fault}", name))
    if problems:
        raise ParameterError(problems)
    plain = {name: value for name, value in texts.items() if name not in secret}
    return ShellEnv(plain, {name: value for name, value in texts.items() if name in secret})


def start(work: Work) -> Job:
    """Return a job that starts hosts, if the configuration has tasks for it, and waits until they answer."""
    config = work.config([], start_host=work.settings.start_host, run=["true"])
    return _waiting(work, lambda cancel: work.run(config, cancel, render_boot(config)))


def stop(work: Work) -> Job:
    """Return a job that stops hosts with the tasks of the configuration."""
    config = work.config(_on_controller(work.settings.stop_host))
    return _waiting(work, lambda cancel: work.run(config, cancel))


def restart(work: Work) -> Job:
    """Return a job that restarts hosts with the tasks of the configuration, and waits until they answer."""
    wait = {"name": "Wait for the host", PHASE_TASK: {"wait_boot": work.settings.boot_timeout}}
    config = work.config([*_on_controller(work.settings.restart_host), wait])
    return _waiting(work, lambda cancel: work.run(config, cancel))


def reboot(work: Work, *, force: bool) -> Job:
    """Return a job that reboots hosts and waits until they have booted again."""
    config = _power_config(work, "reboot", force=force, back=work.settings.boot_timeout)
    return _waiting(work, lambda cancel: work.run(config, cancel))


def shutdown(work: Work, *, force: bool) -> Job:
    """Return a job that shuts hosts down and waits until they no longer answer."""
    config = _power_config(work, "shutdown", force=force, back=GONE_AFTER)
    return lambda cancel: _gone(work, work.run(config, cancel))


def _power_config(work: Work, what: str, *, force: bool, back: float) -> EnvironmentConfig:
    commands = [*(_FORCED[what] if force else ()), *_COMMANDS[what]]
    timeout = SHUTDOWN_TIMEOUT + back + 30
    settings = work.settings.model_copy(update={"exec_timeout": timeout, "fail_fast": False, "shell": "sh"})
    adapted = replace(work, settings=settings)
    timeouts = {"run": settings.deadline, "grace": settings.grace, "boot": back}
    return adapted.config([_power_script(commands)], reboot=["run"], keep_running=[], timeouts=timeouts)


def _power_script(commands: Sequence[str]) -> str:
    """Return a script that succeeds only if its host goes down.

    A host with the boot id of the controller is the controller, or a container on it, and must not be stopped. An
    orderly shutdown ends processes with TERM.
    """
    here = _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.is_file() else "unknown"
    tries = " ||\n".join(f"$sudo {command}" for command in commands)
    return f"""\
if [ "$(cat {_BOOT_ID} 2>/dev/null)" = {here} ]; then
echo 'this is the controller itself, or a container on it' >&2; exit 1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo='sudo -n'
{{ {tries}; }} || exit 1
trap 'exit 0' TERM HUP
sleep {SHUTDOWN_TIMEOUT} &
wait "$!"
echo 'the host accepted the request to go down, but did not' >&2
exit 1
"""


def _on_controller(tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**task, "delegate_to": "localhost", "become": False} for task in tasks]


def _waiting(work: Work, run: Callable[[Cancellation], PhaseResult]) -> Job:
    """Return a job with the status TIMED_OUT if hosts did not answer in time, as mlos_bench's protocol requires."""

    def job(cancel: Cancellation) -> Answer:
        result = run(cancel)
        log_failure(work.name, result)
        if result.failed_hosts and all(host.kind is Kind.UNREACHABLE for host in result.failed_hosts):
            return MlosStatus.TIMED_OUT, {}
        return to_mlos(result.status), {}

    return job


def _gone(work: Work, result: PhaseResult) -> Answer:
    """Return the answer to a shutdown. It succeeds if each host was reached and then went down, or is about to."""
    if all(_went_down(host) for host in result.hosts.values()):
        return MlosStatus.SUCCEEDED, {}
    log_failure(work.name, result)
    return MlosStatus.FAILED, {}


def _went_down(host: HostResult) -> bool:
    return host.kind is Kind.OK or bool(host.reconnects and host.kind in (Kind.UNREACHABLE, Kind.LOST_RESULT))
