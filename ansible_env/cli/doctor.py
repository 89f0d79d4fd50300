"""`doctor`: what is wrong on this machine, in the inventory and on each host, and the remedy."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from ansible_env.cli import ansible_call
from ansible_env.cli.ansible_call import ansible_options
from ansible_env.cli.controller_findings import Finding, Level, controller_findings
from ansible_env.cli.exits import Exit, StopSignals
from ansible_env.cli.failures import headline
from ansible_env.cli.options import Connection, argument
from ansible_env.config.model import EnvironmentConfig
from ansible_env.engine.protocol import Listener
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, EngineError
from ansible_env.report.formatting import plural, some, visible
from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import OUTCOMES
from ansible_env.results.requirements import HostRules
from ansible_env.supervisor.facts import CLOCK_OFFSET, facts_script, parse_facts

CLOCK_TOLERANCE = 2.0
"""Offset in seconds above which a clock is reported. A smaller one may be due to the duration of the answer."""
ANSWER_TIMEOUT = 60.0
"""Seconds that a host gets for its answer."""

# A script for /bin/sh, which need not be bash. `value=no` says that something is missing.
_QUESTIONS = r"""
has() { command -v "$1" 2>/dev/null || echo no; }
echo "system=$(uname -sr)"
echo "user=$(id -un)"
echo "sh=$(readlink -f /bin/sh 2>/dev/null || echo /bin/sh)"
echo "setsid=$(has setsid)"
echo "shell=$(has "$wanted_shell")"
echo "python3=$(python3 -c 'import sys; print(sys.version.split()[0])' 2>/dev/null || echo no)"
"""


_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


@dataclass(kw_only=True)
class DoctorOptions(Connection):
    """Options of `doctor`."""

    environment: Path | None = argument("[ENV.yml]", "Check its hosts, shell and become.", None)


def doctor(options: DoctorOptions) -> Exit:
    """Find out what is wrong: on this machine, in the inventory, and on each host."""
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True)
    findings: list[Finding] = []
    with StopSignals(), contextlib.ExitStack() as stack:
        for finding in _all_findings(options, stack):
            findings.append(finding)
            with contextlib.suppress(BrokenPipeError):
                _print(console, finding)
    bad = [finding for finding in findings if finding.level is Level.FAIL]
    if not bad:
        return Exit.SUCCEEDED
    return Exit.UNREACHABLE if all(finding.unreachable for finding in bad) else Exit.FAILED


def _print(console: Console, finding: Finding) -> None:
    style = _STYLES[finding.level]
    console.print(Text.assemble((f"{finding.level:5}", style), (f"{visible(finding.subject)}: ", "bold"), finding.text))
    if finding.remedy:
        console.print(Text.assemble(("      do: ", "dim"), finding.remedy))


def _all_findings(options: DoctorOptions, stack: contextlib.ExitStack) -> Iterator[Finding]:
    yield from controller_findings()
    config = None
    if options.environment is not None:
        try:
            config = EnvironmentConfig.load(options.environment)
        except ConfigError as error:
            for problem in error.problems:
                yield Finding(Level.FAIL, "environment", visible(str(problem)), "ansible-env validate")
        else:
            yield Finding(Level.OK, "environment", visible(f"{options.environment}: {config.name}"))
    engine = stack.enter_context(contextlib.closing(ansible_call.make_engine()))
    clock = _Clock()
    try:
        env = RemoteEnv(
            config=_questions(config),
            inventory=options.inventory,
            limit=options.limit,
            engine=engine,
            options=ansible_options(options),
            listener=clock,
        )
        hosts = env.hosts
    except (ConfigError, EngineError) as error:
        for text in error.problems if isinstance(error, ConfigError) else [str(error)]:
            remedy = "ansible-inventory -i INVENTORY --graph shows what Ansible reads"
            yield Finding(Level.FAIL, "inventory", visible(str(text)), remedy)
        return
    found = f"{plural(len(hosts), 'host')}: {some(hosts, 20)}"
    yield Finding(Level.OK, "inventory", f"{visible(str(env.inventory))}: {found}")
    with env:
        result = env.run_phase("run")
    for host in result.hosts.values():
        yield from _host_findings(host, env.config, clock)
        if config is not None and host.status.is_succeeded():
            yield from _readiness(host, config.require, clock)


def _questions(config: EnvironmentConfig | None) -> EnvironmentConfig:
    """Return an environment that asks the hosts of another one, with its options of the login."""
    data: dict[str, Any] = {
        "name": "doctor",
        "run": [_QUESTIONS],
        "const_args": {"wanted_shell": config.shell if config else "bash"},
        "shell_env_params": ["wanted_shell"],
        "results_stdout_pattern": r"^(\w+)=(.*)$",
        "shell": "sh",
        "timeouts": {"run": ANSWER_TIMEOUT},
    }
    for name in ("hosts", "become", "become_user", "become_method") if config else ():
        if (value := getattr(config, name)) is not None:
            data[name] = value
    if config is not None:
        data["run"] = [_QUESTIONS, facts_script(config.require.facts, config.require.commands)]
    return EnvironmentConfig.from_mapping(data, source=config.source if config else None)


def _host_findings(host: HostResult, config: EnvironmentConfig, clock: _Clock) -> Iterator[Finding]:
    if not host.status.is_succeeded():
        outcome = OUTCOMES[host.kind]
        remedy = outcome.remedy if "doctor" not in outcome.remedy else "check its address, and that it is up"
        yield Finding(Level.FAIL, host.host, headline(host), remedy, unreachable=host.kind in ("unreachable", "auth"))
        return
    answers = {name: visible(str(value)) for name, value in host.metrics.items()}
    shell = str(config.const_args["wanted_shell"])
    text = f"answers: {answers.get('system')}, as {answers.get('user')}; /bin/sh is {answers.get('sh')}"
    text += f"; python3 {answers.get('python3')}"
    yield Finding(Level.OK, host.host, text)
    if answers.get("shell") == "no":
        remedy = f"install it, or name another one in the environment file: `shell: sh` instead of {shell}"
        yield Finding(Level.FAIL, host.host, f"has no {shell}", remedy)
    if answers.get("setsid") == "no":
        remedy = "install util-linux (or busybox), or scripts that leave their process group cannot be ended"
        yield Finding(Level.WARN, host.host, "has no setsid", remedy)
    offset = clock.offset(host)
    if offset is not None and abs(offset) > CLOCK_TOLERANCE:
        text = f"its clock is {abs(offset):.0f} s {'ahead' if offset > 0 else 'behind'}"
        yield Finding(Level.WARN, host.host, text, "run an NTP client there; times in results are the host's own")


def _readiness(host: HostResult, rules: HostRules, clock: _Clock) -> Iterator[Finding]:
    """Compare a host with `require` of the environment file."""
    facts = parse_facts(host.stdout)
    if (offset := clock.offset(host)) is not None:
        facts[CLOCK_OFFSET] = round(abs(offset), 1)
    for met, text, remedy in rules.findings(facts):
        yield Finding(Level.OK if met else Level.FAIL, host.host, visible(text), "" if met else remedy)


class _Clock(Listener):
    """Records when each host answered, by the controller's clock."""

    def __init__(self) -> None:
        self._answered: dict[str, float] = {}

    def on_event(self, event: Mapping[str, Any]) -> None:
        data = event.get("event_data")
        if event.get("event") == "runner_on_ok" and isinstance(data, Mapping) and data.get("task_action") == PHASE_TASK:
            self._answered[str(data.get("host"))] = time.time()

    def on_output(self, host: str, stream: str, text: str) -> None:
        pass

    def offset(self, host: HostResult) -> float | None:
        """Return how many seconds a host's clock is ahead, if both are known."""
        answered = self._answered.get(host.host)
        if answered is None or host.finished is None:
            return None
        return host.finished.timestamp() - answered
