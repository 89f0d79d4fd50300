"""The options that several commands share: each group of them is a dataclass. A command takes one dataclass."""

from __future__ import annotations

import enum
import inspect
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from rich.markup import escape
from typer.models import ArgumentInfo

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PARAMETERS, HOSTS, ANSIBLE = "Parameters", "Hosts", "How Ansible connects"
WHERE, RESULTS, TRIALS = "Where Ansible runs", "Results", "Trials"
"""Panels of `--help`."""


def option(declaration: str, text: str, panel: str | None = None, *, default: Any = None, **more: Any) -> Any:
    """Return the field of an option, declared by its names and its metavar, such as `-p, --param NAME=VALUE`.

    Its text has no markup.
    """
    *names, last = declaration.split(", ")
    name, _, metavar = last.partition(" ")
    shown = not isinstance(default, bool | None) and "count" not in more
    info = typer.Option(
        *names, name, metavar=metavar or None, help=escape(text), rich_help_panel=panel, show_default=shown, **more
    )
    return field(default=default, metadata={"typer": info})


def argument(metavar: str, text: str, default: Any = MISSING) -> Any:
    """Return the field of an argument, which is required if it has no default."""
    info = typer.Argument(metavar=metavar, help=escape(text), show_default=False)
    return field(default=default, metadata={"typer": info})


def signature(model: type[DataclassInstance]) -> inspect.Signature:
    """Return the parameters of a command that takes a dataclass of options: arguments first, those of `Common` last."""
    hints = get_type_hints(model)
    common = [field.name for field in fields(Common)]

    def place(field: Field[Any]) -> int:
        if field.name in common:
            return 1 + common.index(field.name)
        return -1 if isinstance(field.metadata["typer"], ArgumentInfo) else 0

    return inspect.Signature(
        [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
                annotation=Annotated[hints[field.name], field.metadata["typer"]],
            )
            for field in sorted(fields(model), key=place)
        ]
    )


class Output(enum.StrEnum):
    """Forms of results on stdout."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class ProgressForm(enum.StrEnum):
    """Forms of progress on stderr."""

    AUTO = "auto"
    LIVE = "live"
    PLAIN = "plain"


class ContainerEngineName(enum.StrEnum):
    """Programs that run containers."""

    PODMAN = "podman"
    DOCKER = "docker"


STORE = (
    "The store: a file, or an SQLAlchemy URL. Default: $ANSIBLE_ENV_STORE, or store.sqlite in the "
    "directory of all results."
)


@dataclass(kw_only=True)
class Common:
    """Options of every command."""

    verbose: int = option(
        "-v, --verbose",
        "Show more. With -vv, also the output of Ansible; more -v raise its verbosity.",
        default=0,
        count=True,
    )
    debug: bool = option("--debug", "Show the traceback of an error.", default=False)


@dataclass(kw_only=True)
class Parameters(Common):
    """An environment and its parameters."""

    environment: Path = argument("ENV.yml", "The environment file: YAML, JSON or JSONC.")
    params: list[str] | None = option(
        "-p, --param NAME=VALUE", "Value of a tunable or parameter. Repeatable.", PARAMETERS
    )
    params_file: list[Path] | None = option(
        "--params-file FILE", "File of values: YAML or JSON. -p takes precedence.", PARAMETERS
    )


@dataclass(kw_only=True)
class Hosts(Common):
    """The hosts to run on."""

    inventory: list[str] | None = option(
        "-i, --inventory INVENTORY",
        "File, directory, script or plugin configuration, or 'host1,host2'. Repeatable. "
        "Default: that of Ansible's configuration, or this machine.",
        HOSTS,
    )
    limit: str | None = option("-l, --limit PATTERN", "Only the hosts that match this pattern.", HOSTS)


@dataclass(kw_only=True)
class Connection(Hosts):
    """How Ansible connects; each option is one of ansible-playbook's own."""

    extra_vars: list[str] | None = option("-e, --extra-vars VARS", "name=value, JSON, or @FILE. Repeatable.", ANSIBLE)
    forks: int | None = option("-f, --forks N", "Number of hosts handled at once.", ANSIBLE, min=1)
    become: bool = option("-b, --become", "Become another user on the hosts.", ANSIBLE, default=False)
    become_user: str | None = option("--become-user USER", "User to become. Default: root.", ANSIBLE)
    become_password_file: Path | None = option(
        "--become-password-file FILE", "File with the password for become, or a program that prints it.", ANSIBLE
    )
    ask_become_pass: bool = option(
        "-K, --ask-become-pass", "Ask for the password for become, before anything starts.", ANSIBLE, default=False
    )
    user: str | None = option("-u, --user USER", "Log in as this user.", ANSIBLE)
    private_key: Path | None = option("--private-key FILE", "Log in with this key.", ANSIBLE)
    connection: str | None = option("-c, --connection TYPE", "Connection plugin.", ANSIBLE)
    connection_password_file: Path | None = option(
        "--connection-password-file FILE", "File with the password for the login, or a program that prints it.", ANSIBLE
    )
    ask_pass: bool = option(
        "-k, --ask-pass", "Ask for the password for the login, before anything starts.", ANSIBLE, default=False
    )
    ssh_common_args: str | None = option("--ssh-common-args ARGS", "Further arguments for ssh.", ANSIBLE)
    vault_id: list[str] | None = option("--vault-id [LABEL@]FILE", "Vault password. Repeatable.", ANSIBLE)
    vault_password_file: list[Path] | None = option(
        "--vault-password-file FILE", "Vault password. Repeatable.", ANSIBLE
    )


