"""From the options of a command to how ansible-playbook is called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from ansible_env.cli.options import Connection
from ansible_env.engine.protocol import Options
from ansible_env.errors import ConfigError, Problem


def ansible_options(given: Connection) -> Options:
    """Return the options for the engine.

    Paths become absolute: ansible-playbook is not started in this directory.

    Raises:
        ConfigError: a file is not there, or extra variables are none.
    """
    problems: list[Problem] = []
    arguments = [*_flags(given), *_files(given, problems), *_extra_vars(given.extra_vars or [], problems)]
    if problems:
        raise ConfigError(problems)
    return Options(forks=given.forks, verbosity=max(0, given.verbose - 1), arguments=tuple(arguments))


def _flags(given: Connection) -> Iterator[str]:
    if given.become:
        yield "--become"
    for name in ("become_user", "user", "connection", "ssh_common_args"):
        if (value := getattr(given, name)) is not None:
            yield f"--{name.replace('_', '-')}={value}"


def _files(given: Connection, problems: list[Problem]) -> Iterator[str]:
    for name in ("private_key", "become_password_file", "connection_password_file"):
        if (path := getattr(given, name)) is not None:
            option = f"--{name.replace('_', '-')}"
            yield f"{option}={_existing(option, path, problems)}"
    for path in given.vault_password_file or []:
        yield f"--vault-password-file={_existing('--vault-password-file', path, problems)}"
    for text in given.vault_id or []:
        label, at, source = text.rpartition("@")
        if source == "prompt" or source.startswith("prompt_"):
            hint = "name a file, or a program that prints the password"
            problems.append(Problem("nobody can be asked while a trial runs", f"--vault-id {text}", hint=hint))
            continue
        yield f"--vault-id={label}{at}{_existing('--vault-id', Path(source), problems)}"


def _existing(option: str, path: Path, problems: list[Problem]) -> Path:
    path = path.expanduser().absolute()
    if not path.is_file():
        problems.append(Problem("there is no such file", option, path))
    return path


def _extra_vars(given: list[str], problems: list[Problem]) -> Iterator[str]:
    """Pass them on as they were given: their order counts, and so do Ansible's rules for name=value."""
    for text in given:
        if text.startswith("@"):
            text = f"@{_existing('-e', Path(text[1:]), problems)}"
        elif text.lstrip().startswith(("{", "[")):
            if not _is_mapping(text):
                problems.append(Problem("is no JSON or YAML mapping", f"-e {text}"))
        elif "=" not in text:
            problems.append(Problem("must be name=value, JSON, or @FILE", f"-e {text}"))
        yield f"--extra-vars={text}"


def _is_mapping(text: str) -> bool:
    try:
        return isinstance(yaml.safe_load(text), dict)
    except yaml.YAMLError:
        return False
