"""The options of the commands: each group of them is a dataclass, and a command says which one it takes."""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from ansible_env.cli.output import Output
from ansible_env.cli.progress import ProgressForm

_PARAMETERS, _HOSTS, _ANSIBLE, _RESULTS = "Parameters", "Hosts", "How Ansible connects", "Results"
T = TypeVar("T", bound="Common")


def _option(*names: str, panel: str | None = None, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, show_default=False, **more)


@dataclass(kw_only=True)
class Common:
    """What every command takes."""

    debug: Annotated[bool, _option("--debug", help="Show the traceback of an error.")] = False
    verbose: Annotated[
        int, _option("-v", "--verbose", count=True, help="Say more; twice: also what Ansible says, and so on.")
    ] = 0


@dataclass(kw_only=True)
class Parameters(Common):
    """An environment and its parameters."""

    environment: Annotated[
        Path, typer.Argument(metavar="ENV.yml", help="The environment file: YAML, JSON or JSONC.", show_default=False)
    ]
    params: Annotated[
        list[str] | None,
        _option(
            "-p",
            "--param",
            panel=_PARAMETERS,
            metavar="NAME=VALUE",
            help="Value of a tunable or parameter. Repeatable.",
        ),
    ] = None
    params_file: Annotated[
        list[Path] | None,
        _option("--params-file", panel=_PARAMETERS, metavar="FILE", help="Many of them: YAML or JSON. -p wins."),
    ] = None


@dataclass(kw_only=True)
class Hosts(Common):
    """Where to run."""

    inventory: Annotated[
        list[str] | None,
        _option(
            "-i",
            "--inventory",
            panel=_HOSTS,
            metavar="INVENTORY",
            help="File, directory, script or plugin configuration, or 'host1,host2'. Repeatable. "
            "Without it: this machine.",
        ),
    ] = None
    limit: Annotated[
        str | None, _option("-l", "--limit", panel=_HOSTS, metavar="PATTERN", help="Only these of the hosts.")
    ] = None


@dataclass(kw_only=True)
class Connection(Hosts):
    """How Ansible is to be called; each option is ansible-playbook's own."""

    extra_vars: Annotated[
        list[str] | None,
        _option("-e", "--extra-vars", panel=_ANSIBLE, metavar="VARS", help="name=value, JSON, or @FILE. Repeatable."),
    ] = None
    forks: Annotated[
        int | None, _option("-f", "--forks", panel=_ANSIBLE, metavar="N", min=1, help="Hosts worked on at once.")
    ] = None
    become: Annotated[bool, _option("-b", "--become", panel=_ANSIBLE, help="Become another user on the hosts.")] = False
    become_user: Annotated[
        str | None, _option("--become-user", panel=_ANSIBLE, metavar="USER", help="Whom to become; default root.")
    ] = None
    become_password_file: Annotated[
        Path | None,
        _option("--become-password-file", panel=_ANSIBLE, metavar="FILE", help="Password for that; or a program."),
    ] = None
    user: Annotated[
        str | None, _option("-u", "--user", panel=_ANSIBLE, metavar="USER", help="Log in as this user.")
    ] = None
    private_key: Annotated[
        Path | None, _option("--private-key", panel=_ANSIBLE, metavar="FILE", help="Log in with this key.")
    ] = None
    connection: Annotated[
        str | None, _option("-c", "--connection", panel=_ANSIBLE, metavar="TYPE", help="Connection plugin.")
    ] = None
    connection_password_file: Annotated[
        Path | None,
        _option("--connection-password-file", panel=_ANSIBLE, metavar="FILE", help="Password to log in; or a program."),
    ] = None
    ssh_common_args: Annotated[
        str | None, _option("--ssh-common-args", panel=_ANSIBLE, metavar="ARGS", help="More arguments for ssh.")
    ] = None
    vault_id: Annotated[
        list[str] | None,
        _option("--vault-id", panel=_ANSIBLE, metavar="[LABEL@]FILE", help="Vault password. Repeatable."),
    ] = None
    vault_password_file: Annotated[
        list[Path] | None,
        _option("--vault-password-file", panel=_ANSIBLE, metavar="FILE", help="Vault password. Repeatable."),
    ] = None


