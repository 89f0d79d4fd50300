"""From a phase of an environment to a playbook: plain data, and YAML that a person may read and run.

Text that is not the author's own Ansible task (script lines, values of parameters) is marked `!unsafe`, so that
Ansible never templates it, wherever it came from.
https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_advanced_syntax.html#unsafe-or-raw-strings
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from ansible_env.config import EnvironmentConfig, TaggedValue
from ansible_env.config.checks import variable_names
from ansible_env.config.items import import_dirs, is_import, is_opaque, item_task
from ansible_env.config.steps import Step, has_tasks, steps_of
from ansible_env.exports import is_template
from ansible_env.params import ShellEnv

PHASES = ("setup", "run", "teardown")
PHASE_TASK = "ansible_env.bench.phase"
PARAMS_VAR = "ansible_env_params"
"""The variable by which Ansible tasks of a phase see the parameters."""
SECRETS_VAR = "ansible_env_secrets"
"""The variable that carries secrets past the playbook, in a 0600 file: `.env` for scripts, `.params` for tasks."""


HOLD = 600
"""Seconds that a staged script waits for its release at the most, should its controller be gone."""


class Unsafe(str):
    """A string that Ansible must not template."""

    __slots__ = ()


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


def to_yaml(data: Any) -> str:
    """Return plays, tasks or variables as YAML that Ansible reads, with what is unsafe marked."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, explicit_start=True, allow_unicode=True, width=10_000)
    return text


def render(
    config: EnvironmentConfig,
    phase: str,
    params: Mapping[str, Any],
    env: ShellEnv,
    *,
    hosts: str | None = None,
) -> Playbook:
    """Render a phase for the hosts of a pattern, `config.hosts` where none is given."""
    items = tuple(getattr(config, phase))
    opaque = any(map(is_opaque, items))
    play: dict[str, Any] = {
        "name": f"{phase.capitalize()} {_one_line(config.name)}",
        "hosts": hosts or config.hosts,
        "gather_facts": config.gather_facts,
    }
    play |= _batches(config) | _become(config)
    steps = tuple(steps_of(items))
    tasks = _tasks(config, phase, steps, env, opaque=opaque)
    variables = _variables(config, params) if has_tasks(items) else {}
    plays = tuple(_plays(play, variables, tasks, _plain(config.handlers)))
    here = [task for task in tasks if PHASE_TASK in task]
    by_hosts = {
        pattern: [t for t in here if _hosts_of(t) == pattern] for pattern in dict.fromkeys(map(_hosts_of, here))
    }
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
        _measured(steps).hosts,
        _finish(phase) if opaque else "",
        import_dirs(items, config.base_dir),
    )


def _only_starts(task: Mapping[str, Any]) -> bool:
    return "background" in task[PHASE_TASK] or "release_at" in task[PHASE_TASK]


class _Placed(dict[str, Any]):
    """A task of a step that has hosts of its own."""

    hosts: str


def _hosts_of(task: Mapping[str, Any]) -> str | None:
    return task.hosts if isinstance(task, _Placed) else None


def _placed(task: dict[str, Any], hosts: str | None) -> dict[str, Any]:
    if hosts is None:
        return task
    placed = _Placed(task)
    placed.hosts = hosts
    return placed


def _measured(steps: Sequence[Step]) -> Step:
    """Return the step that owes the required metrics: the last script that is waited for."""
    scripts = [step for step in steps if step.is_script]
    return next((step for step in reversed(scripts) if not step.background), scripts[-1] if scripts else Step(""))


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


def _tasks(
    config: EnvironmentConfig, phase: str, steps: Sequence[Step], env: ShellEnv, *, opaque: bool
) -> list[dict[str, Any]]:
    """Return what the steps of a phase become, in their order; imported playbooks are among the tasks."""
    count = sum(step.is_script for step in steps)
    numbers = itertools.count(1)
    tasks: list[dict[str, Any]] = []
    later: list[dict[str, Any]] = []
    pending = False  # whether a handler may have been notified
    for step in steps:
        if step.is_script:
            # A script is to see what the handlers of the tasks before it do.
            tasks += _FLUSH if pending else ()
            number = next(numbers)
            task = _script_task(config, phase, step, env, number, count, last=step is _measured(steps))
            together = step.together or (config.start == "together" and phase == "run" and step is _measured(steps))
            if together:
                *begin, task = _together(task, number)
                tasks += [_placed(each, step.hosts) for each in begin]
                if step.background:
                    later.append(_placed(task if step.background is True else _over(task), step.hosts))
                    continue
            elif step.background:
                started, task = _in_background(task, number, step)
                later.append(_placed(task, step.hosts))
                task = started
            tasks.append(_placed(task, step.hosts))
        else:
            tasks.append(_placed(item_task(_plain(step.item), config.base_dir), step.hosts))
        pending = not step.is_script and not is_import(step.item) and (pending or is_opaque(step.item))
    # Those that are ended come last: they run beside all others.
    tasks += sorted(later, key=lambda task: bool(task[PHASE_TASK].get("end")))
    if opaque or not steps or not steps[-1].is_script:
        # A host that got here has been through all of the tasks above, and handlers; nothing else proves that.
        tasks += [*(_FLUSH if pending else ()), {"name": _finish(phase), PHASE_TASK: {}}]
    return tasks


