"""`validate`: check an environment file, its parameters and an inventory; no host is touched."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_env.cli import console
from ansible_env.cli.options import Hosts, Parameters
from ansible_env.cli.parameters import Values, given_values
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.parameters import selected_groups
from ansible_env.config.steps import has_tasks
from ansible_env.environment.trial_parameters import TrialParameters
from ansible_env.errors import ConfigError
from ansible_env.report.formatting import some, visible


@dataclass(kw_only=True)
class ValidateOptions(Hosts, Parameters):
    """Options of `validate`."""


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


def _checked(options: ValidateOptions, config: EnvironmentConfig, values: Values) -> tuple[str, ...] | None:
    parameters = TrialParameters(config, config.name, values.globals, None)
    globals_ = values.for_trial(0, 1)[1]
    parameters.check_values(values.tunables, globals_)
    tasks = any(has_tasks(getattr(config, part)) for part in config.parts)
    if not options.inventory and not tasks:
        return None
    from ansible_env.cli import ansible_call  # what is slow to load, and only the inventory and tasks need
    from ansible_env.environment.remote_env import RemoteEnv

    with contextlib.closing(ansible_call.make_engine()) as engine:
        env = RemoteEnv(
            config=config,
            global_config=values.globals,
            inventory=options.inventory,
            limit=options.limit,
            engine=engine,
        )
        hosts = env.hosts if options.inventory else None
        env.check_tasks(values.tunables, globals_)
    return hosts


def _missing(config: EnvironmentConfig) -> list[str]:
    """Return the parameters that a trial requires, that the file names."""
    with contextlib.suppress(ConfigError):
        tunables = selected_groups(config).tunables
        return [name for name in config.required_args if name not in tunables and name not in config.const_args]
    return list(config.required_args)


def _summary(config: EnvironmentConfig, hosts: tuple[str, ...] | None, missing: list[str]) -> Iterator[tuple[str, str]]:
    yield "name", visible(config.name)
    yield "phases", ", ".join(config.parts)
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
