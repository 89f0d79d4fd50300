"""The parameters of one trial.

The rules are those of mlos_bench (`environments/base_environment.py`, `environments/script_env.py`, `util.py`,
`dict_templater.py`; 0.6.2, and main for the three names that every trial has), with these differences:

- everything is resolved again for each trial, so `$trial_id` in a composed value is that trial's;
- unknown names in `shell_env_params` are refused before a trial, not when the script runs;
- a value from outside is never expanded (see `ansible_env.config.expand`);
- a global that replaces a tunable's value must be in the tunable's range, like any other value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible_env.config import checks
from ansible_env.config.documents import key_text
from ansible_env.config.expand import expand
from ansible_env.config.fields import Value
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.shell_env import Secret, secret_values, shell_env
from ansible_env.config.text import kind_of, nearest
from ansible_env.config.tunables import ParamValues, TunableGroups
from ansible_env.errors import ConfigError, ParameterError, Problem
from ansible_env.results.masking import MASK

Tunables = TunableGroups | Mapping[str, Any] | ParamValues
"""Definitions of tunables: our own, a mapping in mlos_bench's format, or an mlos_bench TunableGroups."""

# Tunables


def selected_groups(
    config: EnvironmentConfig,
    tunables: Tunables | None = None,
    tunable_params_map: Mapping[str, Any] | None = None,
) -> TunableGroups:
    """Return the groups that the environment uses, from its file and from `tunables`.

    `$name` in tunable_params selects the groups that the map lists under `name`.

    Raises:
        ParameterError: a group or name does not exist, or a given group differs from the file's.
    """
    groups = config.tunables if tunables is None else _groups(tunables).merge(config.tunables)
    if config.tunable_params is None:
        return config.tunables if tunables is None else groups.select(config.tunables.groups)
    names: list[str] = []
    for name in config.tunable_params:
        if not name.startswith("$"):
            names.append(name)
            continue
        mapped = (tunable_params_map or {}).get(name[1:])
        if isinstance(mapped, str):
            mapped = [mapped]
        if not isinstance(mapped, list | tuple) or not all(isinstance(group, str) for group in mapped):
            hint = nearest(name[1:], tunable_params_map or ())
            what = f"the global 'tunable_params_map' lists no groups under {name[1:]!r}"
            raise ParameterError(Problem(what, "tunable_params", config.source, hint=hint))
        names += mapped
    return groups.select(names)


def _groups(tunables: Tunables) -> TunableGroups:
    if isinstance(tunables, TunableGroups):
        return tunables
    if isinstance(tunables, Mapping):
        return TunableGroups.from_mapping(tunables)
    return TunableGroups.from_mlos(tunables)  # type: ignore[arg-type]


def check_names(config: EnvironmentConfig, tunables: TunableGroups) -> None:
    """Check that every exported name is a parameter, given the selected groups.

    Raises:
        ParameterError: one is not.
    """
    faults = checks.name_faults(config, tunables)
    if problems := [Problem(what, key_text(where), config.source, hint=hint) for where, what, hint in faults]:
        raise ParameterError(problems)


# Values


def resolve(
    config: EnvironmentConfig,
    *,
    global_config: Mapping[str, Any] | None = None,
    tunables: Tunables | None = None,
    tunable_values: Mapping[str, Any] | ParamValues | None = None,
    trial: Mapping[str, Any] | None = None,
) -> dict[str, Value]:
    """Return the value of every parameter for one trial.

    Secrets with a source are read now; the value of each secret is a `Secret`.

    Args:
        config: the environment.
        global_config: parameters from outside.
        tunables: definitions of tunables, besides those of the file.
        tunable_values: values of tunables. The others have their defaults.
        trial: `experiment_id`, `trial_id` and `trial_runner_id`. They override globals.

    Raises:
        ParameterError: it lists all problems: missing arguments, tunables that are unknown or outside their range,
            values of a type that no script can get.
    """
    outside = _outside(config, global_config, trial)
    groups = selected_groups(config, tunables, (global_config or {}).get("tunable_params_map"))
    if tunable_values is None and not isinstance(tunables, TunableGroups | Mapping):
        tunable_values = tunables
    required = [name for name in _required(config) if name not in groups.tunables]
    problems = [*_add_secrets(config, outside), *_missing(config, required, outside)]
    names = dict.fromkeys(
        [*config.const_args, *required, *config.secret_params, *config.host_params, *checks.TRIAL_NAMES]
    )
    problems += _value_problems({name: outside[name] for name in {*names, *groups.tunables} if name in outside})
    if problems:
        raise ParameterError(problems)

    # Environment.__init__ of mlos_bench: globals into const_args and required_args, then `$var`.
    own = {name: config.const_args.get(name) for name in names if name in config.const_args or name in outside}
    params: dict[str, Value] = expand(own, _scalars(outside))
    # Environment.setup: tunables over that, then globals over everything known.
    values = _tunable_values(groups, config, tunable_values)
    values |= {name: outside[name] for name in groups.tunables if name in outside}
    params.update(groups.assign(values))
    return {name: Secret(str(value)) if name in config.secret_params else value for name, value in params.items()}


