"""The hosts that a pattern selects, determined by Ansible."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence

from ansible_env.engine import processes
from ansible_env.engine.ansible_cfg import working_directory
from ansible_env.engine.forkserver.client import NOT_STARTED
from ansible_env.errors import EngineError, InventoryError, Problem

LISTING_TIMEOUT = 300
"""Seconds that reading an inventory may take; a dynamic inventory may query a cloud."""
_HEADER = re.compile(r"  hosts \((\d+)\):")
"""The line that `ansible --list-hosts` prints before the hosts."""
_NO_HOST = "leaves us with no hosts to target"
"""What Ansible prints if a limit leaves no host."""


class NotStartedError(EngineError):
    """The fork server that was asked does not work."""


def list_hosts(
    command: Sequence[str], pattern: str, limit: str | None, env: Mapping[str, str], sources: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the hosts in the inventory's order; `sources` names the inventory in a message.

    Raises:
        InventoryError: the inventory cannot be read, or no host matches.
    """
    limited = [f"--limit={limit}"] if limit else []
    try:
        done = subprocess.run(
            [*command, "--list-hosts", *limited, "--", pattern],
            env=dict(env),
            cwd=working_directory(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LISTING_TIMEOUT,
            check=False,
            preexec_fn=processes.unblocking(),
            start_new_session=True,  # no terminal to ask on
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"the inventory could not be read: {error}") from error
    text = _one_line(done.stderr)
    if done.returncode == NOT_STARTED:
        raise NotStartedError(text)
    within = f" within the limit {limit!r}" if limit else ""
    if done.returncode != 0:
        if _NO_HOST in text:
            raise InventoryError(f"no host matches {pattern!r}{within}")
        raise InventoryError(f"the inventory cannot be used: {text or 'Ansible gave no reason'}")
    hosts = _listed(done.stdout)
    if hosts is None:
        raise EngineError(f"Ansible listed no hosts: {_one_line(done.stdout) or text or 'it printed nothing'}")
    if not hosts:
        where = f" in {', '.join(sources)}" if sources else ""
        raise InventoryError(Problem(f"no host matches {pattern!r}{where}{within}", hint=text or None))
    return hosts


def _listed(stdout: str) -> tuple[str, ...] | None:
    """Return the hosts of a list, whatever Ansible or its plugins print before and after; None without a list."""
    lines = stdout.splitlines()
    for number, line in enumerate(lines, 1):
        if match := _HEADER.fullmatch(line):
            hosts = lines[number : number + int(match[1])]
            return tuple(host.strip() for host in hosts)
    return None


def _one_line(stderr: str) -> str:
    """Return what Ansible printed, on one line."""
    text = re.sub(r"\[(WARNING|ERROR)\]: ", "", stderr)
    return " ".join(text.split())[:1000]
