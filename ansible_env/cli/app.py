"""The commands of `ansible-env`, each in a module of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from ansible_env.cli.attach import run_attach
from ansible_env.cli.compare import compare
from ansible_env.cli.doctor import doctor
from ansible_env.cli.exits import EPILOG, Exit, guarded
from ansible_env.cli.init import init
from ansible_env.cli.options import AttachOptions, Judged, Running, SweepOptions, TrialOptions, signature
from ansible_env.cli.preparing import run_session
from ansible_env.cli.prune import prune
from ansible_env.cli.replay import export, replay
from ansible_env.cli.report import report
from ansible_env.cli.results import results
from ansible_env.cli.show import render, schema, validate
from ansible_env.cli.sweep import run_sweep
from ansible_env.cli.tabular import write
from ansible_env.common import __version__

app = typer.Typer(
    name="ansible-env",
    help="Run benchmark environments on any host that Ansible can reach.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks show the values of variables, secrets among them
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        write(f"ansible-env {__version__}\n")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def trial(options: TrialOptions) -> Exit:
    """Run setup, run and teardown; teardown always, also after a failure or Ctrl-C.

    Progress goes to stderr: lines of a script's stdout after '|', of its stderr after '!'. Results go to stdout.
    """
    return run_session(options, trials=options.trials)


def sweep(options: SweepOptions) -> Exit:
    """Run many trials in parallel, each on its own hosts: every point of a grid, or one configuration on every host.

    An idle host gets the next trial. A trial whose host is lost runs again on another host.
    """
    return run_sweep(options)


def setup(options: Running) -> Exit:
    """Run setup alone; first wait for the hosts to boot, if the environment file says so."""
    return run_session(options, ("setup",))


def run(options: Judged) -> Exit:
    """Run the benchmark alone, on hosts that are set up."""
    return run_session(options, ("run",))


def teardown(options: Running) -> Exit:
    """Run teardown alone."""
    return run_session(options, ("teardown",))


def attach(options: AttachOptions) -> Exit:
    """Resume a trial whose controller was killed: follow what still runs, and finish the trial with its true result."""
    return run_attach(options)


def add(function: Callable[[Any], Exit | str | None], epilog: str | None = None) -> None:
    """Make a function a command. Its docstring is the help; it may return an exit code or text for stdout."""
    model = get_type_hints(function)["options"]

    def command(**given: Any) -> None:
        options = model(**given)
        with guarded(options):
            result = function(options)
            if isinstance(result, Exit):
                raise typer.Exit(result)
            write(result or "")

    command.__signature__ = signature(model)  # type: ignore[attr-defined]
    command.__annotations__ = {name: p.annotation for name, p in inspect.signature(command).parameters.items()}
    text = (inspect.getdoc(function) or "").partition("\nRaises:")[0]
    app.command(function.__name__, help=text, epilog=epilog)(command)


add(init)
for _function in (trial, sweep, setup, run, teardown, attach):
    add(_function, EPILOG)
add(report)
add(results)
add(compare)
add(replay, EPILOG)
add(export)
add(prune)
add(render)
add(validate)
app.command()(schema)
add(doctor, "Exit codes: 0 nothing is wrong; 4 some hosts cannot be reached, all else is right; 1 something else.")