def _add_secrets(config: EnvironmentConfig, outside: dict[str, Any]) -> list[Problem]:
    """Add the secrets that have a source to the parameters from outside, and return the problems of reading them."""
    try:
        outside.update(secret_values(config, outside))
    except ParameterError as error:
        return list(error.problems)
    return []


def _outside(
    config: EnvironmentConfig, global_config: Mapping[str, Any] | None, trial: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the parameters from outside. The trial's own override them, as in mlos_bench's `Trial.config`."""
    outside = {"experiment_id": config.experiment_id} if config.experiment_id is not None else {}
    outside |= global_config or {}
    for name, value in (trial or {}).items():
        if name not in checks.TRIAL_NAMES:
            hint = nearest(name, checks.TRIAL_NAMES) or "give it in global_config"
            raise ParameterError(Problem("does not name a trial", str(name), hint=hint))
        outside[name] = value
    return outside


def _required(config: EnvironmentConfig) -> Iterator[str]:
    """Yield the names of required parameters: required_args, and secrets without a value or source in the file."""
    yield from config.required_args
    for name, source in config.secret_params.items():
        known = name in config.const_args or name in config.required_args or name in config.host_params
        if source is None and not known:
            yield name


def _missing(config: EnvironmentConfig, required: Iterable[str], outside: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for each required parameter without a value or a source."""
    for name in required:
        if name in config.const_args or name in outside or config.secret_params.get(name):
            continue
        if name in config.secret_params:
            hint = f"give its source in secret_params: {name}: {{env: VARIABLE}} or {{file: path}}"
        else:
            hint = f"-p {name}=VALUE on the command line, or global_config={{{name!r}: …}}"
        yield Problem("the required argument is missing", name, config.source, hint=hint)


def _value_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the values from outside that are neither scalars nor lists of scalars. Problems contain no values."""
    for name, value in values.items():
        items = value if isinstance(value, list | tuple) else [value]
        for item in items:
            if item is not None and not isinstance(item, str | int | float):
                what = f"must be text, a number, true/false, null, or a list of those, not {kind_of(item)}"
                yield Problem(what, name)
                break


def _scalars(outside: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that parameters can have. Leave out others, such as `tunable_params_map`; copy lists."""
    return {
        name: list(value) if isinstance(value, list | tuple) else value
        for name, value in outside.items()
        if not any(_value_problems({name: value}))
    }


def _tunable_values(
    groups: TunableGroups, config: EnvironmentConfig, values: Mapping[str, Any] | ParamValues | None
) -> dict[str, Any]:
    """Return the given values of the selected tunables. Others in the file belong to other environments."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        values = values.get_param_values()
        return {name: value for name, value in values.items() if name in groups}
    others = {tunable.name for tunable in config.tunables} - set(groups.tunables)
    return {name: value for name, value in values.items() if name not in others}


def public(config: EnvironmentConfig, params: Mapping[str, Value]) -> dict[str, Value]:
    """Return the parameters with secrets masked, for display and storage."""
    return {name: MASK if name in config.secret_params else value for name, value in params.items()}


# Before a trial


def check(
    config: EnvironmentConfig,
    global_config: Mapping[str, Any] | None = None,
    tunables: Tunables | None = None,
    tunable_values: Mapping[str, Any] | ParamValues | None = None,
) -> None:
    """Check everything that can be checked before a trial.

    It resolves the parameters and variables of a trial; trial names that are not given get made-up values.

    Raises:
        ParameterError: it lists all problems.
    """
    trial = dict.fromkeys(checks.TRIAL_NAMES, 1) | {"experiment_id": "experiment"}
    for name in checks.TRIAL_NAMES:
        if name in (global_config or {}) or (name == "experiment_id" and config.experiment_id is not None):
            del trial[name]
    problems: list[Problem] = []
    with _collected(problems):
        check_names(config, selected_groups(config, tunables, (global_config or {}).get("tunable_params_map")))
    with _collected(problems):
        params = resolve(
            config, global_config=global_config, tunables=tunables, tunable_values=tunable_values, trial=trial
        )
        if not problems:
            shell_env(config, params)
    if problems:
        raise ParameterError(problems)


@contextmanager
def _collected(problems: list[Problem]) -> Iterator[None]:
    """Collect the problems of an error in a list, each once, and suppress the error."""
    try:
        yield
    except ConfigError as error:
        problems += [problem for problem in error.problems if problem not in problems]
