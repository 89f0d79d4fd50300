"""The files of a set of hosts: what its supervisor writes for clients, and what is left of dead ones."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from tests.hosts import procs

PREFIX = "hosts-"


def write(path: Path, text: str) -> None:
    """Write a private file in one step."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.touch(mode=0o600)
    temporary.write_text(text)
    temporary.replace(path)


def write_state(base: Path, state: dict[str, Any]) -> None:
    """state.json, known_hosts and an ssh_config with which `ssh -F` just works."""
    write_known_hosts(base, state)
    lines = [
        f"IdentityFile {base}/id_ed25519",
        "IdentitiesOnly yes",
        f"UserKnownHostsFile {base}/known_hosts",
        "GlobalKnownHostsFile /dev/null",
        "StrictHostKeyChecking yes",
        "UpdateHostKeys no",
        "BatchMode yes",
        "LogLevel ERROR",
    ]
    for host in state["hosts"]:
        lines += [f"Host {host['name']}", f"  HostName {host['address']}", f"  Port {host['port']}"]
    write(base / "ssh_config", "\n".join(lines) + "\n")
    write(base / "state.json", json.dumps(state, indent=1))


def write_known_hosts(base: Path, state: dict[str, Any]) -> None:
    """known_hosts with the keys that the hosts have now."""
    lines = []
    for host in state["hosts"]:
        kind, key = (base / host["name"] / "host_key.pub").read_text().split()[:2]
        name = host["address"] if host["port"] == 22 else f"[{host['address']}]:{host['port']}"
        lines.append(f"{name} {kind} {key}\n")
    write(base / "known_hosts", "".join(lines))


def read_state(base: Path) -> dict[str, Any] | None:
    """The state of a set of hosts, None when there is none."""
    try:
        state: dict[str, Any] = json.loads((base / "state.json").read_text())
    except (OSError, ValueError):
        return None
    return state


def is_live(state: dict[str, Any] | None) -> bool:
    """Whether the supervisor that wrote it still runs."""
    return state is not None and procs.is_alive(state["pid"], state["start"])


def clean_stale(parent: Path) -> list[Path]:
    """Remove what dead runs of ours have left (their processes ended with their supervisor).

    Only directories of this user with a spec.json whose recorded maker and supervisor are both gone.
    """
    removed = []
    for base in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if base.is_symlink() or base.stat().st_uid != os.geteuid():
                continue
            maker = json.loads((base / "spec.json").read_text())["maker"]
            if not procs.is_alive(*maker) and not is_live(read_state(base)) and not supervisors(base):
                shutil.rmtree(base)
                removed.append(base)
    return removed


def supervisors(base: Path) -> list[int]:
    """Supervisors at work on a directory, also while it is still starting."""
    found = []
    for pid in procs.all_pids():
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"tests.hosts.supervisor" in words and os.fsencode(base) in words:
                found.append(pid)
    return found
