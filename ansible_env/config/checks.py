"""Rules between the fields of an environment file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ansible_env.config.expand import references
from ansible_env.config.faults import Fault
from ansible_env.config.fields import ONCE, PHASES
from ansible_env.config.keys import EnvironmentKeys
from ansible_env.config.steps import steps_of
from ansible_env.config.text import clean_env_name, env_name_fault, nearest, variable_name_fault
from ansible_env.config.tunables import TunableGroups
from ansible_env.errors import MetricsPatternError
from ansible_env.results.metrics.json_output import JsonMetrics
from ansible_env.results.metrics.pattern import compile_pattern

TRIAL_NAMES = ("experiment_id", "trial_id", "trial_runner_id")
"""Parameters that every trial has (`mlos_bench/environments/base_environment.py` of mlos_bench main)."""


def config_faults(config: EnvironmentKeys, bad: frozenset[str], *, mlos: bool) -> Iterator[Fault]:
    """Yield every fault between fields. A check that reads a field in `bad` is skipped: its faults would mislead."""
    checks: list[tuple[set[str], Callable[[], Iterable[Fault]]]] = [
        (
            {"results_stdout_pattern", "results_json", "metrics", "results_file", "required_metrics"},
            lambda: _metrics_faults(config),
        ),
        ({"on_disturbed", "retries"}, lambda: _retry_faults(config)),
        ({"collect", "results_file", "run"}, lambda: _file_faults(config)),
        ({"shell_env_params", "shell_env_params_rename"}, lambda: _export_faults(config)),
        ({"tunables", "tunable_params"}, lambda: [] if mlos else _group_faults(config)),
        ({"vars_params"}, lambda: _variable_faults(config)),
        ({"host_params", "const_args", "required_args", "tunables", *PHASES, *ONCE}, lambda: _given_twice(config)),
        ({"const_args", "secret_params"}, lambda: _secret_faults(config)),
    ]
    for reads, check in checks:
        if not reads & bad:
            yield from check()
    # A name is unknown only if everything that may define it is known.
    sources = {"const_args", "required_args", "secret_params", "host_params", "tunables", "tunable_params"}
    if not bad & (sources | {"shell_env_params", "shell_env_params_rename", "vars_params"}):
        groups = file_groups(config)
        if groups is not None:
            yield from name_faults(config, groups)


def _retry_faults(config: EnvironmentKeys) -> Iterator[Fault]:
    if config.on_disturbed == "retry" and not config.retries:
        yield ("on_disturbed",), "retries nothing, because 'retries' is 0", "set retries to 1 or more"


def file_groups(config: EnvironmentKeys) -> TunableGroups | None:
    """Return the selected groups, or None if the file lacks some of them, which are given later."""
    own = config.tunables
    if config.tunable_params is None:
        return own
    if any(name not in own.groups for name in config.tunable_params):
        return None
    return own.select(config.tunable_params)


def known_names(config: EnvironmentKeys, tunables: TunableGroups) -> frozenset[str]:
    """Return the names of all parameters, given the selected groups. A global of another name has no effect."""
    own = (*config.const_args, *config.required_args, *config.secret_params, *config.host_params)
    return frozenset((*own, *TRIAL_NAMES, *tunables.tunables))


def env_sources(config: EnvironmentKeys) -> dict[str, str]:
    """Return the exports: environment variable to parameter (`mlos_bench/environments/script_env.py`)."""
    exported = {clean_env_name(name): name for name in config.shell_env_params}
    exported.update(config.shell_env_params_rename)
    return exported


def name_faults(config: EnvironmentKeys, tunables: TunableGroups) -> Iterator[Fault]:
    """Yield the names that are wrong given the selected tunables: exports of unknown parameters and secret tunables."""
    for name in config.secret_params:
        if name in tunables:
            yield (
                ("secret_params",),
                f"the tunable {name!r} cannot be secret: optimizers and stores see its values",
                None,
            )
    known = known_names(config, tunables)
    named: list[tuple[tuple[str | int, ...], str]] = [
        *((("shell_env_params", index), name) for index, name in enumerate(config.shell_env_params)),
        *((("shell_env_params_rename", key), name) for key, name in config.shell_env_params_rename.items()),
        *((("vars_params", index), name) for index, name in enumerate(config.vars_params) if name != "*"),
    ]
    for where, name in named:
        if name in known:
            continue
        if group := config.tunables.group_of(name):
            what = f"{name!r} is a tunable of the group {group!r}, which tunable_params does not select"
            yield where, what, None
        else:
            what = f"there is no parameter {name!r} in const_args, required_args or the selected tunables"
            yield where, what, nearest(name, known)


def _export_faults(config: EnvironmentKeys) -> Iterator[Fault]:
    owners: dict[str, str] = {}
    exports: list[tuple[str, str | int, str, str]] = [
        *(
            ("shell_env_params", index, clean_env_name(name), name)
            for index, name in enumerate(config.shell_env_params)
        ),
        *(("shell_env_params_rename", to, to, name) for to, name in config.shell_env_params_rename.items()),
    ]
    for key, at, variable, name in exports:
        if fault := env_name_fault(variable):
            hint = f"export it under another name with shell_env_params_rename: {{NAME: {name}}}"
            yield (key, at), fault, hint if key == "shell_env_params" else None
        elif (first := owners.setdefault(variable, name)) != name:
            what = f"{name!r} and {first!r} both become the environment variable {variable!r}"
            yield (key, at), what, f"remove {first!r} from shell_env_params" if key != "shell_env_params" else None


def variable_names(config: EnvironmentKeys, known: Iterable[str]) -> list[str]:
    """Return the parameters that Ansible tasks get as variables of the same name."""
    names = [name for name in config.vars_params if name != "*"]
    if "*" in config.vars_params:
        names += [name for name in known if variable_name_fault(name) is None]
    return list(dict.fromkeys(names))


def _variable_faults(config: EnvironmentKeys) -> Iterator[Fault]:
    for index, name in enumerate(config.vars_params):
        if name != "*" and (fault := variable_name_fault(name)):
            yield ("vars_params", index), fault, f"tasks see it as ansible_env_params[{name!r}]"


def _given_twice(config: EnvironmentKeys) -> Iterator[Fault]:
    """Yield parameters that both hosts and the file define, and exports that hide a parameter's variable."""
    for name in config.host_params:
        if name in config.const_args or name in config.required_args or name in config.tunables.tunables:
            yield ("host_params", name), f"{name!r} has a value already", "defaults belong to group_vars/all"
    variables = env_sources(config)
    for phase in (*PHASES, *ONCE):
        for step in steps_of(getattr(config, phase)):
            for name in step.exports:
                if name in variables:
                    what = f"the export {name!r} has the name of a parameter's environment variable"
                    yield (phase,), what, "give it another name"


