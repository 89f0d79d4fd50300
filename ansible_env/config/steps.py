"""Steps: items of a phase with hosts, background execution or exports of their own.

    run:
      - {hosts: db, script: vmstat 1, background: until_end}
      - {hosts: clients, script: 'redis-benchmark -h "$server_addr"'}

Any item may have `hosts`, a pattern of its own. A script with such keys is under `script`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_env.config.documents import KeyPath
from ansible_env.config.faults import Fault
from ansible_env.config.items import is_import, item_faults
from ansible_env.config.text import env_name_fault, kind_of, nearest
from ansible_env.errors import MetricsPatternError
from ansible_env.results.exports import compile_export, is_template

Background = Literal[False, True, "until_end"]

_MARKS = ("hosts", "background", "exports", "start")
_OF_A_SCRIPT = ("hosts", "name", "script", "background", "exports", "start")


@dataclass(frozen=True, slots=True)
class Step:
    """One item of a phase."""

    item: Any
    """The text of a script, or an Ansible task."""
    hosts: str | None = None
    """A host pattern; None for all hosts of the environment."""
    background: Background = False
    """Whether the next step starts at once. With `until_end`, the script is ended after all others."""
    exports: Mapping[str, str] = field(default_factory=dict)
    """Environment variable to a pattern for stdout, or to an Ansible template."""
    name: str | None = None
    together: bool = False
    """Whether the script is staged on all of its hosts and then starts on all of them at the same time."""

    @property
    def is_script(self) -> bool:
        """Whether the step is a script of ours, not an Ansible task."""
        return isinstance(self.item, str)


def is_step(item: Any) -> bool:
    """Whether an item has a key of a step, which no Ansible task has."""
    return isinstance(item, Mapping) and any(mark in item for mark in _MARKS)


def steps_of(items: Iterable[Any]) -> Iterator[Step]:
    """Yield the items of a phase as steps. Adjacent plain lines are one script, as in mlos_bench.

    (services/remote/ssh/ssh_host_service.py:100)
    """
    lines: list[str] = []
    for item in items:
        if isinstance(item, str):
            lines.append(item)
            continue
        if lines:
            yield Step("\n".join(lines))
            lines = []
        yield _step(item)
    if lines:
        yield Step("\n".join(lines))


def _step(item: Mapping[str, Any]) -> Step:
    if not is_step(item):
        return Step(item)
    if "script" not in item:
        return Step({key: value for key, value in item.items() if key != "hosts"}, item.get("hosts"))
    exports = dict(item.get("exports") or {})
    together = item.get("start") == "together"
    return Step(script_of(item), item.get("hosts"), item.get("background", False), exports, item.get("name"), together)


def script_of(item: Any) -> str | None:
    """Return the text of an item that is a script, or None for a task."""
    if isinstance(item, str):
        return item
    if not is_step(item) or "script" not in item:
        return None
    script = item["script"]
    return script if isinstance(script, str) else "\n".join(script)


def has_tasks(items: Iterable[Any]) -> bool:
    """Whether the items include Ansible tasks."""
    return any(script_of(item) is None for item in items)


def step_faults(item: Mapping[Any, Any]) -> Iterator[Fault]:
    """Yield the faults of an item that has a key of a step."""
    hosts = item.get("hosts")
    if "hosts" in item and (not isinstance(hosts, str) or not hosts):
        yield ("hosts",), f"must be a host pattern (text), not {kind_of(hosts)}", None
    yield from _script_faults(item) if "script" in item else _placed_task_faults(item)


def _placed_task_faults(item: Mapping[Any, Any]) -> Iterator[Fault]:
    """Yield the faults of a step that is not a script."""
    for key in ("background", "exports", "start"):
        if key in item:
            yield (key,), "goes with a script", f"{{hosts: …, script: …, {key}: …}}"
    task = {key: value for key, value in item.items() if key not in _MARKS}
    if not task:
        yield (), "has neither a script nor a task", None
    elif is_import(task):
        yield ("hosts",), "an imported playbook has its own hosts", None
    else:
        yield from item_faults(task)


def _script_faults(item: Mapping[Any, Any]) -> Iterator[Fault]:
    script = item["script"]
    lines = [script] if isinstance(script, str) else script
    if not isinstance(lines, list | tuple) or not lines or not all(isinstance(line, str) for line in lines):
        yield ("script",), f"must be shell text, or a list of lines, not {kind_of(script)}", None
    for key in item:
        if key not in _OF_A_SCRIPT:
            yield (str(key),), "unknown key for a script", nearest(key, _OF_A_SCRIPT)
    if item.get("start", "together") not in ("together", "when_ready"):
        yield ("start",), "must be together or when_ready", None
    if item.get("background", False) not in (True, False, "until_end"):
        yield ("background",), "must be true, false or until_end", None
    if item.get("background") and item.get("exports"):
        yield ("exports",), "a background script ends too late to export anything", None
    yield from _export_faults(item.get("exports"))


def _export_faults(exports: Any) -> Iterator[Fault]:
    if exports is None:
        return
    if not isinstance(exports, Mapping):
        yield ("exports",), f"must be a mapping of variables to patterns or templates, not {kind_of(exports)}", None
        return
    for name, source in exports.items():
        where: KeyPath = ("exports", str(name))
        if not isinstance(name, str) or (fault := env_name_fault(name)):
            yield where, fault if isinstance(name, str) and fault else "a name must be text", None
        elif not isinstance(source, str) or not source:
            yield where, f"must be a pattern or a template (text), not {kind_of(source)}", None
        elif not is_template(source):
            try:
                compile_export(source)
            except MetricsPatternError as error:
                yield from ((where, problem.message, problem.hint) for problem in error.problems)