@dataclass(kw_only=True)
class Telling(Common):
    """How results and progress are shown."""

    output: Annotated[
        Output, typer.Option("-o", "--output", rich_help_panel=_RESULTS, help="Form of the results on stdout.")
    ] = Output.TABLE
    quiet: Annotated[bool, _option("-q", "--quiet", panel=_RESULTS, help="Nothing but errors on stderr.")] = False
    follow: Annotated[
        list[str] | None,
        _option(
            "--follow",
            panel=_RESULTS,
            metavar="HOST",
            help="Show the output of this host alone, or of those that match, as 'db*'. Repeatable. Default: on a "
            "terminal that of the only host (-v: of all), elsewhere of all.",
        ),
    ] = None
    junit: Annotated[
        Path | None,
        _option("--junit", panel=_RESULTS, metavar="FILE", help="Write the trials as JUnit XML, for CI."),
    ] = None
    prometheus: Annotated[
        Path | None,
        _option(
            "--prometheus",
            panel=_RESULTS,
            metavar="FILE.prom",
            help="Write the last trial for node_exporter's textfile collector. Needs ansible-env[prometheus].",
        ),
    ] = None
    progress: Annotated[
        ProgressForm,
        typer.Option(
            "--progress",
            rich_help_panel=_RESULTS,
            help="live: a line for each host, drawn anew; plain: lines with the time; auto: live on a terminal.",
        ),
    ] = ProgressForm.AUTO


class EngineName(enum.StrEnum):
    """How Ansible is started."""

    WARM = "warm"
    COLD = "cold"


@dataclass(kw_only=True)
class Running(Telling, Connection, Parameters):
    """Everything for a command that runs phases."""

    artifacts: Annotated[
        Path | None,
        _option(
            "--artifacts",
            panel=_RESULTS,
            metavar="DIR",
            help="Directory for results, playbooks and logs. Default: a new one in "
            "$ANSIBLE_ENV_ARTIFACTS or ~/.local/state/ansible-env.",
        ),
    ] = None
    store: Annotated[
        str | None,
        _option(
            "--store",
            panel=_RESULTS,
            metavar="URL",
            help="Database of results: a file, or a URL of SQLAlchemy. Default: $ANSIBLE_ENV_STORE, or store.sqlite "
            "beside the artifacts' default place.",
        ),
    ] = None
    no_store: Annotated[bool, _option("--no-store", panel=_RESULTS, help="Keep nothing in the store.")] = False
    engine: Annotated[
        EngineName,
        typer.Option(
            "--engine",
            rich_help_panel=_ANSIBLE,
            help="warm: fork each ansible-playbook from a process that has Ansible loaded; cold: start it anew.",
        ),
    ] = EngineName.WARM
    worker: Annotated[
        str | None,
        _option(
            "--worker",
            panel=_ANSIBLE,
            metavar="TARGET",
            help="Run Ansible elsewhere, by `ansible-runner worker`: ssh://USER@HOST:PORT/VENV, of which the host is "
            "enough, or command:WORDS for any command that carries stdin and stdout.",
        ),
    ] = None


@dataclass(kw_only=True)
class Judged(Running):
    """Those of commands whose metrics are held against budgets."""

    asserted: Annotated[
        list[str] | None,
        _option(
            "--assert",
            panel=_RESULTS,
            metavar="BUDGET",
            help="'METRIC >= 0.95 * baseline', 'METRIC <= 12 ms': else the exit code is 3. Repeatable.",
        ),
    ] = None
    baseline: Annotated[
        str | None,
        _option(
            "--baseline",
            panel=_RESULTS,
            metavar="REF",
            help="A JSON file of metrics, a bundle, or trials of the store: EXPERIMENT, EXPERIMENT:name=value, ids.",
        ),
    ] = None


