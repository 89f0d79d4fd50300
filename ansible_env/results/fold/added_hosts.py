"""Hosts that tasks of a phase have added to Ansible's inventory, which forgets them at the end of its run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_env.results.fold.events import counter

ACTIONS = ("add_host", "ansible.builtin.add_host", "ansible.legacy.add_host")
_TEMPLATE = re.compile(r"\{[{%#]")
_SECRET = re.compile("pass|secret|token", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AddedHost:
    """What `add_host` was told."""

    name: str
    groups: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def secrets(self) -> Iterator[str]:
        """The values of variables that have the name of a secret."""
        return (str(value) for name, value in self.variables.items() if _SECRET.search(name))

    def without_secrets(self) -> dict[str, Any]:
        """Return plain data that may be written down."""
        shown = {name: value for name, value in self.variables.items() if not _SECRET.search(name)}
        return {"name": self.name, "groups": list(self.groups), "variables": shown}


def added_hosts(events: Iterable[Mapping[str, Any]]) -> tuple[AddedHost, ...]:
    """Return the hosts that tasks with `add_host` have added, in their order; of equal names the last."""
    found: dict[str, AddedHost] = {}
    for event in sorted(events, key=counter):
        data = event.get("event_data")
        if event.get("event") != "runner_on_ok" or not isinstance(data, Mapping) or not _adds(data):
            continue
        for host in _hosts_of(data.get("res")):
            found.pop(host.name, None)
            found[host.name] = host
    return tuple(found.values())


def is_silent(event: Mapping[str, Any]) -> bool:
    """Whether a task with `add_host` does not say what it has added."""
    data = event.get("event_data")
    res = data.get("res") if isinstance(data, Mapping) and _adds(data) else None
    return isinstance(res, Mapping) and "censored" in res


def inventory_of(hosts: Iterable[AddedHost]) -> dict[str, Any]:
    """Return them as an inventory. No value is a template: it was one, in the task that added the host."""
    every: dict[str, Any] = {}
    groups: dict[str, Any] = {}
    for host in hosts:
        every[host.name] = _unsafe(dict(host.variables))
        for group in host.groups:
            groups.setdefault(group, {"hosts": {}})["hosts"][host.name] = None
    return {"all": {"hosts": every, "children": groups}}


def _adds(data: Mapping[str, Any]) -> bool:
    return data.get("task_action") in ACTIONS or data.get("resolved_action") in ACTIONS


def _hosts_of(res: Any) -> Iterator[AddedHost]:
    if not isinstance(res, Mapping):
        return
    results = res.get("results")
    for result in results if isinstance(results, list) else [res]:
        added = result.get("add_host") if isinstance(result, Mapping) and not result.get("skipped") else None
        if isinstance(added, Mapping) and isinstance(added.get("host_name"), str):
            variables = added.get("host_vars")
            groups = tuple(str(group) for group in added.get("groups") or () if group != "all")
            yield AddedHost(added["host_name"], groups, variables if isinstance(variables, Mapping) else {})


def _unsafe(value: Any) -> Any:
    if isinstance(value, str):
        return {"__ansible_unsafe": value} if _TEMPLATE.search(value) else value
    if isinstance(value, Mapping):
        return {key: _unsafe(item) for key, item in value.items()}
    return [_unsafe(item) for item in value] if isinstance(value, list) else value
