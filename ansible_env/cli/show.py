"""`render`, `validate` and `schema`: the contents of an environment file; no host is touched."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_env.cli import ansible_call, console
from ansible_env.cli.options import Hosts, Parameters, option
from ansible_env.cli.parameters import Values, given_values
from ansible_env.cli.tabular import write
from ansible_env.config.fields import PHASES
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.parameters import selected_groups
from ansible_env.config.schema import json_schema
from ansible_env.config.text import nearest
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, Problem
from ansible_env.report.formatting import some, visible
from ansible_env.storage.bundle.files import to_json

_NOTE = """\
# {phases} of {name}, one play after the other.
# Run by hand, a host that fails gets none of the later plays: no teardown.
"""


@dataclass(kw_only=True)
class RenderOptions(Parameters):
    """Options of `render`."""

    phase: str | None = option("--phase PHASE", "setup, run or teardown. Default: all, one after the other.")


@dataclass(kw_only=True)
class ValidateOptions(Hosts, Parameters):
    """Options of `validate`."""


def render(options: RenderOptions) -> str:
    """Print the playbook of a phase. To run it by hand: ansible-playbook -i INVENTORY file.yml."""
    config = EnvironmentConfig.load(options.environment)
    if options.phase is not None and options.phase not in PHASES:
        hint = nearest(options.phase, PHASES) or f"one of {', '.join(PHASES)}"
        raise ConfigError(Problem(f"there is no phase {options.phase!r}", "--phase", hint=hint))
    values = given_values(config, options.params or [], options.params_file or [])
    env = RemoteEnv(config=config, global_config=values.globals)
    env.assign(values.tunables, values.for_trial(0, 1)[1])
    phases = (options.phase,) if options.phase else config.phases
    plays = [env.render(phase) for phase in phases]
    if len(plays) == 1:
        return plays[0]
    name = " ".join(config.name.split())
    note = _NOTE.format(phases=", ".join(phases), name=visible(name))
    return "---\n" + note + "".join(text.removeprefix("---\n") for text in plays)


def validate(options: ValidateOptions) -> str:
    """Check an environment file, its parameters, and with -i the inventory. No host is touched."""
    config = EnvironmentConfig.load(options.environment)
    values = given_values(config, options.params or [], options.params_file or [])
    for problem in values.ignored:
        console.say_error(f"warning: {problem}")
    missing = [] if values else _missing(config)
    hosts = None if missing else _checked(options, config, values)
    lines = [f"  {label:11} {text}\n" for label, text in _summary(config, hosts, missing)]
    return "".join([f"{visible(str(options.environment))}: OK\n", *lines])


def schema() -> None:
    """Print the JSON Schema of environment files, for editors."""
    write(to_json(json_schema(), indent=2) + "\n")


def _checked(options: ValidateOptions, config: EnvironmentConfig, values: Values) -> tuple[str, ...] | None:
    with contextlib.closing(ansible_call.make_engine()) as engine:
        env = RemoteEnv(
            config=config, global_config=values.globals, inventory=options.inventory, limit=options.limit, engine=engine
        )
        env.check_values(values.tunables, values.for_trial(0, 1)[1])
        return env.hosts if options.inventory else None


def _missing(config: EnvironmentConfig) -> list[str]:
    """Return the parameters that a trial requires, that the file names."""
    with contextlib.suppress(ConfigError):
        tunables = selected_groups(config).tunables
        return [name for name in config.required_args if name not in tunables and name not in config.const_args]
    return list(config.required_args)


def _summary(config: EnvironmentConfig, hosts: tuple[str, ...] | None, missing: list[str]) -> Iterator[tuple[str, str]]:
    yield "name", visible(config.name)
    yield "phases", ", ".join(config.phases)
    if config.const_args:
        yield "parameters", some(config.const_args, 20)
    if missing:
        yield "required", f"{some(missing, 20)} (give them with -p)"
    for index, tunable in enumerate(config.tunables):
        text = f"{tunable.name}: {tunable.expected}; default {tunable.default}"
        yield "tunables" if index == 0 else "", visible(text)
    if config.required_metrics:
        yield "metrics", some(config.required_metrics, 20)
    yield "hosts", some(hosts, 20) if hosts is not None else visible(config.hosts)