@dataclass(kw_only=True)
class TrialOptions(Judged):
    """Those of `trial`."""

    trials: Annotated[
        int, typer.Option("--trials", metavar="N", min=1, rich_help_panel=_PARAMETERS, help="How many trials to run.")
    ] = 1


@dataclass(kw_only=True)
class SweepOptions(Running):
    """Those of `sweep`."""

    grid: Annotated[
        list[str] | None,
        _option(
            "--grid",
            panel=_PARAMETERS,
            metavar="NAME=V1,V2",
            help="Values of a parameter. Repeatable: every combination is a configuration.",
        ),
    ] = None
    repeat: Annotated[
        int,
        typer.Option("--repeat", metavar="N", min=1, rich_help_panel=_PARAMETERS, help="How often each is run."),
    ] = 1
    seed: Annotated[
        int | None,
        _option("--seed", panel=_PARAMETERS, metavar="N", help="Of the order. Default: another one each time."),
    ] = None
    calibrate: Annotated[
        bool,
        _option("--calibrate", panel=_PARAMETERS, help="Run one configuration on every host, and compare the hosts."),
    ] = False
    hosts_per_trial: Annotated[
        int,
        typer.Option("--hosts-per-trial", metavar="N", min=1, rich_help_panel=_HOSTS, help="Hosts that a trial needs."),
    ] = 1


@dataclass(kw_only=True)
class AttachOptions(Telling):
    """Those of `attach`."""

    trial: Annotated[
        str | None,
        typer.Argument(
            metavar="[TRIAL]",
            help="Directory of the trial, or its name. Default: the last one that is unfinished.",
            show_default=False,
        ),
    ] = None


class ReportForm(enum.StrEnum):
    """Forms of a report."""

    HTML = "html"
    JUNIT = "junit"
    MARKDOWN = "markdown"


@dataclass(kw_only=True)
class ReportOptions(Common):
    """Those of `report`."""

    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Its name in the store.", show_default=False)]
    file: Annotated[
        Path | None,
        _option("-o", "--output", metavar="FILE", help="Where to write it; without it, to stdout."),
    ] = None
    form: Annotated[
        ReportForm | None,
        _option("--format", help="By default that of FILE's name: .html, .xml (JUnit) or .md; else html."),
    ] = None
    best: Annotated[
        str | None,
        _option("--best", metavar="METRIC:max|min", help="What is to be reached. Default: score:max, where it is."),
    ] = None
    store: Annotated[
        str | None, _option("--store", metavar="URL", help="Database of results. Default: $ANSIBLE_ENV_STORE.")
    ] = None


@dataclass(kw_only=True)
class RenderOptions(Parameters):
    """Those of `render`."""

    phase: Annotated[
        str | None,
        _option("--phase", metavar="PHASE", help="setup, run or teardown. Default: all, one after the other."),
    ] = None


@dataclass(kw_only=True)
class ValidateOptions(Hosts, Parameters):
    """Those of `validate`."""


@dataclass(kw_only=True)
class DoctorOptions(Connection):
    """Those of `doctor`."""

    environment: Annotated[
        Path | None,
        typer.Argument(metavar="[ENV.yml]", help="Check its hosts, shell and become.", show_default=False),
    ] = None


_COMMON = ("verbose", "debug")
_ARGUMENTS = ("environment", "trial", "experiment", "first", "second", "bundle")


def _place(field: Field[Any]) -> int:
    """Arguments first, and last what every command has."""
    if field.name in _ARGUMENTS:
        return 0
    return 2 + _COMMON.index(field.name) if field.name in _COMMON else 1


def takes(model: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Give a function, which takes a dataclass of options, the signature that typer reads."""

    def decorate(function: Callable[[T], None]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(**given: Any) -> None:
            function(model(**given))

        hints = get_type_hints(model, include_extras=True)
        parameters = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
                annotation=hints[field.name],
            )
            for field in sorted(fields(model), key=_place)
        ]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        del command.__wrapped__
        return command

    return decorate
