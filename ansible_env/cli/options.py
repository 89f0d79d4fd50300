"""The options of the commands: each group of them is a dataclass, and a command says which one it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ansible_env.cli.output import Output
from ansible_env.cli.places import Place
from ansible_env.cli.progress import ProgressForm
from ansible_env.cli.signature import option

_PARAMETERS, _HOSTS, _ANSIBLE, _RESULTS = "Parameters", "Hosts", "How Ansible connects", "Results"


@dataclass(kw_only=True)
class Common:
    """What every command takes."""

    debug: Annotated[bool, option("--debug", help="Show the traceback of an error.")] = False
    verbose: Annotated[
        int, option("-v", "--verbose", count=True, help="Say more; twice: also what Ansible says, and so on.")
    ] = 0


@dataclass(kw_only=True)
class Parameters(Common):
    """An environment and its parameters."""

    environment: Annotated[
        Path, typer.Argument(metavar="ENV.yml", help="The environment file: YAML, JSON or JSONC.", show_default=False)
    ]
    params: Annotated[
        list[str] | None,
        option(
            "-p",
            "--param",
            panel=_PARAMETERS,
            metavar="NAME=VALUE",
            help="Value of a tunable or parameter. Repeatable.",
        ),
    ] = None
    params_file: Annotated[
        list[Path] | None,
        option("--params-file", panel=_PARAMETERS, metavar="FILE", help="Many of them: YAML or JSON. -p wins."),
    ] = None


@dataclass(kw_only=True)
class Hosts(Common):
    """Where to run."""

    inventory: Annotated[
        list[str] | None,
        option(
            "-i",
            "--inventory",
            panel=_HOSTS,
            metavar="INVENTORY",
            help="File, directory, script or plugin configuration, or 'host1,host2'. Repeatable. "
            "Without it: this machine.",
        ),
    ] = None
    limit: Annotated[
        str | None, option("-l", "--limit", panel=_HOSTS, metavar="PATTERN", help="Only these of the hosts.")
    ] = None


@dataclass(kw_only=True)
class Connection(Hosts):
    """How Ansible is to be called; each option is ansible-playbook's own."""

    extra_vars: Annotated[
        list[str] | None,
        option("-e", "--extra-vars", panel=_ANSIBLE, metavar="VARS", help="name=value, JSON, or @FILE. Repeatable."),
    ] = None
    forks: Annotated[
        int | None, option("-f", "--forks", panel=_ANSIBLE, metavar="N", min=1, help="Hosts worked on at once.")
    ] = None
    become: Annotated[bool, option("-b", "--become", panel=_ANSIBLE, help="Become another user on the hosts.")] = False
    become_user: Annotated[
        str | None, option("--become-user", panel=_ANSIBLE, metavar="USER", help="Whom to become; default root.")
    ] = None
    become_password_file: Annotated[
        Path | None,
        option("--become-password-file", panel=_ANSIBLE, metavar="FILE", help="Password for that; or a program."),
    ] = None
    user: Annotated[str | None, option("-u", "--user", panel=_ANSIBLE, metavar="USER", help="Log in as this user.")] = (
        None
    )
    private_key: Annotated[
        Path | None, option("--private-key", panel=_ANSIBLE, metavar="FILE", help="Log in with this key.")
    ] = None
    connection: Annotated[
        str | None, option("-c", "--connection", panel=_ANSIBLE, metavar="TYPE", help="Connection plugin.")
    ] = None
    connection_password_file: Annotated[
        Path | None,
        option("--connection-password-file", panel=_ANSIBLE, metavar="FILE", help="Password to log in; or a program."),
    ] = None
    ssh_common_args: Annotated[
        str | None, option("--ssh-common-args", panel=_ANSIBLE, metavar="ARGS", help="More arguments for ssh.")
    ] = None
    vault_id: Annotated[
        list[str] | None,
        option("--vault-id", panel=_ANSIBLE, metavar="[LABEL@]FILE", help="Vault password. Repeatable."),
    ] = None
    vault_password_file: Annotated[
        list[Path] | None,
        option("--vault-password-file", panel=_ANSIBLE, metavar="FILE", help="Vault password. Repeatable."),
    ] = None


@dataclass(kw_only=True)
class Telling(Common):
    """How results and progress are shown."""

    output: Annotated[
        Output, typer.Option("-o", "--output", rich_help_panel=_RESULTS, help="Form of the results on stdout.")
    ] = Output.TABLE
    quiet: Annotated[bool, option("-q", "--quiet", panel=_RESULTS, help="Nothing but errors on stderr.")] = False
    follow: Annotated[
        list[str] | None,
        option(
            "--follow",
            panel=_RESULTS,
            metavar="HOST",
            help="Show the output of this host alone, or of those that match, as 'db*'. Repeatable. Default: on a "
            "terminal that of the only host (-v: of all), elsewhere of all.",
        ),
    ] = None
    junit: Annotated[
        Path | None,
        option("--junit", panel=_RESULTS, metavar="FILE", help="Write the trials as JUnit XML, for CI."),
    ] = None
    prometheus: Annotated[
        Path | None,
        option(
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


@dataclass(kw_only=True)
class Running(Telling, Connection, Parameters, Place):
    """Everything for a command that runs phases."""

    artifacts: Annotated[
        Path | None,
        option(
            "--artifacts",
            panel=_RESULTS,
            metavar="DIR",
            help="Directory for results, playbooks and logs. Default: a new one in "
            "$ANSIBLE_ENV_ARTIFACTS or ~/.local/state/ansible-env.",
        ),
    ] = None
    store: Annotated[
        str | None,
        option(
            "--store",
            panel=_RESULTS,
            metavar="URL",
            help="Database of results: a file, or a URL of SQLAlchemy. Default: $ANSIBLE_ENV_STORE, or store.sqlite "
            "beside the artifacts' default place.",
        ),
    ] = None
    no_store: Annotated[bool, option("--no-store", panel=_RESULTS, help="Keep nothing in the store.")] = False


@dataclass(kw_only=True)
class Judged(Running):
    """Those of commands whose metrics are held against budgets."""

    asserted: Annotated[
        list[str] | None,
        option(
            "--assert",
            panel=_RESULTS,
            metavar="BUDGET",
            help="'METRIC >= 0.95 * baseline', 'METRIC <= 12 ms': else the exit code is 3. Repeatable.",
        ),
    ] = None
    baseline: Annotated[
        str | None,
        option(
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
class SweepOptions(Judged):
    """Those of `sweep`."""

    grid: Annotated[
        list[str] | None,
        option(
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
        option("--seed", panel=_PARAMETERS, metavar="N", help="Of the order. Default: another one each time."),
    ] = None
    calibrate: Annotated[
        bool,
        option("--calibrate", panel=_PARAMETERS, help="Run one configuration on every host, and compare the hosts."),
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


@dataclass(kw_only=True)
class RenderOptions(Parameters):
    """Those of `render`."""

    phase: Annotated[
        str | None,
        option("--phase", metavar="PHASE", help="setup, run or teardown. Default: all, one after the other."),
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
