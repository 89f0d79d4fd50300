"""Hosts that tasks of a phase added to Ansible's inventory, which forgets them when a run ends."""

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
    """A host and the arguments that `add_host` got for it."""

    name: str
    groups: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def secrets(self) -> Iterator[str]:
        """The values of variables whose names look like secrets."""
        return (str(value) for name, value in self.variables.items() if _SECRET.search(name))

    def without_secrets(self) -> dict[str, Any]:
        """Return plain data without secrets, which may be stored."""
        shown = {name: value for name, value in self.variables.items() if not _SECRET.search(name)}
        return {"name": self.name, "groups": list(self.groups), "variables": shown}


def added_hosts(events: Iterable[Mapping[str, Any]]) -> tuple[AddedHost, ...]:
    """Return the hosts that `add_host` tasks added, in that order. Of equal names, the last one counts."""
    hosts: dict[str, AddedHost] = {}
    for event in sorted(events, key=counter):
        data = event.get("event_data")
        if event.get("event") != "runner_on_ok" or not isinstance(data, Mapping) or not _adds(data):
            continue
        for host in _hosts_of(data.get("res")):
            hosts.pop(host.name, None)
            hosts[host.name] = host
    return tuple(hosts.values())


def is_censored(event: Mapping[str, Any]) -> bool:
    """Whether an `add_host` task hides what it added, because of `no_log`."""
    data = event.get("event_data")
    res = data.get("res") if isinstance(data, Mapping) and _adds(data) else None
    return isinstance(res, Mapping) and "censored" in res


def inventory_of(hosts: Iterable[AddedHost]) -> dict[str, Any]:
    """Return an inventory of the hosts. Templates in values were expanded by the task, so none is expanded again."""
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
