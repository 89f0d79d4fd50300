"""Secret values, and the environment variables of a trial's scripts."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_env.config import checks
from ansible_env.config.fields import SecretSource, Value
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.text import nearest, text_fault
from ansible_env.errors import ParameterError, Problem
from ansible_env.results.masking import MASK


class Secret(str):
    """A secret's value: a str whose `repr()` is masked, and so is the repr of any object that contains it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


def secret_values(config: EnvironmentConfig, known: Container[str] = ()) -> dict[str, Secret]:
    """Read the secrets with a source (a variable, or a file without its final newline), but those that are `known`.

    Raises:
        ParameterError: it lists all that cannot be read, without values.
    """
    values: dict[str, Secret] = {}
    problems: list[Problem] = []
    for name, source in config.secret_params.items():
        if source is None or name in known:
            continue
        try:
            values[name] = Secret(_read_secret(config.base_dir, source))
        except ParameterError as error:
            problems += [Problem(p.message, f"secret_params.{name}", config.source) for p in error.problems]
    if problems:
        raise ParameterError(problems)
    return values


def _read_secret(base_dir: Path, source: SecretSource) -> str:
    if source.env is not None:
        if (value := os.environ.get(source.env)) is None:
            raise ParameterError(f"the environment variable {source.env!r} is not set")
        return value
    path = base_dir / Path(source.file or "").expanduser()
    # `from None`: a decoding error contains the bytes.
    try:
        return path.read_bytes().decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise ParameterError(f"the file {path} is not UTF-8 text") from None
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ParameterError(f"the file {path} cannot be read: {reason}") from None


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
