"""A phase, rendered: its plays, and what is due from each host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible_env.playbook.yaml_text import to_yaml, unsafe
from ansible_env.results.fold.events import PHASE_TASK


@dataclass(frozen=True, slots=True)
class Place:
    """What is due from the hosts of a pattern."""

    hosts: str
    scripts: int
    """Phase tasks that each of them has to get through."""
    started: int = 0
    """How many of these only start a script in the background."""


@dataclass(frozen=True, slots=True)
class Playbook:
    """A phase, rendered."""

    phase: str
    plays: tuple[Mapping[str, Any], ...]
    scripts: int
    """How many phase tasks each host has to get through for a success, besides those of `places`."""
    places: tuple[Place, ...] = ()
    """What is due from the hosts of steps that have hosts of their own."""
    started: int = 0
    """How many of `scripts` only start a script that is followed later."""
    measured: str | None = None
    """The hosts that owe the required metrics; all hosts, if None."""
    finish: str = ""
    """Name of the phase task that has to be among them, where content of the author's may have phase tasks, too."""
    beside: tuple[Path, ...] = ()
    """Directories of imported playbooks: what Ansible looks for beside a playbook may be there."""

    @property
    def has_background(self) -> bool:
        """Whether scripts are started that are followed later."""
        return any(task.get(PHASE_TASK, {}).get("background") for play in self.plays for task in play.get("tasks", ()))

    def ended(self) -> Playbook:
        """Return the playbook that ends what runs in the background, where the phase did not get to its end."""
        plays = [
            {**play, "gather_facts": False, "tasks": [_found_again(task, end=True) for task in tasks]}
            for play in self.plays
            if (tasks := [task for task in play.get("tasks", ()) if _is_following(task)])
        ]
        return replace(self, plays=tuple(plays))

    def knowing(self, found: Mapping[str, Mapping[str, str]]) -> Playbook:
        """Return the playbook for another try, which gets what hosts have exported in an earlier one."""
        plays = [
            {**play, "tasks": [_told(task, found) for task in play["tasks"]]} if "tasks" in play else play
            for play in self.plays
        ]
        return replace(self, plays=tuple(plays))

    def attached(self) -> Playbook:
        """Return the playbook that takes up the scripts where they are, and starts nothing.

        As many phase tasks are due as before: nobody knows whether the author's tasks behind the last script were
        done, so a phase that ends with one cannot become a success.
        """
        plays = []
        for play in self.plays:
            if "tasks" not in play:
                continue  # an imported playbook
            scripts = [task for task in play["tasks"] if "script" in task.get(PHASE_TASK, ())]
            tasks = [_found_again(task) for task in scripts if not task[PHASE_TASK].get("background")]
            if tasks or not self.has_background:
                plays.append({**play, "gather_facts": False, "tasks": tasks})
        places = tuple(replace(place, scripts=place.scripts - place.started, started=0) for place in self.places)
        return replace(self, plays=tuple(plays), places=places, scripts=self.scripts - self.started, started=0)

    def to_yaml(self) -> str:
        """Return what `ansible-playbook` runs."""
        return to_yaml(list(self.plays))


def _told(task: Mapping[str, Any], found: Mapping[str, Mapping[str, str]]) -> Mapping[str, Any]:
    arguments = task.get(PHASE_TASK, {})
    if "exports_from" not in arguments:
        return task
    return {**task, PHASE_TASK: {**arguments, "exports_known": unsafe(found)}}


def _is_following(task: Mapping[str, Any]) -> bool:
    arguments = task.get(PHASE_TASK, {})
    return "run_id" in arguments and "script" in arguments


def _found_again(task: Mapping[str, Any], *, end: bool = False) -> dict[str, Any]:
    """Return the task that finds a script by its number and follows it, or ends it."""
    arguments = {key: value for key, value in task[PHASE_TASK].items() if key != "run_id"}
    arguments["attach"] = True
    if end:
        arguments.setdefault("end", "canceled")
    return {**task, PHASE_TASK: arguments}
