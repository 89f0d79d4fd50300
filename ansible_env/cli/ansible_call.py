"""How Ansible is called: the engine, which tests replace, and the arguments of ansible-playbook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from ansible_env.cli.options import Connection, Place
from ansible_env.cli.passwords import ask_passwords
from ansible_env.engine.protocol import Engine, Options
from ansible_env.engine.registry import make_engine as make_named_engine
from ansible_env.errors import ConfigError, Problem


def make_engine(place: Place | None = None) -> Engine:
    """Return the engine that runs the playbooks: on this machine, at a worker, or in a container.

    Raise ConfigError if the worker's address is wrong, or two places are given.
    """
    place = place or Place()
    image, worker = place.execution_environment, place.worker
    if image is None and (place.container_engine or place.container_mount):
        raise ConfigError("--container-engine and --container-mount go with --execution-environment")
    if image is None:
        return make_named_engine("worker", worker) if worker else make_named_engine(place.engine)
    if worker:
        raise ConfigError("--worker and --execution-environment: Ansible can run in one place only")
    return make_named_engine("container", image, place.container_engine, place.container_mount or ())


def ansible_options(given: Connection) -> Options:
    """Return the options for the engine; ask for passwords that it needs and that are in no file.

    Raise ConfigError if a file does not exist, extra variables cannot be read, or there is no terminal to ask on.
    """
    problems: list[Problem] = []
    arguments = [*_flags(given), *_files(given, problems), *_extra_vars(given.extra_vars or [], problems)]
    if problems:
        raise ConfigError(problems)
    options = Options(forks=given.forks, verbosity=max(0, given.verbose - 1), arguments=tuple(arguments))
    return ask_passwords(given, options)


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
            problems.append(Problem("there is no prompt while a trial runs", f"--vault-id {text}", hint=hint))
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
                problems.append(Problem("is not a JSON or YAML mapping", f"-e {text}"))
        elif "=" not in text:
            problems.append(Problem("must be name=value, JSON, or @FILE", f"-e {text}"))
        yield f"--extra-vars={text}"


def _is_mapping(text: str) -> bool:
    try:
        return isinstance(yaml.safe_load(text), dict)
    except yaml.YAMLError:
        return False
