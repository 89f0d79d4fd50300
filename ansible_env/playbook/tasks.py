"""The tasks for the steps of a phase."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_env.config.items import is_import, is_opaque, item_task
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.shell_env import ShellEnv
from ansible_env.config.steps import Step
from ansible_env.playbook.scripts import collect_arguments, script_task, started_tasks
from ansible_env.playbook.yaml_text import plain, unsafe
from ansible_env.results.fold.events import PHASE_TASK

_FLUSH = ({"name": "Run the handlers that were notified", "ansible.builtin.meta": "flush_handlers"},)


def tasks_of(
    config: EnvironmentConfig,
    phase: str,
    steps: Sequence[Step],
    env: ShellEnv,
    *,
    opaque: bool,
    exports: Sequence[Mapping[str, str]] = (),
) -> list[dict[str, Any]]:
    """Return the tasks for the steps of a phase in their order, including imports of playbooks.

    Args:
        config: the environment.
        phase: its name.
        steps: the items of the phase.
        env: the environment variables of the scripts.
        opaque: whether the author's content may add phase tasks or handlers.
        exports: the results of `exports_of` for earlier phases in the same playbook.
    """
    count = sum(step.is_script for step in steps)
    numbers = itertools.count(1)
    tasks: list[dict[str, Any]] = []
    later: list[dict[str, Any]] = []
    known = [*exports]
    pending = False  # whether a handler may have been notified
    for step in steps:
        if not step.is_script:
            tasks.append(_placed(item_task(plain(step.item), config.base_dir), step.hosts))
            pending = not is_import(step.item) and (pending or is_opaque(step.item))
            continue
        # A script runs after the handlers that earlier tasks notified.
        tasks += _FLUSH if pending else ()
        pending = False
        number = next(numbers)
        last = step is measured(steps)
        task = script_task(config, phase, step, env, number, count, last=last)
        if known:
            task[PHASE_TASK]["exports_from"] = [dict(each) for each in known]
        if step.exports:
            known.append(_exporter(phase, step, number))
            task["register"] = known[-1]["register"]
        together = step.together or (config.start == "together" and phase == "run" and last)
        now, after = started_tasks(task, number, step, together=together)
        tasks += [_placed(each, step.hosts) for each in now]
        later += [_placed(each, step.hosts) for each in after]
    if phase == "run" and config.require:
        _require(config, tasks)
    # Scripts that are ended come last: they run beside all others.
    tasks += sorted(later, key=lambda task: bool(task[PHASE_TASK].get("end")))
    if opaque or not steps or not steps[-1].is_script:
        # Nothing else proves that a host has completed all of the tasks above, and the handlers.
        # It has no script. Its number keeps it apart from those that have one.
        collect = {**collect_arguments(config), "step": count + 1} if phase == "run" and config.collect else {}
        tasks += [*(_FLUSH if pending else ()), {"name": finish(phase), PHASE_TASK: collect}]
    return tasks


def _require(config: EnvironmentConfig, tasks: list[dict[str, Any]]) -> None:
    """Have each host checked before anything of run is started there: by the first script, or by a task of its own."""
    require = {"require": unsafe(config.require.to_plain())}
    first = tasks[0].get(PHASE_TASK, {}) if tasks else {}
    if "script" in first and "background" not in first and hosts_of(tasks[0]) is None:
        first.update(require)
    else:
        tasks.insert(0, {"name": "Check what the hosts must be", PHASE_TASK: require})


def exports_of(phase: str, steps: Sequence[Step]) -> list[dict[str, str]]:
    """Return the variable and the hosts of each step that exports values to later ones."""
    scripts = (step for step in steps if step.is_script)
    return [_exporter(phase, step, number) for number, step in enumerate(scripts, 1) if step.exports]


def _exporter(phase: str, step: Step, number: int) -> dict[str, str]:
    return {"register": f"ansible_env_{phase}_exports_{number}", "hosts": step.hosts or "all"}


def measured(steps: Sequence[Step]) -> Step:
    """Return the step that must report the required metrics: the last script that is not in the background."""
    scripts = [step for step in steps if step.is_script]
    return next((step for step in reversed(scripts) if not step.background), scripts[-1] if scripts else Step(""))


def finish(phase: str) -> str:
    """Return the name of the task that proves that a host has completed a phase."""
    return f"Finish {phase}"


class _Placed(dict[str, Any]):
    """A task of a step with its own hosts."""

    hosts: str


def hosts_of(task: Mapping[str, Any]) -> str | None:
    """Return the hosts of the task's step, or None if it has none of its own."""
    return task.hosts if isinstance(task, _Placed) else None


def _placed(task: dict[str, Any], hosts: str | None) -> dict[str, Any]:
    if hosts is None:
        return task
    placed = _Placed(task)
    placed.hosts = hosts
    return placed
