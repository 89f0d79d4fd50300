"""How Ansible is called: the engine, which tests replace, the arguments of ansible-playbook, and its passwords."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import yaml

from ansible_env.cli.options import Connection, Place
from ansible_env.engine.environ import user_config
from ansible_env.engine.prompts import BECOME, CONNECTION, check_prompts
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
    return _ask_passwords(given, options)


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


# Passwords that are asked for once, on a terminal, before anything starts


def _ask_passwords(given: Connection, options: Options) -> Options:
    """Return the options with the passwords that the call or Ansible's configuration requests.

    Raise ConfigError if there is no terminal, or a password is requested and also in a file.
    """
    config = user_config(options)
    wanted = []
    for prompt, flag in ((CONNECTION, given.ask_pass), (BECOME, given.ask_become_pass)):
        in_file = prompt.is_answered(options.arguments)
        if flag and in_file:
            raise ConfigError(Problem("goes without a file", prompt.flags[-1], hint=f"drop {prompt.options[0]}"))
        setting = prompt.asks(config)
        if flag or (setting and not in_file):
            wanted.append((prompt, prompt.flags[-1] if flag or not setting else f"{setting.origin}: {setting.value}"))
    if wanted and not sys.stdin.isatty():
        what = "a password is needed, and there is no terminal to ask for it"
        hint = "{} FILE names a file with the password, or a program that prints it"
        raise ConfigError([Problem(what, why, hint=hint.format(prompt.options[0])) for prompt, why in wanted])
    for prompt, _ in wanted:
        if prompt is CONNECTION:
            options = replace(options, connection_password=_ask("SSH password: "))
        else:
            default = options.connection_password
            hint = "[defaults to SSH password]" if default else ""
            options = replace(options, become_password=_ask(f"BECOME password{hint}: ") or default)
    check_prompts(config, options)
    return options


def _ask(prompt: str) -> str:
    try:
        return getpass.getpass(prompt, stream=sys.stderr)
    except EOFError:
        raise ConfigError(Problem("no password was given", prompt.rstrip(": "))) from None
