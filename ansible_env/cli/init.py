"""`init`: an environment file and an inventory to begin with, from a few questions."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import typer
import yaml
from jinja2 import Environment, PackageLoader

from ansible_env.cli.options import Common, argument, option
from ansible_env.config.model import EnvironmentConfig
from ansible_env.errors import ConfigError, MetricsPatternError, Problem
from ansible_env.results.metrics.pattern import compile_pattern
from ansible_env.storage.bundle.directories import slug
from ansible_env.storage.bundle.files import write_whole

PATTERN = r"^(\w+)=(\S+)$"
"""Lines as `score=12.5`."""
FILES = ("environment.yml", "inventory.yml")
_ANSWERS = "Instead of the questions"
_HOST = re.compile(r"[\w.:\[\]@-]+")


@dataclass(kw_only=True)
class InitOptions(Common):
    """Options of `init`."""

    directory: Path = argument("[DIR]", "Where to write; created if it does not exist.", Path())
    name: str | None = option("--name NAME", "Of the environment.", _ANSWERS)
    hosts: str | None = option("--hosts HOST,HOST", "Reached by ssh. None (''): this machine.", _ANSWERS)
    user: str | None = option("--user, -u USER", "Who logs in.", _ANSWERS)
    command: str | None = option("--run COMMAND", "What runs the benchmark on a host.", _ANSWERS)
    metrics: str | None = option(
        "--metrics lines|json|REGEX",
        "How it prints them: lines as score=12.5, a JSON object in its last line, or what a pattern finds.",
        _ANSWERS,
    )
    yes: bool = option("--yes, -y", "Ask nothing: take the defaults for what is not given.", default=False)
    force: bool = option("--force", "Replace existing files.", default=False)


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to the questions."""

    name: str
    hosts: tuple[str, ...]
    user: str
    command: str
    """Empty for the example."""
    metrics: str


def init(options: InitOptions) -> str:
    """Write a commented environment file and an inventory to begin with, from a few questions or with --yes."""
    directory = options.directory.expanduser()
    places = [directory / name for name in FILES]
    for place in places:
        if place.exists() and not options.force:
            raise ConfigError(
                Problem("exists already", file=place, hint="--force replaces it, or name another directory")
            )
    answers = _answers(options, directory)
    texts = (environment_text(answers), inventory_text(answers))
    EnvironmentConfig.from_mapping(yaml.safe_load(texts[0]))
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(Problem(f"cannot be created: {error.strerror}", file=directory)) from error
    for place, text in zip(places, texts, strict=True):
        write_whole(place, text, "init")
    arguments = f"{_quoted(places[0])} -i {_quoted(places[1])}"
    commands = [
        (f"ansible-env doctor {arguments}", "does every host answer?"),
        (f"ansible-env trial {arguments}", "setup, run, teardown"),
        ("ansible-env results", "all trials so far"),
    ]
    width = max(len(command) for command, _ in commands)
    lines = [f"  {command.ljust(width)}   # {why}\n" for command, why in commands]
    return "".join([f"wrote {places[0]} and {places[1]}; next steps:\n\n", *lines])


def _answers(options: InitOptions, directory: Path) -> Answers:
    if not options.yes and not sys.stdin.isatty():
        raise ConfigError(
            Problem("stdin is not a terminal, so no question can be asked", "init", hint="--yes takes the defaults")
        )
    ask = partial(_answer, ask=not options.yes)
    name = ask("Name of the environment", options.name, slug(directory.absolute().name), _name)
    hosts = ask("Hosts over ssh, as a,b,c (none: this machine)", options.hosts, "", _hosts)
    user = ask("User who logs in (none: as ssh decides)", options.user, "", str.strip) if hosts else ""
    command = ask("Command that runs the benchmark (none: an example)", options.command, "", str.strip)
    metrics = "lines"
    if command:
        question = "How does it print its metrics: lines (score=12.5), json (in the last line), or a regular expression"
        metrics = ask(question, options.metrics, "lines", _metrics)
    return Answers(name, tuple(host for host in hosts.split(",") if host), user, command, metrics)


def _answer(question: str, given: str | None, default: str, check: Callable[[str], str], *, ask: bool) -> str:
    """Return what was given, or ask until the answer can be used."""
    while ask and given is None:
        answer = str(typer.prompt(question, default=default, show_default=bool(default), err=True))
        try:
            return check(answer)
        except ConfigError as error:
            typer.echo(str(error), err=True)
    return check(default if given is None else given)


def _name(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ConfigError(Problem("must be a name", "--name"))
    return text.strip()


def _hosts(text: str) -> str:
    hosts = [host.strip() for host in text.split(",") if host.strip()]
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ConfigError(
                Problem(
                    f"{host!r} is not the name of a host", "--hosts", hint="names or addresses, such as web1,192.0.2.7"
                )
            )
    if len(set(hosts)) < len(hosts):
        raise ConfigError(Problem("a host is given twice", "--hosts"))
    return ",".join(hosts)


def _metrics(text: str) -> str:
    text = text.strip()
    if text not in ("lines", "json"):
        try:
            compile_pattern(text)
        except MetricsPatternError as error:
            raise ConfigError([Problem(str(p), "--metrics") for p in error.problems]) from None
    return text


def environment_text(answers: Answers) -> str:
    """Return the environment file."""
    pattern = {"lines": PATTERN, "json": ""}.get(answers.metrics, answers.metrics)
    metrics = f"results_stdout_pattern: {_scalar(pattern)}" if pattern else "results_json: true"
    command = "\n".join(line.rstrip() for line in answers.command.splitlines())
    return _render("environment.yml.j2", name=_scalar(answers.name), command=command, metrics=metrics)


def inventory_text(answers: Answers) -> str:
    """Return the inventory."""
    hosts, user = [_scalar(host) for host in answers.hosts], answers.user and _scalar(answers.user)
    return _render("inventory.yml.j2", hosts=hosts, user=user)


def _render(template: str, **values: Any) -> str:
    loader = PackageLoader("ansible_env.cli")
    environment = Environment(loader=loader, keep_trailing_newline=True, trim_blocks=True)  # noqa: S701 - YAML
    return environment.get_template(template).render(values)


def _scalar(text: str) -> str:
    """Return a text as YAML on one line."""
    if re.fullmatch(r"[A-Za-z][\w./-]*", text) and yaml.safe_load(text) == text:
        return text
    return "'" + text.replace("'", "''") + "'"


def _quoted(path: Path) -> str:
    return str(path) if re.fullmatch(r"[\w./~-]+", str(path)) else "'" + str(path).replace("'", "'\\''") + "'"
