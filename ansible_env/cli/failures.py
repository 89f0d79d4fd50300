"""The report of a phase that failed: on which hosts, why, and the remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from ansible_env.config.model import EnvironmentConfig
from ansible_env.report.formatting import plural, some, visible, visible_line
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import OUTCOMES, Kind, signal_name
from ansible_env.results.phase_result import PhaseResult

MAX_FAILURES = 8
"""Failures that are reported in full, each with all of its hosts."""
MAX_HOSTS = 8
COMMAND_LINES = 3
LAST_LINES = 5
_OF_A_SCRIPT = (
    Kind.EXIT,
    Kind.SIGNAL,
    Kind.TIMEOUT,
    Kind.METRICS_MISSING,
    Kind.METRICS_INVALID,
    Kind.LOST_RESULT,
    Kind.NO_SPACE,
)


def report_failure(console: Console, config: EnvironmentConfig, result: PhaseResult) -> None:
    """Print the report of a phase that did not succeed."""
    failed = result.failed_hosts
    if result.message and not any(host.message == result.message for host in failed):
        console.print(Text(visible(f"{result.phase}: {result.message}")))
    command = _command(config, result.phase)
    groups = _alike(result.phase, failed)
    for hosts in groups[:MAX_FAILURES]:
        host = hosts[0]
        names = (some((h.host for h in hosts), MAX_HOSTS), "bold red")
        title = Text.assemble(names, f": {result.phase}: {headline(host)}")
        console.print(title, soft_wrap=not console.is_terminal)  # a sentence breaks between words, a path nowhere
        details = list(_details(result.phase, host))
        if command and host.kind in _OF_A_SCRIPT:
            details.insert(0, ("command", command))
            command = []  # the same for all hosts
        for label, lines in details:
            for number, line in enumerate(lines):
                more = f" (and of {plural(len(hosts) - 1, 'other')})" if label == "log" and len(hosts) > 1 else ""
                console.print(Text.assemble((f"    {label if number == 0 else '':9}", "dim"), line, (more, "dim")))
    if rest := [host.host for hosts in groups[MAX_FAILURES:] for host in hosts]:
        console.print(Text(f"{plural(len(rest), 'more host')} failed: {some(rest, 20)}"))


def _alike(phase: str, failed: Sequence[HostResult]) -> list[list[HostResult]]:
    """Group the hosts whose reports differ in the path of the log only."""
    groups: dict[object, list[HostResult]] = {}
    for host in failed:
        report = (headline(host), *((label, *lines) for label, lines in _details(phase, host) if label != "log"))
        groups.setdefault(report, []).append(host)
    return list(groups.values())


def headline(host: HostResult) -> str:
    """Return the failure of a host on one line."""
    message = visible(" ".join(host.message.split()))
    remedy = OUTCOMES[host.kind].remedy
    if remedy and message.endswith(f"({remedy})"):
        message = message.removesuffix(f"({remedy})").rstrip()  # has a line of its own
    if message.startswith(host.kind):  # `exit status 3` says its kind
        return message
    return f"{host.kind}: {message}" if message else str(host.kind)


def _details(phase: str, host: HostResult) -> Iterator[tuple[str, list[str]]]:
    """Yield the lines of the report below the headline, by label."""
    remedy = OUTCOMES[host.kind].remedy.replace("<phase>", phase)
    if host.rc:
        yield "exit", [f"{host.rc} ({signal_name(host.rc)})" if 128 < host.rc < 193 else str(host.rc)]
    log = host.stdout_log or host.stderr_log
    for stream in ("stderr", "stdout"):
        lines = [visible_line(line) for line in getattr(host, stream).splitlines() if line.strip()]
        if lines:
            yield stream, lines[-LAST_LINES:]
            log = getattr(host, f"{stream}_log")
            if host.kind is Kind.EXIT:
                remedy = ""  # "read the last lines": they are here
            break
    if host.left_running:
        yield "running", ["cannot be ended: process " + ", ".join(map(str, host.left_running))]
    if host.files:
        yield "files", [f"{plural(len(host.files), 'file')} in {visible(str(host.files_dir))}"]
    if log:
        yield "log", [visible(log)]
    if remedy:
        yield "remedy", [remedy]


def _command(config: EnvironmentConfig, phase: str) -> list[str]:
    """Return the first lines of the phase's scripts that are not empty and no comments."""
    scripts = [item for item in getattr(config, phase, ()) if isinstance(item, str)]
    lines = [line.rstrip() for script in scripts for line in script.splitlines()]
    lines = [visible(line) for line in lines if line.strip() and not line.lstrip().startswith("#")]
    shown = lines[:COMMAND_LINES]
    if len(lines) > len(shown):
        shown.append(f"... {plural(len(lines) - len(shown), 'more line')}")
    return shown
