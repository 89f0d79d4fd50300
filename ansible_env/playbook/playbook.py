"""A rendered phase: its plays, and the phase tasks that each host must complete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible_env.playbook.yaml_text import to_yaml, unsafe
from ansible_env.results.fold.events import PHASE_TASK

STOPPING = ("any_errors_fatal", "max_fail_percentage", "serial")
"""Keywords of a play by which the failure of one host keeps another one from its tasks."""


@dataclass(frozen=True, slots=True)
class HostTasks:
    """How many phase tasks the hosts of a pattern must complete."""

    hosts: str
    scripts: int
    started: int = 0
    """How many of `scripts` only start a script in the background."""


@dataclass(frozen=True, slots=True)
class Playbook:
    """A rendered phase."""

    phase: str
    plays: tuple[Mapping[str, Any], ...]
    scripts: int
    """How many phase tasks each host must complete, besides those of `host_tasks`."""
    host_tasks: tuple[HostTasks, ...] = ()
    """The phase tasks of steps that have their own hosts."""
    started: int = 0
    """How many of `scripts` only start a script in the background."""
    measured: str | None = None
    """Pattern of the hosts that must report the required metrics; None for all hosts."""
    finish: str = ""
    """Name of a phase task that must be among the completed ones, if the author's content may add phase tasks."""
    import_dirs: tuple[Path, ...] = ()
    """Directories of imported playbooks, which may use files beside them."""

    @property
    def has_background(self) -> bool:
        """Whether the phase starts scripts in the background."""
        return any(task.get(PHASE_TASK, {}).get("background") for play in self.plays for task in play.get("tasks", ()))

    @property
    def steps(self) -> int:
        """The highest number of a script."""
        tasks = (task.get(PHASE_TASK, {}) for play in self.plays for task in play.get("tasks", ()))
        return max((int(task.get("step", 1)) for task in tasks if "script" in task), default=1)

    def for_ending(self) -> Playbook:
        """Return the playbook that ends the background scripts of an incomplete phase.

        A host goes through all of its tasks, whatever comes of one: each script has to be ended.
        """
        plays = [
            {key: value for key, value in play.items() if key not in STOPPING}
            | {"gather_facts": False, "tasks": [_ending(task) for task in tasks]}
            for play in self.plays
            if (tasks := [task for task in play.get("tasks", ()) if _is_following(task)])
        ]
        return replace(self, plays=tuple(plays))

    def for_attaching(self) -> Playbook:
        """Return the playbook that follows the scripts that are running, and starts nothing.

        The number of phase tasks stays the same: nothing proves that the author's tasks after the last script were
        completed, so a phase that ends with one cannot succeed.
        """
        plays = []
        for play in self.plays:
            if "tasks" not in play:
                continue  # an imported playbook
            tasks = [_attaching(task) for task in play["tasks"] if _is_awaiting(task)]
            if tasks or not self.has_background:
                plays.append({**play, "gather_facts": False, "tasks": tasks})
        host_tasks = tuple(replace(each, scripts=each.scripts - each.started, started=0) for each in self.host_tasks)
        return replace(self, plays=tuple(plays), host_tasks=host_tasks, scripts=self.scripts - self.started, started=0)

    def with_exports(self, exports: Mapping[str, Mapping[str, str]]) -> Playbook:
        """Return the playbook for another attempt, which gets the exports of hosts from an earlier one."""
        return replace(self, plays=self._changed(lambda task: _with_exports(task, exports)))

    def to_yaml(self) -> str:
        """Return the text of the playbook."""
        return to_yaml(list(self._changed(_reported)))

    def _changed(self, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
        """Return the plays with each of their tasks changed."""
        changed = (
            {**play, "tasks": list(map(change, play["tasks"]))} if "tasks" in play else play for play in self.plays
        )
        return tuple(changed)


def _reported(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a task whose result is reported if it is a phase task, also where ansible.cfg sets `no_log`."""
    return {**task, "no_log": False} if PHASE_TASK in task else task


def _with_exports(task: Mapping[str, Any], exports: Mapping[str, Mapping[str, str]]) -> Mapping[str, Any]:
    arguments = task.get(PHASE_TASK, {})
    if "exports_from" not in arguments:
        return task
    return {**task, PHASE_TASK: {**arguments, "exports_known": unsafe(exports)}}


def _is_following(task: Mapping[str, Any]) -> bool:
    arguments = task.get(PHASE_TASK, {})
    return "run_id" in arguments and "script" in arguments


def _is_awaiting(task: Mapping[str, Any]) -> bool:
    """Whether a task waits for the end of a script."""
    arguments = task.get(PHASE_TASK, {})
    return "script" in arguments and not arguments.get("background")


def _attaching(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task that finds a running script by its number and follows it."""
    arguments = {key: value for key, value in task[PHASE_TASK].items() if key != "run_id"}
    return {**task, PHASE_TASK: {**arguments, "attach": True}}


def _ending(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task that finds a running script by its number and ends it."""
    return {**task, "ignore_errors": True, PHASE_TASK: {"end": "canceled", **_attaching(task)[PHASE_TASK]}}
