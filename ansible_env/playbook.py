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
from ansible_env.params import ShellEnv

PHASES = ("setup", "run", "teardown")
PHASE_TASK = "ansible_env.bench.phase"
PARAMS_VAR = "ansible_env_params"
"""The variable by which Ansible tasks of a phase see the parameters."""
SECRETS_VAR = "ansible_env_secrets"
"""The variable that carries secrets past the playbook, in a 0600 file: `.env` for scripts, `.params` for tasks."""


class Unsafe(str):
    """A string that Ansible must not template."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Playbook:
    """A phase, rendered."""

    phase: str
    plays: tuple[Mapping[str, Any], ...]
    scripts: int
    """How many phase tasks each host has to get through for a success."""
    finish: str = ""
    """Name of the phase task that has to be among them, where content of the author's may have phase tasks, too."""
    beside: tuple[Path, ...] = ()
    """Directories of imported playbooks: what Ansible looks for beside a playbook may be there."""

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
            tasks = [{**task, PHASE_TASK: {**task[PHASE_TASK], "attach": True}} for task in scripts]
            plays.append({**play, "gather_facts": False, "tasks": tasks})
        return replace(self, plays=tuple(plays))

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
    tasks = _tasks(config, phase, items, env, opaque=opaque)
    variables = _variables(config, params) if any(not isinstance(item, str) for item in items) else {}
    plays = tuple(_plays(play, variables, tasks, _plain(config.handlers)))
    count = sum(PHASE_TASK in task for task in tasks)
    return Playbook(phase, plays, count, _finish(phase) if opaque else "", import_dirs(items, config.base_dir))


def _tasks(
    config: EnvironmentConfig, phase: str, items: Sequence[Any], env: ShellEnv, *, opaque: bool
) -> list[dict[str, Any]]:
    """Return what the items of a phase become, in their order; imported playbooks are among the tasks."""
    groups = list(_joined(items))
    count = sum(isinstance(group, str) for group in groups)
    steps = itertools.count(1)
    tasks: list[dict[str, Any]] = []
    pending = False  # whether a handler may have been notified
    for group in groups:
        if isinstance(group, str):
            # A script is to see what the handlers of the tasks before it do.
            tasks += _FLUSH if pending else ()
            tasks.append(_script_task(config, phase, group, env, next(steps), count))
        else:
            tasks.append(item_task(_plain(group), config.base_dir))
        pending = not isinstance(group, str) and not is_import(group) and (pending or is_opaque(group))
    if opaque or not groups or not isinstance(groups[-1], str):
        # A host that got here has been through all of the tasks above, and handlers; nothing else proves that.
        tasks += [*(_FLUSH if pending else ()), {"name": _finish(phase), PHASE_TASK: {}}]
    return tasks


_FLUSH = ({"name": "Run the handlers that were notified", "ansible.builtin.meta": "flush_handlers"},)


def _plays(
    play: Mapping[str, Any], variables: Mapping[str, Any], tasks: Iterable[dict[str, Any]], handlers: Sequence[Any]
) -> Iterator[dict[str, Any]]:
    """Put tasks into plays, between those of the playbooks that are imported."""
    gather = {"gather_facts": play["gather_facts"]}
    for is_playbook, group in itertools.groupby(tasks, is_import):
        if is_playbook:
            yield from ({**task, "vars": {**variables, **(task.get("vars") or {})}} for task in group)
            continue
        yield {
            **play,
            **gather,
            **({"vars": variables} if variables else {}),
            "tasks": list(group),
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


def unsafe(value: Any) -> Any:
    """Mark every string in a value as not to be templated."""
    if isinstance(value, str):
        return Unsafe(value)
    if isinstance(value, Mapping):
        return {key: unsafe(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [unsafe(item) for item in value]
    return value


def _joined(items: Iterable[Any]) -> Iterator[Any]:
    """Join neighbouring shell lines to one script, as mlos_bench does (services/remote/ssh/ssh_host_service.py:100)."""
    lines: list[str] = []
    for item in items:
        if isinstance(item, str):
            lines.append(item)
            continue
        if lines:
            yield "\n".join(lines)
            lines = []
        yield item
    if lines:
        yield "\n".join(lines)


def _script_task(
    config: EnvironmentConfig, phase: str, script: str, env: ShellEnv, step: int, steps: int
) -> dict[str, Any]:
    arguments: dict[str, Any] = {"script": Unsafe(script if script.endswith("\n") else script + "\n")}
    if env.plain:
        arguments["env"] = unsafe(dict(env.plain))
    if env.secret:
        arguments["secret_env"] = f"{{{{ {SECRETS_VAR}.env }}}}"
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
        arguments |= _metrics_arguments(config, step, steps)
    if steps > 1:
        arguments["step"] = step
    return {"name": f"{phase.capitalize()} script", PHASE_TASK: arguments}


def _metrics_arguments(config: EnvironmentConfig, step: int, steps: int) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if config.results_stdout_pattern is not None:
        arguments["results_stdout_pattern"] = Unsafe(config.results_stdout_pattern)
    if config.results_json and step == steps:
        arguments["results_json"] = True
    if config.telemetry:
        arguments["telemetry"] = unsafe([probe.model_dump(exclude_none=True) for probe in config.telemetry])
    if (
        config.required_metrics and steps == 1
    ):  # of several scripts, each may give some of them: they are counted at the end
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
