"""Secret values: reading them on the controller, and hiding them."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path

from ansible_env.config.fields import SecretSource
from ansible_env.config.model import EnvironmentConfig
from ansible_env.errors import ParameterError, Problem

MASK = "********"


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
