"""What the steps of a phase become, in their order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_env.config.items import is_import, is_opaque, item_task
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.parameters import ShellEnv
from ansible_env.config.steps import Step
from ansible_env.playbook.scripts import in_background, over, script_task, together_tasks
from ansible_env.playbook.yaml_text import plain
from ansible_env.results.fold.events import PHASE_TASK

_FLUSH = ({"name": "Run the handlers that were notified", "ansible.builtin.meta": "flush_handlers"},)


def tasks_of(
    config: EnvironmentConfig,
    phase: str,
    steps: Sequence[Step],
    env: ShellEnv,
    *,
    opaque: bool,
    found: Sequence[Mapping[str, str]] = (),
) -> list[dict[str, Any]]:
    """Return what the steps of a phase become, in their order; imported playbooks are among the tasks.

    `found` is what `exports_of` says of earlier phases, where these are run by the same playbook.
    """
    count = sum(step.is_script for step in steps)
    numbers = itertools.count(1)
    tasks: list[dict[str, Any]] = []
    later: list[dict[str, Any]] = []
    known = [*found]
    pending = False  # whether a handler may have been notified
    for step in steps:
        if step.is_script:
            # A script is to see what the handlers of the tasks before it do.
            tasks += _FLUSH if pending else ()
            number = next(numbers)
            task = script_task(config, phase, step, env, number, count, last=step is measured(steps))
            if known:
                task[PHASE_TASK]["exports_from"] = [dict(each) for each in known]
            if step.exports:
                known.append(_exporter(phase, step, number))
                task["register"] = known[-1]["register"]
            together = step.together or (config.start == "together" and phase == "run" and step is measured(steps))
            if together:
                *begin, task = together_tasks(task, number)
                tasks += [_placed(each, step.hosts) for each in begin]
                if step.background:
                    later.append(_placed(task if step.background is True else over(task), step.hosts))
                    continue
            elif step.background:
                started, task = in_background(task, number, step)
                later.append(_placed(task, step.hosts))
                task = started
            tasks.append(_placed(task, step.hosts))
        else:
            tasks.append(_placed(item_task(plain(step.item), config.base_dir), step.hosts))
        pending = not step.is_script and not is_import(step.item) and (pending or is_opaque(step.item))
    # Those that are ended come last: they run beside all others.
    tasks += sorted(later, key=lambda task: bool(task[PHASE_TASK].get("end")))
    if opaque or not steps or not steps[-1].is_script:
        # A host that got here has been through all of the tasks above, and handlers; nothing else proves that.
        tasks += [*(_FLUSH if pending else ()), {"name": finish(phase), PHASE_TASK: {}}]
    return tasks


def exports_of(phase: str, steps: Sequence[Step]) -> list[dict[str, str]]:
    """Return by which variables the results of steps are known whose values others are to see, and on which hosts."""
    scripts = (step for step in steps if step.is_script)
    return [_exporter(phase, step, number) for number, step in enumerate(scripts, 1) if step.exports]


def _exporter(phase: str, step: Step, number: int) -> dict[str, str]:
    return {"register": f"ansible_env_{phase}_exports_{number}", "hosts": step.hosts or "all"}


def measured(steps: Sequence[Step]) -> Step:
    """Return the step that owes the required metrics: the last script that is waited for."""
    scripts = [step for step in steps if step.is_script]
    return next((step for step in reversed(scripts) if not step.background), scripts[-1] if scripts else Step(""))


def finish(phase: str) -> str:
    """Return the name of the task that proves that a host got to the end of a phase."""
    return f"Finish {phase}"


class _Placed(dict[str, Any]):
    """A task of a step that has hosts of its own."""

    hosts: str


def hosts_of(task: Mapping[str, Any]) -> str | None:
    """Return the hosts of a task's own step, where it has any."""
    return task.hosts if isinstance(task, _Placed) else None


def _placed(task: dict[str, Any], hosts: str | None) -> dict[str, Any]:
    if hosts is None:
        return task
    placed = _Placed(task)
    placed.hosts = hosts
    return placed
