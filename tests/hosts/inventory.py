"""An inventory of the hosts, as a careful person would write it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.hosts.fleet import Hosts


def inventory_dict(
    hosts: Hosts, *, user: str | None = None, become: bool = False, become_user: str | None = None
) -> dict[str, Any]:
    """All hosts in the group `fleet`. Host key checking stays on; only our known_hosts counts."""
    shared: dict[str, Any] = {
        "ansible_user": user or hosts.user,
        "ansible_ssh_private_key_file": str(hosts.key),
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={hosts.known_hosts} -o GlobalKnownHostsFile=/dev/null"
        " -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes",
    }
    if become:
        shared["ansible_become"] = True
    if become_user:
        shared["ansible_become_user"] = become_user
    members = {}
    for host in hosts:
        own: dict[str, Any] = {"ansible_host": host.address, "ansible_port": host.port}
        if become and shared["ansible_user"] == "bench" and host.spec.sudo == "password":
            own["ansible_become_password"] = hosts.sudo_password
        members[host.name] = own
    return {"fleet": {"hosts": members, "vars": shared}}


def to_yaml(data: dict[str, Any], indent: str = "") -> str:
    """YAML of nested mappings (JSON scalars are YAML): the fixture needs nothing but the standard library."""
    lines = []
    for key, value in data.items():
        if isinstance(value, dict):
            lines.append(f"{indent}{key}:\n{to_yaml(value, indent + '  ')}")
        else:
            lines.append(f"{indent}{key}: {json.dumps(value)}\n")
    return "".join(lines)
