"""The commands of `ansible-env`, each in its own module."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer
from rich.markup import escape

from ansible_env.cli.attach import attach
from ansible_env.cli.bundles import export, replay
from ansible_env.cli.compare import compare
from ansible_env.cli.doctor import doctor
from ansible_env.cli.exits import EPILOG, Exit, guarded
from ansible_env.cli.init import init
from ansible_env.cli.options import signature
from ansible_env.cli.prune import prune
from ansible_env.cli.report import report
from ansible_env.cli.results import results
from ansible_env.cli.show import render, schema, validate
from ansible_env.cli.sweep import sweep
from ansible_env.cli.tabular import write
from ansible_env.cli.trial import run, setup, teardown, trial
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


def add(function: Callable[[Any], Exit | str | None], epilog: str | None = None) -> None:
    """Make a function a command, which returns an exit code or text for stdout. Its docstring is the help."""
    model = get_type_hints(function)["options"]

    def command(**given: Any) -> None:
        options = model(**given)
        with guarded(options):
            result = function(options)
            if isinstance(result, Exit):
                raise typer.Exit(result)
            write(result or "")

    command.__signature__ = signature(model)  # type: ignore[attr-defined]
    command.__annotations__ = {name: p.annotation for name, p in signature(model).parameters.items()}
    app.command(function.__name__, help=escape(inspect.getdoc(function) or ""), epilog=epilog)(command)


_COMMANDS: tuple[Callable[[Any], Exit | str], ...] = (
    *(init, trial, sweep, setup, run, teardown, attach, report, results, compare, replay, export, prune),
    *(render, validate),
)
for _function in _COMMANDS:
    add(_function, EPILOG if get_type_hints(_function)["return"] is Exit else None)
app.command()(schema)
add(
    doctor,
    "Exit codes: 0 no problem; 4 some hosts cannot be reached, and there is no other problem; 1 another problem.",
)
