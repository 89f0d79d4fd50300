"""The options that several commands share: each group of them is a dataclass. A command takes one dataclass."""

from __future__ import annotations

import enum
import inspect
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.models import ArgumentInfo

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PARAMETERS, HOSTS, ANSIBLE, WHERE, RESULTS = (
    *("Parameters", "Hosts", "How Ansible connects", "Where Ansible runs", "Results"),
)
"""Panels of `--help`."""


def option(*names: str, panel: str | None = None, show_default: bool = False, **more: Any) -> Any:
    """Describe an option for typer."""
    return typer.Option(*names, rich_help_panel=panel, show_default=show_default, **more)


def argument(metavar: str, text: str) -> Any:
    """Describe an argument for typer."""
    return typer.Argument(metavar=metavar, help=text, show_default=False)


def signature(model: type[DataclassInstance]) -> inspect.Signature:
    """Return the parameters of a command that takes a dataclass of options: arguments first, those of `Common` last."""
    hints = get_type_hints(model, include_extras=True)
    common = [field.name for field in fields(Common)]

    def place(name: str) -> int:
        if name in common:
            return 1 + common.index(name)
        return -1 if any(isinstance(item, ArgumentInfo) for item in hints[name].__metadata__) else 0

    return inspect.Signature(
        [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
                annotation=hints[field.name],
            )
            for field in sorted(fields(model), key=lambda field: place(field.name))
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
    """What runs containers."""

    PODMAN = "podman"
    DOCKER = "docker"


Experiment = Annotated[str | None, argument("[EXPERIMENT]", "Only trials of this experiment. Default: of all.")]
_STORE = {
    "metavar": "URL",
    "help": "Database of results: a file, or an SQLAlchemy URL. Default: $ANSIBLE_ENV_STORE, or store.sqlite in the "
    "directory of all results.",
}
StoreUrl = Annotated[str | None, option("--store", **_STORE)]


@dataclass(kw_only=True)
class Common:
    """Options of every command."""

    verbose: Annotated[
        int, option("-v", "--verbose", count=True, help="Show more; twice: also the output of Ansible, and so on.")
    ] = 0
    debug: Annotated[bool, option("--debug", help="Show the traceback of an error.")] = False


@dataclass(kw_only=True)
class Parameters(Common):
    """An environment and its parameters."""

    environment: Annotated[Path, argument("ENV.yml", "The environment file: YAML, JSON or JSONC.")]
    params: Annotated[
        list[str] | None,
        option(
            *("-p", "--param"),
            panel=PARAMETERS,
            metavar="NAME=VALUE",
            help="Value of a tunable or parameter. Repeatable.",
        ),
    ] = None
    params_file: Annotated[
        list[Path] | None,
        option("--params-file", panel=PARAMETERS, metavar="FILE", help="Many values: YAML or JSON. -p wins."),
    ] = None


@dataclass(kw_only=True)
class Hosts(Common):
    """The hosts to run on."""

    inventory: Annotated[
        list[str] | None,
        option(
            *("-i", "--inventory"),
            panel=HOSTS,
            metavar="INVENTORY",
            help="File, directory, script or plugin configuration, or 'host1,host2'. Repeatable. "
            "Default: that of Ansible's configuration, or this machine.",
        ),
    ] = None
    limit: Annotated[
        str | None, option("-l", "--limit", panel=HOSTS, metavar="PATTERN", help="Only the hosts that match.")
    ] = None


@dataclass(kw_only=True)
class Connection(Hosts):
    """How Ansible connects; each option is one of ansible-playbook's own."""

    extra_vars: Annotated[
        list[str] | None,
        option("-e", "--extra-vars", panel=ANSIBLE, metavar="VARS", help="name=value, JSON, or @FILE. Repeatable."),
    ] = None
    forks: Annotated[
        int | None, option("-f", "--forks", panel=ANSIBLE, metavar="N", min=1, help="Hosts in parallel.")
    ] = None
    become: Annotated[bool, option("-b", "--become", panel=ANSIBLE, help="Become another user on the hosts.")] = False
    become_user: Annotated[
        str | None, option("--become-user", panel=ANSIBLE, metavar="USER", help="That user. Default: root.")
    ] = None
    become_password_file: Annotated[
        Path | None,
        option(
            "--become-password-file",
            panel=ANSIBLE,
            metavar="FILE",
            help="File with the password for become, or a program that prints it.",
        ),
    ] = None
    ask_become_pass: Annotated[
        bool, option("-K", "--ask-become-pass", panel=ANSIBLE, help="Ask for that password, before anything starts.")
    ] = False
    user: Annotated[str | None, option("-u", "--user", panel=ANSIBLE, metavar="USER", help="Log in as this user.")] = (
        None
    )
    private_key: Annotated[
        Path | None, option("--private-key", panel=ANSIBLE, metavar="FILE", help="Log in with this key.")
    ] = None
    connection: Annotated[
        str | None, option("-c", "--connection", panel=ANSIBLE, metavar="TYPE", help="Connection plugin.")
    ] = None
    connection_password_file: Annotated[
        Path | None,
        option(
            "--connection-password-file",
            panel=ANSIBLE,
            metavar="FILE",
            help="File with the password for the login, or a program that prints it.",
        ),
    ] = None
    ask_pass: Annotated[
        bool, option("-k", "--ask-pass", panel=ANSIBLE, help="Ask for the password to log in, before anything starts.")
    ] = False
    ssh_common_args: Annotated[
        str | None, option("--ssh-common-args", panel=ANSIBLE, metavar="ARGS", help="More arguments for ssh.")
    ] = None
    vault_id: Annotated[
        list[str] | None,
        option("--vault-id", panel=ANSIBLE, metavar="[LABEL@]FILE", help="Vault password. Repeatable."),
    ] = None
    vault_password_file: Annotated[
        list[Path] | None,
        option("--vault-password-file", panel=ANSIBLE, metavar="FILE", help="Vault password. Repeatable."),
    ] = None


@dataclass(kw_only=True)
class Place:
    """Where Ansible itself runs: on this machine, at a worker, or in a container."""

    engine: Annotated[
        str,
        option(
            "--engine",
            panel=WHERE,
            metavar="NAME",
            show_default=True,
            help="warm: fork each ansible-playbook from a process that has Ansible loaded; cold: start each anew; "
            "session: fork each before its phase begins. Or the name of another engine that is installed.",
        ),
    ] = "warm"
    worker: Annotated[
        str | None,
        option(
            "--worker",
            panel=WHERE,
            metavar="TARGET",
            help="Run Ansible on another machine, by `ansible-runner worker`: ssh://USER@HOST:PORT/VENV (the host is "
            "enough), or command:WORDS for any command that carries stdin and stdout.",
        ),
    ] = None
    execution_environment: Annotated[
        str | None,
        option(
            "--execution-environment",
            panel=WHERE,
            metavar="IMAGE",
            help="Run Ansible in a container of this image, which contains ansible-core and ansible-env.",
        ),
    ] = None
    container_engine: Annotated[
        ContainerEngineName | None,
        option("--container-engine", panel=WHERE, help="What runs the container. Default: the first one installed."),
    ] = None
    container_mount: Annotated[
        list[str] | None,
        option(
            "--container-mount",
            panel=WHERE,
            metavar="PATH:PATH[:ro]",
            help="Another path that the container sees. Repeatable.",
        ),
    ] = None


@dataclass(kw_only=True)
class Display(Common):
    """How results and progress are shown."""

    output: Annotated[
        Output, option("-o", "--output", panel=RESULTS, show_default=True, help="Form of the results on stdout.")
    ] = Output.TABLE
    quiet: Annotated[bool, option("-q", "--quiet", panel=RESULTS, help="Show nothing but errors on stderr.")] = False
    follow: Annotated[
        list[str] | None,
        option(
            "--follow",
            panel=RESULTS,
            metavar="HOST",
            help="Show the output of this host alone, or of those that match, as 'db*'. Repeatable. Default: on a "
            "terminal that of the only host (-v: of all), elsewhere of all.",
        ),
    ] = None
    junit: Annotated[
        Path | None,
        option("--junit", panel=RESULTS, metavar="FILE", help="Write the trials as JUnit XML, for CI."),
    ] = None
    prometheus: Annotated[
        Path | None,
        option(
            "--prometheus",
            panel=RESULTS,
            metavar="FILE.prom",
            help="Write the last trial for node_exporter's textfile collector. Needs ansible-env[prometheus].",
        ),
    ] = None
    progress: Annotated[
        ProgressForm,
        option(
            "--progress",
            panel=RESULTS,
            show_default=True,
            help="live: a line for each host, redrawn in place; plain: lines with the time; auto: live on a terminal.",
        ),
    ] = ProgressForm.AUTO


@dataclass(kw_only=True)
class Running(Display, Connection, Parameters, Place):
    """Options of a command that runs phases."""

    artifacts: Annotated[
        Path | None,
        option(
            "--artifacts",
            panel=RESULTS,
            metavar="DIR",
            help="Directory for results, playbooks and logs. Default: a new one in "
            "$ANSIBLE_ENV_ARTIFACTS or ~/.local/state/ansible-env.",
        ),
    ] = None
    store: Annotated[str | None, option("--store", panel=RESULTS, **_STORE)] = None
    no_store: Annotated[bool, option("--no-store", panel=RESULTS, help="Write nothing to the store.")] = False


@dataclass(kw_only=True)
class Judged(Running):
    """Options of a command that compares metrics with budgets."""

    asserted: Annotated[
        list[str] | None,
        option(
            "--assert",
            panel=RESULTS,
            metavar="BUDGET",
            help="'METRIC >= 0.95 * baseline', 'METRIC <= 12 ms': else the exit code is 3. Repeatable.",
        ),
    ] = None
    baseline: Annotated[
        str | None,
        option(
            "--baseline",
            panel=RESULTS,
            metavar="REF",
            help="A JSON file of metrics, a bundle, or trials of the store: EXPERIMENT, EXPERIMENT:name=value, ids.",
        ),
    ] = None
