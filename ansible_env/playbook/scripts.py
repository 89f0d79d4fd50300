"""What a script becomes: one phase task, or several that start and follow it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.parameters import ShellEnv
from ansible_env.config.steps import Step
from ansible_env.playbook.names import HOLD, SECRETS_VAR
from ansible_env.playbook.yaml_text import Unsafe, one_line, unsafe
from ansible_env.results.exports import is_template
from ansible_env.results.fold.events import PHASE_TASK


def script_task(
    config: EnvironmentConfig, phase: str, step: Step, env: ShellEnv, number: int, count: int, *, last: bool
) -> dict[str, Any]:
    """Return the phase task of a script: the `number`th of `count`, perhaps the last that is waited for."""
    script = step.item
    arguments: dict[str, Any] = {"script": Unsafe(script if script.endswith("\n") else script + "\n")}
    if env.plain:
        arguments["env"] = unsafe(dict(env.plain))
    if env.secret:
        arguments["secret_env"] = f"{{{{ {SECRETS_VAR}.env }}}}"
    for name, hosted in (("host_env", env.hosted), ("secret_host_env", env.hosted_secret)):
        if hosted:
            arguments[name] = dict(hosted)
    arguments["shell"] = config.shell
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
    if patterns:
        arguments["export_patterns"] = unsafe(patterns)
    if templates := {name: source for name, source in step.exports.items() if is_template(source)}:
        arguments["export_values"] = templates
    return {"name": one_line(step.name or f"{phase.capitalize()} script"), PHASE_TASK: arguments}


def _metrics_arguments(config: EnvironmentConfig, *, last: bool, alone: bool) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if config.results_stdout_pattern is not None:
        arguments["results_stdout_pattern"] = Unsafe(config.results_stdout_pattern)
    if config.results_json and last:
        arguments["results_json"] = True
    if config.telemetry:
        arguments["telemetry"] = unsafe([probe.model_dump(exclude_none=True) for probe in config.telemetry])
    if config.required_metrics and alone:  # of several scripts, each may give some of them: they are counted at the end
        arguments["required_metrics"] = unsafe(list(config.required_metrics))
    return arguments


def together_tasks(task: Mapping[str, Any], number: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the tasks that stage a script on every host, let all of them start at one moment, and follow them.

    The moment is so far ahead that each host can be told of it, which takes no longer than the staging took.
    """
    start, follow = in_background(task, number, Step(""))
    staged = f"ansible_play_hosts | map('extract', hostvars, '{start['register']}') | map(attribute='staged')"
    at = f"{{{{ ({staged} | max) + 1 + 1.5 * (({staged} | max) - ({staged} | min)) }}}}"
    release = {
        "release_at": at,
        "clock_offset": f"{{{{ {start['register']}.clock_offset }}}}",
        "run_id": f"{{{{ {start['register']}.run_id }}}}",
    }
    name = task["name"]
    return (
        {**start, "name": f"Stage {name[:1].lower()}{name[1:]}", PHASE_TASK: {**start[PHASE_TASK], "hold": HOLD}},
        {"name": f"Release {name[:1].lower()}{name[1:]}", PHASE_TASK: release},
        follow,
    )


def in_background(task: Mapping[str, Any], number: int, step: Step) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the task that starts a script, and the one that waits for it, or ends it, when the others are done."""
    register = f"ansible_env_script_{number}"
    arguments = task[PHASE_TASK]
    measures = ("results_stdout_pattern", "results_json", "required_metrics")
    start = {key: value for key, value in arguments.items() if key not in measures}
    follow = {**arguments, "attach": True, "run_id": f"{{{{ {register}.run_id }}}}"}
    if step.background == "until_end":
        follow["end"] = "over"
    name = task["name"]
    return (
        {**task, "name": f"Start {name[:1].lower()}{name[1:]}", PHASE_TASK: {**start, "background": True}}
        | {"register": register},
        {**task, PHASE_TASK: follow},
    )


def over(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task that ends a script instead of waiting for it."""
    return {**task, PHASE_TASK: {**task[PHASE_TASK], "end": "over"}}
