"""The hosts that a call of mlos_bench selects, by its parameters and configurations."""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_env.engine.inventory import Inventory
from ansible_env.errors import ConfigError, ParameterError, Problem
from ansible_env.mlos.settings import HOST_KEYS, Settings

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
"""A host name that has no special meaning in a host pattern of Ansible."""


@dataclass(frozen=True, slots=True)
class HostSelection:
    """The hosts that a call of mlos_bench selects."""

    inventory: Inventory
    pattern: str
    hosts: tuple[str, ...] | None = None
    """The hosts, if they are known without Ansible."""


def find_target(
    settings: Settings, params: Mapping[str, Any], global_config: Mapping[str, Any], resolve: Callable[[str], str]
) -> HostSelection:
    """Return the hosts that a call selects.

    The parameters override the service's configuration, which overrides the globals of the experiment: a
    LocalFileShareEnv passes its own parameters only. `resolve` locates files as mlos_bench does.

    Raises:
        ConfigError: no host is named, or the name cannot be used.
    """
    configured = {key: _expanded(getattr(settings, key, None), global_config) for key in HOST_KEYS}
    for source in (params, configured, global_config):
        for key in HOST_KEYS:
            value = source.get(key)
            if value is None:
                continue
            if not isinstance(value, str) or not value.strip():
                raise ParameterError(Problem("must be the name of a host", key))
            if key == "ssh_hostname":
                return _ssh_host(settings, value, resolve)
            return _inventory_hosts(settings, key, value, resolve)
    hint = (
        f"name a host in const_args or the globals: {', '.join(HOST_KEYS)}; or set ansible_host_pattern in the service"
    )
    raise ConfigError(Problem("the call names no host", hint=hint))


def _expanded(value: str | None, global_config: Mapping[str, Any]) -> str | None:
    """Expand `$name` in a value of the configuration, such as `$trial_runner_id`."""
    return None if value is None else string.Template(value).safe_substitute(global_config)


def _inventory_hosts(settings: Settings, key: str, value: str, resolve: Callable[[str], str]) -> HostSelection:
    inventory = read_inventory(settings, resolve)
    if inventory is None:
        if value in ("localhost", "127.0.0.1"):
            return HostSelection(Inventory.of(), "localhost", ("localhost",))
        hint = "set 'inventory' in the service's config, or name the host as ssh_hostname"
        raise ConfigError(Problem(f"{value!r} is a host of an inventory, but there is no inventory", key, hint=hint))
    if key == "ansible_host_pattern":
        return HostSelection(inventory, value)
    if not _NAME.match(value):  # a value from outside: pattern syntax such as `all` would select other hosts
        hint = "a host pattern belongs to ansible_host_pattern"
        raise ParameterError(Problem(f"{value!r} is not the name of one host", key, hint=hint))
    return HostSelection(inventory, value)


def read_inventory(settings: Settings, resolve: Callable[[str], str]) -> Inventory | None:
    """Return the configured inventory, or None."""
    sources = settings.inventory
    if sources is None:
        return None
    if isinstance(sources, str):
        sources = [sources]
    if isinstance(sources, list):
        return Inventory.of([source if "," in source else resolve(source) for source in sources])
    return Inventory.of(sources)


def _ssh_host(settings: Settings, address: str, resolve: Callable[[str], str]) -> HostSelection:
    """Return a host from the parameters of mlos_bench's SSH services."""
    if address.startswith("-") or any(char.isspace() for char in address):
        raise ParameterError(Problem("is not the name of a host", "ssh_hostname"))
    name = address if _NAME.match(address) and address not in ("all", "ungrouped") else "ssh-host"
    variables: dict[str, Any] = {} if name == address else {"ansible_host": address}
    named = {
        "ansible_port": settings.ssh_port,
        "ansible_user": settings.ssh_username,
        "ansible_ssh_private_key_file": settings.ssh_priv_key_path
        and str(Path(settings.ssh_priv_key_path).expanduser()),
        "ansible_ssh_common_args": shlex.join(_ssh_arguments(settings)),
    }
    variables |= {key: _untemplated(value) for key, value in named.items() if value}
    inventory = read_inventory(settings, resolve) or Inventory()
    made = {"all": {"hosts": {name: variables}}}
    return HostSelection(Inventory(inventory.sources, (*inventory.data, made)), name, (name,))


def _untemplated(value: Any) -> Any:
    """Refuse templates in values from outside: Ansible expands the variables of an inventory when it uses them."""
    if isinstance(value, str) and ("{{" in value or "{%" in value or "{#" in value):
        raise ParameterError(Problem("has '{{', '{%' or '{#', which Ansible would read as a template", "ssh_*"))
    return value


def _ssh_arguments(settings: Settings) -> list[str]:
    given = settings.model_fields_set
    arguments: list[str] = []
    for key in ("ssh_known_hosts_path", "ssh_known_hosts_file"):
        if key not in given:
            continue
        path = getattr(settings, key)
        if path is None:
            arguments = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        else:
            arguments = ["-o", f"UserKnownHostsFile={Path(path).expanduser()}", "-o", "StrictHostKeyChecking=yes"]
    if settings.ssh_keepalive_interval is not None:
        arguments += ["-o", f"ServerAliveInterval={round(settings.ssh_keepalive_interval)}"]
    return arguments
