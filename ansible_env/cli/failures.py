"""A compact report of what failed, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from ansible_env.cli.text import plural, some, visible, visible_line
from ansible_env.config import EnvironmentConfig
from ansible_env.outcomes import OUTCOMES, Kind, signal_name
from ansible_env.result import HostResult, PhaseResult

MOST_HOSTS = 8
COMMAND_LINES = 3
LAST_LINES = 5
_OF_A_SCRIPT = (Kind.EXIT, Kind.SIGNAL, Kind.TIMEOUT, Kind.METRICS_MISSING, Kind.LOST_RESULT, Kind.INTERPRETER)


def report_failure(console: Console, config: EnvironmentConfig, result: PhaseResult) -> None:
    """Print the report of a phase that did not succeed."""
    failed = result.failed_hosts
    if result.message and not any(host.message == result.message for host in failed):
        console.print(Text(visible(f"{result.phase}: {result.message}")))
    for host in failed[:MOST_HOSTS]:
        console.print(Text.assemble((visible(host.host), "bold red"), f": {result.phase}: {_headline(host)}"))
        for label, lines in _details(config, result.phase, host):
            for number, line in enumerate(lines):
                console.print(Text.assemble((f"    {label if number == 0 else '':9}", "dim"), line))
    if rest := [host.host for host in failed[MOST_HOSTS:]]:
        console.print(Text(f"{plural(len(rest), 'more host')} failed: {some(rest, 20)}"))


def _headline(host: HostResult) -> str:
    message = visible(" ".join(host.message.split()))
    remedy = OUTCOMES[host.kind].remedy
    if remedy and message.endswith(f"({remedy})"):
        message = message.removesuffix(f"({remedy})").rstrip()  # said below
    return f"{host.kind}: {message}" if message and message != host.kind else str(host.kind)


def _details(config: EnvironmentConfig, phase: str, host: HostResult) -> Iterator[tuple[str, list[str]]]:
    """Yield what there is to know, label by label."""
    outcome = OUTCOMES[host.kind]
    if host.kind in _OF_A_SCRIPT and (command := _command(config, phase)):
        yield "command", command
    if host.rc:
        yield "exit", [f"{host.rc} ({signal_name(host.rc)})" if 128 < host.rc < 193 else str(host.rc)]
    for stream in ("stderr", "stdout"):
        lines = [visible_line(line) for line in getattr(host, stream).splitlines() if line.strip()]
        if lines:
            yield stream, lines[-LAST_LINES:]
            break
    if host.left_running:
        yield "running", ["still there and could not be ended: process " + ", ".join(map(str, host.left_running))]
    logs = [log for log in (host.stdout_log, host.stderr_log) if log]
    if logs:
        yield "log", [visible(log) for log in logs]
    if outcome.remedy:
        yield "remedy", [outcome.remedy.replace("<phase>", phase)]


def _command(config: EnvironmentConfig, phase: str) -> list[str]:
    """Return the first lines of the phase's scripts that say anything."""
    scripts = [item for item in getattr(config, phase, ()) if isinstance(item, str)]
    lines = [line.rstrip() for script in scripts for line in script.splitlines()]
    lines = [visible(line) for line in lines if line.strip() and not line.lstrip().startswith("#")]
    shown = lines[:COMMAND_LINES]
    if len(lines) > len(shown):
        shown.append(f"... {plural(len(lines) - len(shown), 'more line')}")
    return shown
