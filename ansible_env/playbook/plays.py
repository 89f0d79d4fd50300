"""A phase of an environment to plays."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_env.config.checks import variable_names
from ansible_env.config.items import import_dirs, is_import, is_opaque
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.parameters import ShellEnv
from ansible_env.config.steps import has_tasks, steps_of
from ansible_env.playbook.document import Place, Playbook
from ansible_env.playbook.names import PARAMS_VAR, SECRETS_VAR
from ansible_env.playbook.tasks import finish, hosts_of, measured, tasks_of
from ansible_env.playbook.yaml_text import Unsafe, one_line, plain, unsafe
from ansible_env.results.fold.events import PHASE_TASK


def render(
    config: EnvironmentConfig,
    phase: str,
    params: Mapping[str, Any],
    env: ShellEnv,
    *,
    hosts: str | None = None,
    found: Sequence[Mapping[str, str]] = (),
) -> Playbook:
    """Render a phase for the hosts of a pattern, `config.hosts` where none is given.

    `found` is what `exports_of` says of earlier phases, where these are run by the same playbook.
    """
    items = tuple(getattr(config, phase))
    opaque = any(map(is_opaque, items))
    play: dict[str, Any] = {
        "name": f"{phase.capitalize()} {one_line(config.name)}",
        "hosts": hosts or config.hosts,
        "gather_facts": config.gather_facts,
    }
    play |= _batches(config) | _become(config)
    steps = tuple(steps_of(items))
    tasks = tasks_of(config, phase, steps, env, opaque=opaque, found=found)
    variables = _variables(config, params) if has_tasks(items) else {}
    plays = tuple(_plays(play, variables, tasks, plain(config.handlers)))
    here = [task for task in tasks if PHASE_TASK in task]
    by_hosts = {pattern: [t for t in here if hosts_of(t) == pattern] for pattern in dict.fromkeys(map(hosts_of, here))}
    places = tuple(
        Place(pattern, len(found), sum(map(_only_starts, found)))
        for pattern, found in by_hosts.items()
        if pattern is not None
    )
    return Playbook(
        phase,
        plays,
        len(by_hosts.get(None, ())),
        places,
        sum(map(_only_starts, by_hosts.get(None, ()))),
        measured(steps).hosts,
        finish(phase) if opaque else "",
        import_dirs(items, config.base_dir),
    )


def _only_starts(task: Mapping[str, Any]) -> bool:
    return "background" in task[PHASE_TASK] or "release_at" in task[PHASE_TASK]


def _plays(
    play: Mapping[str, Any], variables: Mapping[str, Any], tasks: Iterable[dict[str, Any]], handlers: Sequence[Any]
) -> Iterator[dict[str, Any]]:
    """Put tasks into plays, between those of the playbooks that are imported."""
    gathered: set[str | None] = set()
    for (is_playbook, hosts), group in itertools.groupby(tasks, lambda task: (is_import(task), hosts_of(task))):
        if is_playbook:
            yield from ({**task, "vars": {**variables, **(task.get("vars") or {})}} for task in group)
            continue
        yield {
            **play,
            **({"hosts": hosts} if hosts else {}),
            # Facts are kept from play to play; which hosts of one pattern are those of another, nobody knows yet.
            "gather_facts": play["gather_facts"] and gathered.isdisjoint({None, hosts}),
            **({"vars": variables} if variables else {}),
            "tasks": [dict(task) for task in group],
            **({"handlers": handlers} if handlers else {}),
        }
        gathered.add(hosts)


def _variables(config: EnvironmentConfig, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables by which Ansible tasks see the parameters."""
    seen = unsafe({name: value for name, value in params.items() if name not in config.secret_params})
    found: dict[str, Any] = {PARAMS_VAR: seen}
    for name in variable_names(config, params):
        found[name] = seen.get(name, f"{{{{ {SECRETS_VAR}.params.{name} }}}}")
    return found


def _batches(config: EnvironmentConfig) -> dict[str, Any]:
    serial = list(config.serial) if len(config.serial) > 1 else next(iter(config.serial), None)
    return {key: value for key, value in (("serial", serial), ("order", config.order)) if value is not None}


def _become(config: EnvironmentConfig) -> dict[str, Any]:
    if not config.become:
        return {}
    found = {"become": True, "become_user": config.become_user, "become_method": config.become_method}
    return {key: value for key, value in found.items() if value is not None}


def render_boot(config: EnvironmentConfig, *, hosts: str | None = None) -> Playbook:
    """Render what starts the hosts, as far as the environment file says how, and waits for each to answer."""
    start = [{**plain(task), "delegate_to": "localhost", "become": False} for task in config.start_host]
    play: dict[str, Any] = {
        "name": f"Boot {one_line(config.name)}",
        "hosts": hosts or config.hosts,
        "gather_facts": False,
        "tasks": [*start, {"name": "Wait for the host", PHASE_TASK: {"wait_boot": config.timeouts.boot or 86400}}],
    }
    return Playbook("boot", (play,), 1)


def render_question(config: EnvironmentConfig, name: str, script: str, timeout: float) -> Playbook:
    """Render a script of ours that is no phase of the environment."""
    play: dict[str, Any] = {
        "name": f"{name} {one_line(config.name)}",
        "hosts": config.hosts,
        "gather_facts": False,
        "tasks": [{"name": name, PHASE_TASK: {"script": Unsafe(script), "shell": "sh", "timeout": timeout}}],
    }
    return Playbook(name.lower(), (play,), 1)