@dataclass(kw_only=True)
class Place:
    """Where Ansible itself runs: on this machine, at a worker, or in a container."""

    engine: str = option(
        "--engine NAME",
        "warm: fork each ansible-playbook from a process that has Ansible loaded; cold: start a new one each time; "
        "session: fork each before its phase begins. Or the name of another engine that is installed.",
        WHERE,
        default="warm",
    )
    worker: str | None = option(
        "--worker TARGET",
        "Run Ansible on another machine, by `ansible-runner worker`: ssh://USER@HOST:PORT/VENV (the host is "
        "enough), or command:WORDS for any command that carries stdin and stdout.",
        WHERE,
    )
    execution_environment: str | None = option(
        "--execution-environment IMAGE",
        "Run Ansible in a container of this image, which contains ansible-core and ansible-env.",
        WHERE,
    )
    container_engine: ContainerEngineName | None = option(
        "--container-engine", "Program that runs the container. Default: the first one installed.", WHERE
    )
    container_mount: list[str] | None = option(
        "--container-mount PATH:PATH[:ro]", "Further path that the container sees. Repeatable.", WHERE
    )


@dataclass(kw_only=True)
class Display(Common):
    """How results and progress are shown."""

    output: Output = option("-o, --output", "Format of the results on stdout.", RESULTS, default=Output.TABLE)
    quiet: bool = option("-q, --quiet", "Show only errors on stderr.", RESULTS, default=False)
    follow: list[str] | None = option(
        "--follow HOST",
        "Show the output of this host alone, or of those that match, as 'db*'. Repeatable. Default: on a "
        "terminal that of the only host (-v: of all), elsewhere of all.",
        RESULTS,
    )
    junit: Path | None = option("--junit FILE", "Write the trials as JUnit XML, for CI.", RESULTS)
    prometheus: Path | None = option(
        "--prometheus FILE.prom",
        "Write the last trial for node_exporter's textfile collector. Needs the extra `prometheus`.",
        RESULTS,
    )
    progress: ProgressForm = option(
        "--progress",
        "live: a line for each host, redrawn in place; plain: lines with the time; auto: live on a terminal.",
        RESULTS,
        default=ProgressForm.AUTO,
    )


@dataclass(kw_only=True)
class Running(Display, Connection, Parameters, Place):
    """Options of a command that runs phases."""

    artifacts: Path | None = option(
        "--artifacts DIR",
        "Directory for results, playbooks and logs. Default: a new one in "
        "$ANSIBLE_ENV_ARTIFACTS or ~/.local/state/ansible-env.",
        RESULTS,
    )
    store: str | None = option("--store URL", STORE, RESULTS)
    no_store: bool = option("--no-store", "Do not write to the store.", RESULTS, default=False)


@dataclass(kw_only=True)
class Judged(Running):
    """Options of a command that judges metrics."""

    valid: list[str] | None = option(
        "--valid RULE",
        "'METRIC > 0', 'METRIC finite', 'METRIC any': a host whose metrics break it has failed. Repeatable.",
        RESULTS,
    )
    require: list[str] | None = option(
        "--require RULE",
        "'governor=performance', 'load_1m < 0.5', 'commands=fio,jq': run starts on no host that differs. Repeatable.",
        HOSTS,
    )
    collect: list[str] | None = option(
        "--collect FILES",
        "'out/*.json': files to bring from each host into the bundle after run. Repeatable.",
        RESULTS,
    )
    stop_after: int | None = option(
        "--stop-after N", "Start no more trials after N in a row that failed alike.", RESULTS, default=None, min=1
    )
    settle: str | None = option("--settle TIME", "How long to wait between setup and run, as 30s.", TRIALS)
    cooldown: str | None = option("--cooldown TIME", "How long a host rests between two trials.", TRIALS)
    wait_for_hosts: str | None = option(
        "--wait-for-hosts TIME", "How long to wait for hosts that other trials use, as 30m.", HOSTS
    )
    splay: str | None = option("--splay TIME", "Longest of the random waits before run.", TRIALS)
    asserted: list[str] | None = option(
        "--assert BUDGET",
        "'METRIC >= 0.95 * baseline', 'METRIC <= 12 ms': else the exit code is 3. Repeatable.",
        RESULTS,
    )
    baseline: str | None = option(
        "--baseline REF",
        "A JSON file of metrics, a bundle, or trials of the store: EXPERIMENT, EXPERIMENT:name=value, ids.",
        RESULTS,
    )
