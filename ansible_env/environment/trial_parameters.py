"""`TrialParameters`: the parameters of the current trial."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from ansible_env.common import get_logger
from ansible_env.config.checks import TRIAL_NAMES
from ansible_env.config.expand import undefined
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.parameters import Tunables, check, public, resolve
from ansible_env.config.shell_env import ShellEnv, shell_env
from ansible_env.config.text import nearest
from ansible_env.errors import ParameterError, Problem
from ansible_env.results.trial import TrialRequest
from ansible_env.storage.bundle.directories import experiment_name, slug

logger = get_logger(__name__)

MAX_TRIAL = 2**31 - 1
"""The highest number of a trial: databases keep it as a whole number of 32 bits."""


class TrialParameters:
    """The parameters of an environment in its current trial."""

    def __init__(
        self, config: EnvironmentConfig, name: str, globals: Mapping[str, Any] | None, tunables: Tunables | None
    ) -> None:
        """Read the common parameters of all trials. Raise ConfigError if the given values cannot be parameters."""
        self._config = config
        self._name = name
        self.globals = dict(globals or {})
        self.tunables = tunables
        self._next_trial = 1
        self._params: dict[str, Any] | None = None
        self.exports: dict[str, str] = {}
        """Values that hosts have exported to later phases of this trial, by environment variable."""
        self._env = ShellEnv({}, {})
        self._warned: set[str] = set()
        check(config, self.globals, tunables)

    def copy(self, config: EnvironmentConfig | None = None) -> TrialParameters:
        """Return the parameters of the same environment, or of another configuration, before its first trial."""
        other = copy.copy(self)
        other._config = config or self._config
        other._next_trial, other._params, other.exports, other._env = 1, None, {}, ShellEnv({}, {})
        return other

    def begin_trial(self, values: Any = None, global_config: Mapping[str, Any] | None = None) -> None:
        """Assign the parameters of the next trial and count it, unless its number is given or `assign` fails."""
        self.assign(values, global_config)
        if "trial_id" not in self._merged(global_config):
            self._next_trial += 1

    def assign(self, values: Any = None, global_config: Mapping[str, Any] | None = None) -> None:
        """Compute the parameters of the next trial, without counting it. Raise ParameterError for an unusable value."""
        self._params, self._env = self._resolved(values, global_config)
        self.exports = {}

    def check_values(self, values: Any = None, global_config: Mapping[str, Any] | None = None) -> None:
        """Check the values of a trial, and change nothing. Raise ParameterError for an unusable value."""
        self._resolved(values, global_config)

    def _resolved(self, values: Any, global_config: Mapping[str, Any] | None) -> tuple[dict[str, Any], ShellEnv]:
        merged = self._merged(global_config)
        trial: dict[str, Any] = {"trial_id": self._next_trial, "trial_runner_id": 1}
        trial["experiment_id"] = self._config.experiment_id or slug(self._name)
        trial |= {name: merged[name] for name in trial if name in merged}
        if isinstance(number := trial["trial_id"], int) and not 0 <= number <= MAX_TRIAL:
            raise ParameterError(Problem(f"{number} is not between 0 and {MAX_TRIAL}", "trial_id"))
        self._check_references(merged)
        params = resolve(self._config, global_config=merged, tunables=self.tunables, tunable_values=values, trial=trial)
        return params, shell_env(self._config, params)

    def _check_references(self, merged: Mapping[str, Any]) -> None:
        """Warn once about each `$name` in const_args that has no value; with `strict`, raise ParameterError.

        mlos_bench passes them on as they are (`mlos_bench/dict_templater.py`).
        """
        config = self._config
        outside = {*merged, *TRIAL_NAMES}
        names = {*outside, *config.const_args}
        problems = [
            Problem(f"${name} has no value", f"const_args.{argument}", config.source, hint=_reference_hint(name, names))
            for argument, name in undefined(config.const_args, outside)
        ]
        if problems and config.strict:
            raise ParameterError(problems)
        for problem in problems:
            if str(problem) not in self._warned:
                self._warned.add(str(problem))
                logger.warning("%s", problem)

    def _merged(self, global_config: Mapping[str, Any] | None) -> dict[str, Any]:
        return {**self.globals, **(global_config or {})}

    @property
    def params(self) -> dict[str, Any]:
        """Every parameter; with default values where no trial has begun."""
        if self._params is None:
            self.assign()
        assert self._params is not None  # noqa: S101 - for mypy
        return self._params

    @property
    def experiment(self) -> str:
        """The experiment under which the trials are stored: the parameter if it was given, else the name as it is."""
        found = str(self.params["experiment_id"])
        return found if self._config.experiment_id else experiment_name(found, self._name)

    @property
    def env(self) -> ShellEnv:
        """The environment of the scripts."""
        return replace(self._env, plain={**self._env.plain, **self.exports})

    @property
    def public(self) -> dict[str, Any]:
        """The parameters, secrets masked."""
        return public(self._config, self.params)

    @property
    def secrets(self) -> dict[str, Any]:
        """The secrets that scripts see, by variable, and all secrets, by name; empty if there are none."""
        if not self._config.secret_params:
            return {}
        params = {name: str(self.params[name]) for name in self._config.secret_params if name in self.params}
        return {"env": dict(self._env.secret), "params": params}

    def request(self, values: Any = None, global_config: Mapping[str, Any] | None = None) -> TrialRequest:
        """Return the request for the current trial; its number is 0 if `trial_id` is not a number."""
        given = values.get_param_values() if hasattr(values, "get_param_values") else values or {}
        trial_id = self.params.get("trial_id")
        number = trial_id if isinstance(trial_id, int) and not isinstance(trial_id, bool) else 0
        return TrialRequest(number, dict(given), dict(global_config or {}))

    def for_journal(self, request: TrialRequest) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the values and the parameters of a trial without the secrets."""
        merged = {"trial_id": self.params.get("trial_id"), **self._merged(request.globals)}
        secret = self._config.secret_params
        return (
            {name: value for name, value in request.values.items() if name not in secret},
            {name: value for name, value in merged.items() if name not in secret},
        )


def _reference_hint(name: str, known: Collection[str]) -> str:
    close = nearest(name, known)
    return f"{close}; $$ is a dollar sign" if close else "$$ is a dollar sign"
