"""The commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ansible_env.cli.attach import run_attach
from ansible_env.cli.compare import run_compare
from ansible_env.cli.context import guarded
from ansible_env.cli.doctor import run_doctor
from ansible_env.cli.exits import EPILOG
from ansible_env.cli.init import InitOptions, run_init
from ansible_env.cli.options import (
    AttachOptions,
    DoctorOptions,
    Judged,
    RenderOptions,
    Running,
    SweepOptions,
    TrialOptions,
    ValidateOptions,
)
from ansible_env.cli.output import stop_printing
from ansible_env.cli.preparing import run_session
from ansible_env.cli.prune import run_prune
from ansible_env.cli.query_options import (
    CompareOptions,
    ExportOptions,
    PruneOptions,
    ReplayOptions,
    ReportOptions,
    ResultsOptions,
)
from ansible_env.cli.replay import run_export, run_replay
from ansible_env.cli.report import reported
from ansible_env.cli.results import run_results
from ansible_env.cli.show import rendered, validated
from ansible_env.cli.signature import takes
from ansible_env.cli.sweep import run_sweep
from ansible_env.common import __version__
from ansible_env.config.model import json_schema
from ansible_env.storage.bundle.files import to_json

app = typer.Typer(
    name="ansible-env",
    help="Run benchmark environments on any host that Ansible can reach.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks show the values of variables, secrets among them
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print_data(f"ansible-env {__version__}\n")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def print_data(text: str) -> None:
    """Write to stdout, whose reader may have gone."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        stop_printing()


@app.command()
@takes(InitOptions)
def init(options: InitOptions) -> None:
    """Begin: write a commented environment file and an inventory, from a few questions or with --yes."""
    with guarded(options):
        print_data(run_init(options))


@app.command(epilog=EPILOG)
@takes(TrialOptions)
def trial(options: TrialOptions) -> None:
    """Run setup, run and teardown; teardown always, also after a failure or Ctrl-C.

    Progress goes to stderr: lines of a script's stdout after '|', of its stderr after '!'. Results go to stdout.
    """
    with guarded(options):
        raise typer.Exit(run_session(options, trials=options.trials))


@app.command(epilog=EPILOG)
@takes(SweepOptions)
def sweep(options: SweepOptions) -> None:
    """Run many trials at once, each on hosts of its own: every point of a grid, or one on every host.

    A host that is free takes the next trial; one whose host is lost is begun again on another.
    """
    with guarded(options):
        raise typer.Exit(run_sweep(options))


@app.command(epilog=EPILOG)
@takes(Running)
def setup(options: Running) -> None:
    """Run setup alone, and wait for the hosts to boot first where the file says so."""
    with guarded(options):
        raise typer.Exit(run_session(options, ("setup",)))


@app.command(epilog=EPILOG)
@takes(Judged)
def run(options: Judged) -> None:
    """Run the benchmark alone, on hosts that are set up."""
    with guarded(options):
        raise typer.Exit(run_session(options, ("run",)))


@app.command(epilog=EPILOG)
@takes(Running)
def teardown(options: Running) -> None:
    """Run teardown alone."""
    with guarded(options):
        raise typer.Exit(run_session(options, ("teardown",)))


@app.command(epilog=EPILOG)
@takes(AttachOptions)
def attach(options: AttachOptions) -> None:
    """Take up a trial whose controller was killed: follow what still runs, and finish it with its true result."""
    with guarded(options):
        raise typer.Exit(run_attach(options))


@app.command()
@takes(ReportOptions)
def report(options: ReportOptions) -> None:
    """Make a report of an experiment: a page to look at, JUnit XML for CI, or Markdown for a pull request."""
    with guarded(options):
        print_data(reported(options))


@app.command()
@takes(ResultsOptions)
def results(options: ResultsOptions) -> None:
    """List trials out of the store: filtered, sorted, the best first; as a table, or as data for other programs."""
    with guarded(options):
        run_results(options)


@app.command()
@takes(CompareOptions)
def compare(options: CompareOptions) -> None:
    """Say whether trials A differ from trials B, or whether that is noise: medians, intervals, significance tests."""
    with guarded(options):
        run_compare(options)


@app.command(epilog=EPILOG)
@takes(ReplayOptions)
def replay(options: ReplayOptions) -> None:
    """Read the metrics of a trial out of its logs again, with another pattern or rules; no host is touched."""
    with guarded(options):
        raise typer.Exit(run_replay(options))


@app.command()
@takes(ExportOptions)
def export(options: ExportOptions) -> None:
    """Make one file of a bundle, to send to somebody; `replay` reads it, too."""
    with guarded(options):
        print_data(f"{run_export(options)}\n")


@app.command()
@takes(PruneOptions)
def prune(options: PruneOptions) -> None:
    """Remove old trials: their bundles, and what the store knows of them. One that is running is never removed."""
    with guarded(options):
        print_data(run_prune(options))


@app.command()
@takes(RenderOptions)
def render(options: RenderOptions) -> None:
    """Print the playbook of a phase, which runs by hand: ansible-playbook -i INVENTORY file.yml."""
    with guarded(options):
        print_data(rendered(options))


@app.command()
@takes(ValidateOptions)
def validate(options: ValidateOptions) -> None:
    """Check an environment file, its parameters, and with -i the inventory; touch no host."""
    with guarded(options):
        print_data("".join(f"{line}\n" for line in list(validated(options))))


@app.command()
def schema() -> None:
    """Print the JSON Schema of environment files, for editors."""
    print_data(to_json(json_schema(), indent=2) + "\n")


@app.command(epilog="Exit codes: 0 nothing is wrong; 4 only that hosts cannot be reached; 1 something else.")
@takes(DoctorOptions)
def doctor(options: DoctorOptions) -> None:
    """Find out what is wrong: this machine, the inventory, and each host."""
    with guarded(options):
        raise typer.Exit(run_doctor(options))