def _over(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task that ends a script instead of waiting for it."""
    return {**task, PHASE_TASK: {**task[PHASE_TASK], "end": "over"}}


def _together(task: Mapping[str, Any], number: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the tasks that stage a script on every host, let all of them start at one moment, and follow them.

    The moment is so far ahead that each host can be told of it, which takes no longer than the staging took.
    """
    start, follow = _in_background(task, number, Step(""))
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


def _in_background(task: Mapping[str, Any], number: int, step: Step) -> tuple[dict[str, Any], dict[str, Any]]:
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


_FLUSH = ({"name": "Run the handlers that were notified", "ansible.builtin.meta": "flush_handlers"},)


def _plays(
    play: Mapping[str, Any], variables: Mapping[str, Any], tasks: Iterable[dict[str, Any]], handlers: Sequence[Any]
) -> Iterator[dict[str, Any]]:
    """Put tasks into plays, between those of the playbooks that are imported."""
    gather = {"gather_facts": play["gather_facts"]}
    for (is_playbook, hosts), group in itertools.groupby(tasks, lambda task: (is_import(task), _hosts_of(task))):
        if is_playbook:
            yield from ({**task, "vars": {**variables, **(task.get("vars") or {})}} for task in group)
            continue
        yield {
            **play,
            **({"hosts": hosts} if hosts else {}),
            **gather,
            **({"vars": variables} if variables else {}),
            "tasks": [dict(task) for task in group],
            **({"handlers": handlers} if handlers else {}),
        }
        gather = {"gather_facts": False}  # facts are kept from play to play


def _variables(config: EnvironmentConfig, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables by which Ansible tasks see the parameters."""
    seen = unsafe({name: value for name, value in params.items() if name not in config.secret_params})
    found: dict[str, Any] = {PARAMS_VAR: seen}
    for name in variable_names(config, params):
        found[name] = seen.get(name, f"{{{{ {SECRETS_VAR}.params.{name} }}}}")
    return found


def _finish(phase: str) -> str:
    return f"Finish {phase}"


def render_boot(config: EnvironmentConfig, *, hosts: str | None = None) -> Playbook:
    """Render what starts the hosts, as far as the environment file says how, and waits for each to answer."""
    start = [{**_plain(task), "delegate_to": "localhost", "become": False} for task in config.start_host]
    play: dict[str, Any] = {
        "name": f"Boot {_one_line(config.name)}",
        "hosts": hosts or config.hosts,
        "gather_facts": False,
        "tasks": [*start, {"name": "Wait for the host", PHASE_TASK: {"wait_boot": config.timeouts.boot or 86400}}],
    }
    return Playbook("boot", (play,), 1)


def render_question(config: EnvironmentConfig, name: str, script: str, timeout: float) -> Playbook:
    """Render a script of ours that is no phase of the environment."""
    play: dict[str, Any] = {
        "name": f"{name} {_one_line(config.name)}",
        "hosts": config.hosts,
        "gather_facts": False,
        "tasks": [{"name": name, PHASE_TASK: {"script": Unsafe(script), "shell": "sh", "timeout": timeout}}],
    }
    return Playbook(name.lower(), (play,), 1)


def unsafe(value: Any) -> Any:
    """Mark every string in a value as not to be templated."""
    if isinstance(value, str):
        return Unsafe(value)
    if isinstance(value, Mapping):
        return {key: unsafe(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [unsafe(item) for item in value]
    return value


def _script_task(
    config: EnvironmentConfig, phase: str, step: Step, env: ShellEnv, number: int, count: int, *, last: bool
) -> dict[str, Any]:
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
    return {"name": _one_line(step.name or f"{phase.capitalize()} script"), PHASE_TASK: arguments}


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


def _batches(config: EnvironmentConfig) -> dict[str, Any]:
    serial = list(config.serial) if len(config.serial) > 1 else next(iter(config.serial), None)
    return {key: value for key, value in (("serial", serial), ("order", config.order)) if value is not None}


def _become(config: EnvironmentConfig) -> dict[str, Any]:
    if not config.become:
        return {}
    found = {"become": True, "become_user": config.become_user, "become_method": config.become_method}
    return {key: value for key, value in found.items() if value is not None}


def _plain(value: Any) -> Any:
    """Return an author's task as he wrote it, as data that may be changed and dumped."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _one_line(text: str) -> str:
    """Return a name that templating leaves alone: names of plays are templated, and cannot be marked unsafe."""
    return " ".join(re.sub(r"[^\w .,:;/@+()-]", " ", text).split())


class _Dumper(yaml.SafeDumper):
    """Block style for scripts, `!unsafe` tags, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


# In a block scalar YAML would fold these line breaks into "\n"; white space at a line's end is lost to many editors.
_NOT_IN_BLOCK = re.compile(
    r"[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[ \t]\n"
)


def _style(text: str) -> str | None:
    if "\n" in text and text.strip() and not text.startswith((" ", "\t", "\n")) and not _NOT_IN_BLOCK.search(text):
        return "|"
    # Double quotes are the one style that escapes; plain text needs none of that.
    return '"' if _NOT_IN_BLOCK.search(text) or "\n" in text else None


def _represent_str(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style=_style(text))


# What Ansible may take for a template: its delimiters, and a header that declares other ones
# (ansible/template, JINJA2_OVERRIDE).
_TEMPLATE = re.compile(r"\{[{%#]|#jinja2")


def _represent_unsafe(dumper: yaml.SafeDumper, text: Unsafe) -> yaml.Node:
    if not _TEMPLATE.search(text):  # the mark only where it matters: a playbook is there to be read
        return _represent_str(dumper, str(text))
    return dumper.represent_scalar("!unsafe", str(text), style=_style(text) or '"')


def _represent_tagged(dumper: yaml.SafeDumper, value: TaggedValue) -> yaml.Node:
    return dumper.represent_scalar(value.tag, value.value, style="|" if "\n" in value.value else '"')


_Dumper.add_representer(str, _represent_str)
_Dumper.add_representer(Unsafe, _represent_unsafe)
_Dumper.add_representer(TaggedValue, _represent_tagged)