def _metrics_faults(config: EnvironmentKeys) -> Iterator[Fault]:
    names: tuple[str, ...] = tuple(config.metrics)
    for name, path in config.metrics.items():
        try:
            JsonMetrics.of(False, {name: path})
        except MetricsPatternError as error:
            yield ("metrics", name), error.problems[0].message, error.problems[0].hint
    if config.results_stdout_pattern is not None:
        try:
            pattern = compile_pattern(config.results_stdout_pattern)
        except MetricsPatternError as error:
            for problem in error.problems:
                yield ("results_stdout_pattern",), problem.message, problem.hint
            return
        names = (*names, *pattern.names) if pattern.names else ()  # any name, if it has none of its own
    elif config.required_metrics and not (config.results_json or config.metrics or config.results_file):
        what = "no metrics can be measured: there is no results_stdout_pattern, results_json, metrics or results_file"
        yield ("required_metrics",), what, None
    if names and not config.results_json and (config.metrics or not config.results_file):
        for index, metric in enumerate(config.required_metrics):
            if metric not in names:
                by_pattern = config.results_stdout_pattern is not None
                has = "results_stdout_pattern has no group named" if by_pattern else "metrics has no path for"
                what = f"{has} {metric!r}"
                yield ("required_metrics", index), what, nearest(metric, names)


def _file_faults(config: EnvironmentKeys) -> Iterator[Fault]:
    if config.collect and not config.run:
        yield ("collect",), "files are collected after run, and there is no run", None
    if config.results_file and not any(step.is_script and not step.background for step in steps_of(config.run)):
        what = "it is read after a script of run, and run has none that is not in the background"
        yield ("results_file",), what, None


def _group_faults(config: EnvironmentKeys) -> Iterator[Fault]:
    known = config.tunables.groups
    if not known:
        return  # the trial gives all of them
    for index, name in enumerate(config.tunable_params or ()):
        if name not in known and not name.startswith("$"):
            hint = nearest(name, known) or f"known: {', '.join(known)}"
            yield ("tunable_params", index), f"there is no group of tunables {name!r}", hint


def _secret_faults(config: EnvironmentKeys) -> Iterator[Fault]:
    """Yield values that contain a secret and are not declared secret."""
    for name, value in config.const_args.items():
        used = sorted(references(value) & config.secret_params.keys())
        if used and name not in config.secret_params:
            what = f"contains the secret {used[0]!r} and is a secret itself"
            yield ("const_args", name), what, f"add {name!r} to secret_params"
