"""Facts about a target: lines of POSIX sh that only read, and what they print. A fact that is not known is left out."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_env.supervisor.transport import ANSWER, Transport

_FUNCTIONS = r"""
say() { [ -z "$2" ] || printf 'ansible_env.%s=%s\n' "$1" "$2"; }
first() { head -n 1 "$1" 2>/dev/null; }
each() { cat "$@" 2>/dev/null | sort -u | tr '\n' ' ' | sed 's/ *$//'; }
memory() { sed -n "s/^$1: *\([0-9]*\) kB\$/\1/p" /proc/meminfo 2>/dev/null; }
mib() { [ -z "$1" ] || echo "$(($1 / 1024))"; }
"""

FACTS: Mapping[str, str] = {
    "os": '$(. /etc/os-release 2>/dev/null; printf %s "$PRETTY_NAME")',
    "kernel": "$(uname -sr)",
    "machine": "$(uname -m)",
    "cpu": "$(sed -n 's/^model name[[:space:]]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1)",
    "cpus": "$(getconf _NPROCESSORS_ONLN 2>/dev/null)",
    "memory_kib": "$(memory MemTotal)",
    "swap_kib": "$(memory SwapTotal)",
    "governor": "$(each /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor)",
    "boost": "$(first /sys/devices/system/cpu/cpufreq/boost)",
    "no_turbo": "$(first /sys/devices/system/cpu/intel_pstate/no_turbo)",
    "smt": "$(first /sys/devices/system/cpu/smt/control)",
    "clocksource": "$(first /sys/devices/system/clocksource/clocksource0/current_clocksource)",
    "huge_pages": "$(first /sys/kernel/mm/transparent_hugepage/enabled)",
    "virtual": "$(systemd-detect-virt 2>/dev/null || :)",
    "load": "$(cut -d ' ' -f 1 /proc/loadavg 2>/dev/null)",
    "machine_id": "$(first /etc/machine-id)",
    "load_1m": "$(cut -d ' ' -f 1 /proc/loadavg 2>/dev/null)",
    "memory_available_mib": '$(mib "$(memory MemAvailable)")',
    "disk_free_mib": """$(df -Pk "$base" 2>/dev/null | awk 'END { print int($4 / 1024) }')""",
}
"""The shell text of each fact."""
CLOCK_OFFSET = "clock_offset_s"
"""Seconds between the target's clock and the controller's. It takes both."""

_PREFIX = "ansible_env."
_NUMBERS = {
    **dict.fromkeys(("cpus", "memory_kib", "swap_kib", "memory_available_mib", "disk_free_mib"), int),
    **dict.fromkeys(("load", "load_1m"), float),
}


def facts_script(names: Iterable[str], commands: Iterable[str] = (), base: str = "/tmp") -> str:  # noqa: S108
    """Return the shell text that prints facts, and whether commands exist. `disk_free_mib` is that of `base`.

    `CLOCK_OFFSET` is left out: the controller computes it.
    """
    lines = [f'say {name} "{FACTS[name]}"' for name in names if name in FACTS]
    lines += [f'say {shlex.quote(f"command {each}")} "$(command -v {shlex.quote(each)})"' for each in commands]
    return f"base={shlex.quote(base)}{_FUNCTIONS}" + "".join(f"{line}\n" for line in lines)


def parse_facts(stdout: str) -> dict[str, Any]:
    """Return the facts that `facts_script` has printed."""
    facts: dict[str, Any] = {}
    for line in stdout.splitlines():
        name, equals, text = line.partition("=")
        if not equals or not name.startswith(_PREFIX):
            continue
        name, text = name.removeprefix(_PREFIX), text.strip()
        try:
            facts[name] = _NUMBERS[name](text) if name in _NUMBERS else text
        except ValueError:
            continue
    return facts


def ask_facts(transport: Transport, names: Iterable[str], commands: Iterable[str], base: str) -> dict[str, Any]:
    """Ask a target for facts, in one round trip.

    Raises:
        Disconnected, Stop: as those of `Transport.exchange`.
    """
    ask = 'printf "ansible_env:facts %s\\n" "$(date +%s.%N)"\n' + facts_script(names, commands, base)
    begun = time.time()
    text = transport.exchange(f"{{\n{ask}exit 0\n}}\n", ANSWER).decode("utf-8", "replace")
    return parse_facts(text) | _offset(text, (begun + time.time()) / 2)


def _offset(text: str, middle: float) -> dict[str, float]:
    for line in text.splitlines():
        mark, _, clock = line.partition(" ")
        if mark == "ansible_env:facts":
            try:
                return {CLOCK_OFFSET: round(abs(float(clock.removesuffix(".%N")) - middle), 3)}
            except ValueError:
                break
    return {}
