"""Fingerprints of hosts: kernel, CPU, memory, clock and power settings.

They show whether results of different hosts are comparable. The script is POSIX sh and only reads. Facts that a host
does not know are left out.
"""

from __future__ import annotations

import hashlib
import hmac
import subprocess
from typing import Any

TIMEOUT = 15.0
"""Longest time for the script, in seconds."""

SCRIPT = r"""
say() { [ -z "$2" ] || printf 'ansible_env.%s=%s\n' "$1" "$2"; }
first() { head -n 1 "$1" 2>/dev/null; }
each() { cat "$@" 2>/dev/null | sort -u | tr '\n' ' ' | sed 's/ *$//'; }
say os "$(. /etc/os-release 2>/dev/null; printf %s "$PRETTY_NAME")"
say kernel "$(uname -sr)"
say machine "$(uname -m)"
say cpu "$(sed -n 's/^model name[[:space:]]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1)"
say cpus "$(getconf _NPROCESSORS_ONLN 2>/dev/null)"
say memory_kib "$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo 2>/dev/null)"
say swap_kib "$(sed -n 's/^SwapTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo 2>/dev/null)"
say governor "$(each /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor)"
say boost "$(first /sys/devices/system/cpu/cpufreq/boost)"
say no_turbo "$(first /sys/devices/system/cpu/intel_pstate/no_turbo)"
say smt "$(first /sys/devices/system/cpu/smt/control)"
say clocksource "$(first /sys/devices/system/clocksource/clocksource0/current_clocksource)"
say huge_pages "$(first /sys/kernel/mm/transparent_hugepage/enabled)"
say virtual "$(systemd-detect-virt 2>/dev/null || :)"
say load "$(cut -d ' ' -f 1 /proc/loadavg 2>/dev/null)"
say machine_id "$(first /etc/machine-id)"
"""

_PREFIX = "ansible_env."
_NUMBERS = {"cpus": int, "memory_kib": int, "swap_kib": int, "load": float}


def parse(stdout: str) -> dict[str, Any]:
    """Return the facts in the script's output. Only a hash of the machine id is kept, as machine-id(5) requires."""
    facts: dict[str, Any] = {}
    for line in stdout.splitlines():
        name, equals, text = line.partition("=")
        if not equals or not name.startswith(_PREFIX):
            continue
        name, text = name.removeprefix(_PREFIX), text.strip()
        if name == "machine_id":
            text = hmac.new(text.encode(), b"ansible_env", hashlib.sha256).hexdigest()[:32]
        try:
            facts[name] = _NUMBERS[name](text) if name in _NUMBERS else text
        except ValueError:
            continue
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
