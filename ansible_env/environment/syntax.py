"""Ansible's own syntax check of the tasks in an environment file, before a host is touched."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_env.config.fields import ONCE, PHASES
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.shell_env import ShellEnv
from ansible_env.config.steps import has_tasks
from ansible_env.engine.protocol import SYNTAX_CHECK, Job
from ansible_env.environment.target import Target
from ansible_env.errors import ConfigError, Problem
from ansible_env.playbook.plays import render

TIMEOUT = 120
"""Seconds that a check may take; `import_playbook` may load a large project."""


class SyntaxCheck:
    """Has Ansible check the phases that contain Ansible tasks, once for an environment and those made of it by `on`.

    It is `ansible-playbook --syntax-check`: it finds modules, roles and files that do not exist, and wrong keywords.
    Templates are not evaluated. https://docs.ansible.com/ansible/latest/cli/ansible-playbook.html
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._passed = False

    def run(self, target: Target, params: Mapping[str, Any], env: ShellEnv) -> None:
        """Check the phases.

        Raises:
            ConfigError: Ansible refuses a task; it has the task's line in the environment file.
        """
        with self._lock:
            if not self._passed:
                _check(target, params, env)
                self._passed = True


def _check(target: Target, params: Mapping[str, Any], env: ShellEnv) -> None:
    config = target.config
    parts = [part for part in (*PHASES, *ONCE) if has_tasks(getattr(config, part))]
    items = {part: tuple(getattr(config, part)) for part in parts}

    def refused(selected: Mapping[str, tuple[Any, ...]]) -> str:
        """Return why Ansible refuses the phases with these items only; empty if it does not."""
        return _refused(target, config.model_copy(update=selected), tuple(selected), params, env)

    # What it says of a phase without the author's tasks is not about these: of a vault password, or the inventory.
    if not parts or not (message := refused(items)) or refused(dict.fromkeys(parts, ({"meta": "noop"},))):
        return
    raise ConfigError(_problem(config, message, items, refused))


def _problem(config: EnvironmentConfig, message: str, items: Mapping[str, tuple[Any, ...]], refused: Any) -> Problem:
    """Return the problem with the first item that is refused."""
    for part, all_items in items.items():
        if not (text := refused({part: all_items})):
            continue
        few, many = 0, len(all_items)  # so many items pass, and so many do not
        while many - few > 1:
            middle = (few + many) // 2
            if found := refused({part: all_items[:middle]}):
                many, text = middle, found
            else:
                few = middle
        return config.problem((part, many - 1), f"Ansible refuses the task: {text}")
    return Problem(f"Ansible refuses the tasks: {message}", file=config.source)


def _refused(
    target: Target, config: EnvironmentConfig, parts: tuple[str, ...], params: Mapping[str, Any], env: ShellEnv
) -> str:
    playbooks = [
        render(config.once if part in ONCE and config.once is not None else config, ONCE.get(part, part), params, env)
        for part in parts
        if getattr(config, part)
    ]
    if not playbooks:
        return ""
    plays = tuple(play for playbook in playbooks for play in playbook.plays)
    options = replace(target.options, arguments=(*target.options.arguments, SYNTAX_CHECK))
    job = Job(
        playbook=replace(playbooks[0], plays=plays).to_yaml(),
        inventory=target.inventory,
        timeout=TIMEOUT,
        base_dir=config.source.parent.absolute() if config.source else None,
        beside=tuple(path for playbook in playbooks for path in playbook.import_dirs),
        uses_files=True,
        options=options,
    )
    run = target.engine.run(job)
    return run.message if run.rc and not run.stopped else ""
