"""Rendering of phases: from a phase of an environment to plays."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_env.config.checks import variable_names
from ansible_env.config.items import import_dirs, is_import, is_opaque
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.shell_env import ShellEnv
from ansible_env.config.steps import has_tasks, steps_of
from ansible_env.playbook.playbook import HostTasks, Playbook
from ansible_env.playbook.scripts import PARAMS_VAR, SECRETS_VAR
from ansible_env.playbook.tasks import finish, hosts_of, measured, tasks_of
from ansible_env.playbook.yaml_text import Unsafe, one_line, plain, unsafe
from ansible_env.results.fold.events import PHASE_TASK

RUNS_VAR = "ansible_env_runs"
"""The variable that holds the names of the scripts that are to be ended, by host."""


def render(
    config: EnvironmentConfig,
    phase: str,
    params: Mapping[str, Any],
    env: ShellEnv,
    *,
    hosts: str | None = None,
    exports: Sequence[Mapping[str, str]] = (),
) -> Playbook:
    """Render a phase.

    Args:
        config: the environment.
        phase: setup, run or teardown.
        params: the parameters of the trial.
        env: the environment variables of the scripts.
        hosts: a host pattern; by default `config.hosts`.
        exports: the results of `exports_of` for earlier phases in the same playbook.
    """
    items = tuple(getattr(config, phase))
    opaque = any(map(is_opaque, items))
    play = _play(config, phase.capitalize(), gather_facts=config.gather_facts, **_batches(config), **become_of(config))
    play["hosts"] = hosts or config.hosts
    steps = tuple(steps_of(items))
    tasks = tasks_of(config, phase, steps, env, opaque=opaque, exports=exports)
    variables = _variables(config, params) if has_tasks(items) else {}
    ours = [task for task in tasks if PHASE_TASK in task]
    by_hosts = {pattern: [t for t in ours if hosts_of(t) == pattern] for pattern in dict.fromkeys(map(hosts_of, ours))}
    own = by_hosts.pop(None, [])
    return Playbook(
        phase=phase,
        plays=tuple(_plays(play, variables, tasks, plain(config.handlers))),
        scripts=len(own),
        host_tasks=tuple(HostTasks(str(hosts), len(tasks), _starting(tasks)) for hosts, tasks in by_hosts.items()),
        started=_starting(own),
        measured=measured(steps).hosts,
        finish=finish(phase) if opaque else "",
        import_dirs=import_dirs(items, config.base_dir),
    )


def _starting(tasks: Iterable[Mapping[str, Any]]) -> int:
    """Return how many phase tasks only prepare or start a script, which another one follows."""
    arguments = [task[PHASE_TASK] for task in tasks]
    return sum("background" in each or "release_at" in each or each.keys() == {"require"} for each in arguments)


def _plays(
    play: Mapping[str, Any], variables: Mapping[str, Any], tasks: Iterable[dict[str, Any]], handlers: Sequence[Any]
) -> Iterator[dict[str, Any]]:
    """Yield plays with the tasks, between the imports of playbooks."""
    gathered: set[str | None] = set()
    for (is_playbook, hosts), group in itertools.groupby(tasks, lambda task: (is_import(task), hosts_of(task))):
        if is_playbook:
            yield from ({**task, "vars": {**variables, **(task.get("vars") or {})}} for task in group)
            continue
        yield {
            **play,
            **({"hosts": hosts} if hosts else {}),
            # Facts last from play to play. Which hosts two patterns share is not known yet.
            "gather_facts": play["gather_facts"] and gathered.isdisjoint({None, hosts}),
            **({"vars": variables} if variables else {}),
            "tasks": [dict(task) for task in group],
            **({"handlers": handlers} if handlers else {}),
        }
        gathered.add(hosts)


def _variables(config: EnvironmentConfig, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables that hold the parameters for Ansible tasks."""
    public = unsafe({name: value for name, value in params.items() if name not in config.secret_params})
    variables: dict[str, Any] = {PARAMS_VAR: public}
    for name in variable_names(config, params):
        variables[name] = public.get(name, f"{{{{ {SECRETS_VAR}.params.{name} }}}}")
    return variables


def _batches(config: EnvironmentConfig) -> dict[str, Any]:
    serial = list(config.serial) if len(config.serial) > 1 else next(iter(config.serial), None)
    return {key: value for key, value in (("serial", serial), ("order", config.order)) if value is not None}


def become_of(config: EnvironmentConfig) -> dict[str, Any]:
    """Return Ansible's keywords for the user that the scripts run as."""
    if not config.become:
        return {}
    keywords = {"become": True, "become_user": config.become_user, "become_method": config.become_method}
    return {key: value for key, value in keywords.items() if value is not None}


def _play(config: EnvironmentConfig, name: str, **keywords: Any) -> dict[str, Any]:
    return {"name": f"{name} {one_line(config.name)}", "hosts": config.hosts, "gather_facts": False} | keywords


def render_boot(config: EnvironmentConfig) -> Playbook:
    """Render the tasks that start the hosts, if the environment file has any, and wait until each one answers."""
    start = [{**plain(task), "delegate_to": "localhost", "become": False} for task in config.start_host]
    wait = {"name": "Wait for the host", PHASE_TASK: {"wait_boot": config.timeouts.boot or 86400}}
    return Playbook("boot", (_play(config, "Boot", tasks=[*start, wait]),), 1)


def render_script(config: EnvironmentConfig, name: str, script: str, timeout: float) -> Playbook:
    """Render a script of ours that is not a phase of the environment. `timeout` is in seconds."""
    task = {"name": name, PHASE_TASK: {"script": Unsafe(script), "shell": "sh", "timeout": timeout}}
    return Playbook(name.lower(), (_play(config, name, tasks=[task]),), 1)


def render_ending(
    config: EnvironmentConfig, users: Iterable[tuple[Mapping[str, Any], Mapping[str, Sequence[str]]]], grace: float
) -> Playbook:
    """Render what ends scripts by their names. `users` has the names by host for each user (`become_of`)."""
    plays = [
        _play(
            config,
            "End",
            **become,
            vars={RUNS_VAR: unsafe(runs)},
            tasks=[_ending_task(number, grace) for number in range(max(map(len, runs.values())))],
        )
        for become, runs in users
    ]
    return Playbook("end", tuple(plays), 1)


def _ending_task(number: int, grace: float) -> dict[str, Any]:
    runs = f"{RUNS_VAR}[inventory_hostname]"
    arguments = {
        "script": "true\n",
        "shell": "sh",
        "grace": grace,
        "attach": True,
        "end": "canceled",
        "run_id": f"{{{{ {runs}[{number}] }}}}",
    }
    return {
        "name": "End an earlier script",
        PHASE_TASK: arguments,
        "when": f"{RUNS_VAR}[inventory_hostname] | default([]) | length > {number}",
        "ignore_errors": True,  # the next one has to be ended, too
    }


def render_take(config: EnvironmentConfig) -> Playbook:
    """Render a script that does nothing, so that its lease is taken."""
    task = {"name": "Take the host", PHASE_TASK: {"script": "true\n", "shell": "sh", "timeout": 30}}
    return Playbook("take", (_play(config, "Take", **become_of(config), tasks=[task]),), 1)


def render_release(config: EnvironmentConfig, token: str) -> Playbook:
    """Render what gives leases back."""
    task = {"name": "Give the host back", PHASE_TASK: {"release_lease": token}}
    return Playbook("release", (_play(config, "Release", **become_of(config), tasks=[task]),), 1)
