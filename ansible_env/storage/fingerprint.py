"""Fingerprints of hosts: kernel, CPU, memory, clock and power settings.

They show whether results of different hosts are comparable. The script is POSIX sh and only reads. Facts that a host
does not know are left out.
"""

from __future__ import annotations

import hashlib
import hmac
import subprocess
from typing import Any

from ansible_env.supervisor.facts import facts_script, parse_facts

TIMEOUT = 15.0
"""Longest time for the script, in seconds."""

NAMES = (
    *("os", "kernel", "machine", "cpu", "cpus", "memory_kib", "swap_kib", "governor", "boost", "no_turbo", "smt"),
    *("clocksource", "huge_pages", "virtual", "load", "machine_id"),
)
SCRIPT = facts_script(NAMES)


def parse(stdout: str) -> dict[str, Any]:
    """Return the facts in the script's output. Only a hash of the machine id is kept, as machine-id(5) requires."""
    facts = parse_facts(stdout)
    if machine_id := facts.get("machine_id"):
        facts["machine_id"] = hmac.new(machine_id.encode(), b"ansible_env", hashlib.sha256).hexdigest()[:32]
    return facts


def of_this_machine() -> dict[str, Any]:
    """Return the fingerprint of the controller; empty if the script cannot run."""
    try:
        done = subprocess.run(
            ["/bin/sh", "-s"], input=SCRIPT, capture_output=True, text=True, timeout=TIMEOUT, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return parse(done.stdout)
