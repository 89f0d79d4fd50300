"""The environment variables of a trial's scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_env.config import checks
from ansible_env.config.fields import Value
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.secrets import MASK
from ansible_env.config.text import nearest, text_fault
from ansible_env.errors import ParameterError, Problem

MAX_ENV_BYTES = 131_072
"""Longest environment variable: `NAME=value` and its NUL must fit in 32 pages (MAX_ARG_STRLEN of Linux's execve)."""


@dataclass(frozen=True, slots=True, repr=False)
class ShellEnv:
    """The environment variables of a trial's scripts. The mappings are from variables to values."""

    plain: Mapping[str, str]
    secret: Mapping[str, str]
    """Variables with secret values."""
    hosted: Mapping[str, str] = field(default_factory=dict)
    """Variables with a value of each host's own: environment variable to the host variable."""
    hosted_secret: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"ShellEnv(plain={dict(self.plain)!r}, secret={dict.fromkeys(self.secret, MASK)!r})"


def shell_env(config: EnvironmentConfig, params: Mapping[str, Value]) -> ShellEnv:
    """Return the environment variables of the scripts: the exports of the environment file, converted by `str()`.

    Raises:
        ParameterError: a name is not a parameter, or a value does not fit into a variable: it has a NUL or half a
            surrogate pair, or is too long for execve. No message contains a value.
    """
    plain: dict[str, str] = {}
    secret: dict[str, str] = {}
    problems: list[Problem] = []
    hosted: dict[str, str] = {}
    hosted_secret: dict[str, str] = {}
    for variable, name in checks.env_sources(config).items():
        if name in config.host_params and name not in params:
            (hosted_secret if name in config.secret_params else hosted)[variable] = config.host_params[name]
            continue
        if name not in params:
            hint = "give it as a parameter of the trial" if name in checks.TRIAL_NAMES else None
            hint = hint or nearest(name, params)
            problems.append(Problem(f"there is no parameter {name!r} to export", variable, config.source, hint=hint))
            continue
        value = str(params[name])  # also of a Secret
        if fault := text_fault(value) or _length_fault(variable, value):
            problems.append(Problem(f"the value of {name!r} {fault}", variable))
        (secret if name in config.secret_params else plain)[variable] = value
    if problems:
        raise ParameterError(problems)
    return ShellEnv(plain, secret, hosted, hosted_secret)


def _length_fault(variable: str, value: str) -> str | None:
    size = len(variable) + len(value.encode()) + 2  # '=' and the final NUL
    if size <= MAX_ENV_BYTES:
        return None
    return f"is {size - MAX_ENV_BYTES} bytes too long: name and value can have {MAX_ENV_BYTES - 2} bytes together"
