"""The tasks for a script: one phase task, or several that start and follow it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.shell_env import ShellEnv
from ansible_env.config.steps import Step
from ansible_env.playbook.yaml_text import Unsafe, one_line, unsafe
from ansible_env.results.exports import is_template
from ansible_env.results.fold.events import PHASE_TASK

PARAMS_VAR = "ansible_env_params"
"""The variable that holds the parameters for the Ansible tasks of a phase."""
SECRETS_VAR = "ansible_env_secrets"
"""The variable that passes secrets in a 0600 file, not in the playbook: `.env` for scripts, `.params` for tasks."""
HOLD = 600
"""Longest time in seconds that a staged script waits for its release, in case its controller is gone."""


def script_task(
    config: EnvironmentConfig, phase: str, step: Step, env: ShellEnv, number: int, count: int, *, last: bool
) -> dict[str, Any]:
    """Return the phase task of a script, the `number`th of `count`; `last` if it must report the metrics."""
    script = step.item
    arguments: dict[str, Any] = {"script": Unsafe(script if script.endswith("\n") else script + "\n")}
    arguments |= _variables(env) | {"shell": config.shell}
    timeout = getattr(config.timeouts, phase)
    if timeout is not None:
        arguments |= {"timeout": timeout, "grace": config.timeouts.grace}
    flags = {
        "fail_fast": config.fail_fast,
        "keep_running": phase in config.keep_running,
        "may_reboot": phase in config.reboot,
    }
    arguments |= {name: True for name, value in flags.items() if value}
    if phase in config.reboot and config.timeouts.boot is not None:
        arguments["reconnect"] = config.timeouts.boot
    if phase == "run":
        arguments |= _metrics_arguments(config, last=last, alone=count == 1)
    if count > 1:
        arguments["step"] = number
    patterns = {name: source for name, source in step.exports.items() if not is_template(source)}
    templates = {name: source for name, source in step.exports.items() if is_template(source)}
    exports = {"export_patterns": unsafe(patterns), "export_values": templates}
    arguments |= {name: value for name, value in exports.items() if value}
    return {"name": one_line(step.name or f"{phase.capitalize()} script"), PHASE_TASK: arguments}


def _variables(env: ShellEnv) -> dict[str, Any]:
    arguments = {
        "env": unsafe(dict(env.plain)),
        "secret_env": f"{{{{ {SECRETS_VAR}.env }}}}" if env.secret else None,
        "host_env": dict(env.hosted),
        "secret_host_env": dict(env.hosted_secret),
    }
    return {name: value for name, value in arguments.items() if value}


def _metrics_arguments(config: EnvironmentConfig, *, last: bool, alone: bool) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if config.results_stdout_pattern is not None:
        arguments["results_stdout_pattern"] = Unsafe(config.results_stdout_pattern)
    if config.results_json and last:
        arguments["results_json"] = True
    if config.metrics and last:
        arguments["metrics"] = unsafe(dict(config.metrics))
    if config.results_file and last:
        arguments["results_file"] = Unsafe(config.results_file)
    arguments |= collect_arguments(config)
    if config.telemetry:
        arguments["telemetry"] = unsafe([probe.model_dump(exclude_none=True) for probe in config.telemetry])
    if config.required_metrics and alone:  # several scripts may report some each: checked at the end
        arguments["required_metrics"] = unsafe(list(config.required_metrics))
    if config.disturbed_if.own:
        arguments["disturbed_if"] = dict(config.disturbed_if.own)
    if config.resource_metrics:
        arguments["resource_metrics"] = True
    if config.valid:
        arguments["valid"] = unsafe(config.model_dump(include={"valid"})["valid"])
    return arguments


def collect_arguments(config: EnvironmentConfig) -> dict[str, Any]:
    """Return the arguments of a phase task that collects files."""
    if not config.collect:
        return {}
    return {"collect": unsafe(list(config.collect)), "collect_limit_mib": config.collect_limit_mib}


def started_tasks(
    task: Mapping[str, Any], number: int, step: Step, *, together: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the tasks that run a script in the place of its step, and those that follow it after all other steps."""
    if together:
        *begin, follow = _together(task, number)
        if not step.background:
            return [*begin, follow], []
        return begin, [follow if step.background is True else _ending(follow)]
    if step.background:
        start, follow = _in_background(task, number)
        return [start], [follow if step.background is True else _ending(follow)]
    return [dict(task)], []


def _together(task: Mapping[str, Any], number: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the tasks that stage a script on every host, start all of them at the same time, and follow them.

    The start time leaves enough time to notify each host, which takes no longer than the staging took.
    """
    start, follow = _in_background(task, number)
    staged = f"ansible_play_hosts | map('extract', hostvars, '{start['register']}') | map(attribute='staged')"
    at = f"{{{{ ({staged} | max) + 1 + 1.5 * (({staged} | max) - ({staged} | min)) }}}}"
    release = {
        "release_at": at,
        "clock_offset": f"{{{{ {start['register']}.clock_offset }}}}",
        "run_id": f"{{{{ {start['register']}.run_id }}}}",
    }
    return (
        {**start, "name": _named("Stage", task), PHASE_TASK: {**start[PHASE_TASK], "hold": HOLD}},
        {"name": _named("Release", task), PHASE_TASK: release},
        follow,
    )


def _in_background(task: Mapping[str, Any], number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the task that starts a script, and the one that waits for it."""
    register = f"ansible_env_script_{number}"
    arguments = task[PHASE_TASK]
    at_end = (
        *("results_stdout_pattern", "results_json", "metrics", "required_metrics"),
        *("results_file", "collect", "collect_limit_mib"),
    )
    start = {key: value for key, value in arguments.items() if key not in at_end} | {"background": True}
    follow = {**arguments, "attach": True, "run_id": f"{{{{ {register}.run_id }}}}"}
    return (
        {**task, "name": _named("Start", task), PHASE_TASK: start, "register": register},
        {**task, PHASE_TASK: follow},
    )


def _named(verb: str, task: Mapping[str, Any]) -> str:
    name = task["name"]
    return f"{verb} {name[:1].lower()}{name[1:]}"


def _ending(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task that ends a script instead of waiting for it."""
    return {**task, PHASE_TASK: {**task[PHASE_TASK], "end": "over"}}
