"""The commands of `ansible-env`, each in its own module, which is imported when the command is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, get_type_hints

import typer
from rich.markup import escape
from typer.core import TyperGroup
from typer.main import get_command

from ansible_env.cli.console import write
from ansible_env.cli.exits import EPILOG, Exit, guarded
from ansible_env.cli.options import signature
from ansible_env.cli.streams import loaded
from ansible_env.common import __version__

COMMANDS = {
    "init": "Write a commented environment file and an inventory to begin with, from a few questions or with --yes.",
    "trial": "Run setup, run and teardown. Teardown always runs, also after a failure or Ctrl-C.",
    "sweep": "Run many trials in parallel, each on its own hosts: every point of a grid, or one configuration on "
    "every host.",
    "setup": "Run setup alone; first wait for the hosts to boot, if the environment file says so.",
    "run": "Run the benchmark alone, on hosts that are set up.",
    "teardown": "Run teardown alone.",
    "attach": "Resume a trial whose controller was killed: follow the running script, and finish the trial with "
    "its result.",
    "report": "Make a report of an experiment: an HTML page, JUnit XML for CI, or Markdown for a pull request.",
    "results": "List trials from the store, filtered and sorted, as a table or as data for other programs.",
    "compare": "Decide whether trials A differ from trials B or whether the difference is noise, with significance "
    "tests.",
    "replay": "Read the metrics of a trial from its logs again, with another pattern or other rules. No host is "
    "touched.",
    "export": "Write a bundle to one file, to send it to another person. `replay` reads that file as well.",
    "prune": "Remove old trials: their bundles and their rows in the store. A running trial is never removed.",
    "render": "Print the playbook of a phase. To run it by hand: ansible-playbook -i INVENTORY file.yml.",
    "validate": "Check an environment file, its parameters, and with -i the inventory. No host is touched.",
    "schema": "Print the JSON Schema of environment files, for editors.",
    "doctor": "Find out what is wrong: on this machine, in the inventory, and on each host.",
}
"""The names of the commands, and the first paragraph of the help of each."""
_MODULES = {
    "setup": "trial",
    "run": "trial",
    "teardown": "trial",
    "replay": "bundles",
    "export": "bundles",
    "render": "show",
    "schema": "show",
}
"""The modules that do not have the name of their command."""
_EPILOGS = {
    "doctor": "Exit codes: 0 no problem; 4 some hosts cannot be reached, and there is no other problem; "
    "1 another problem."
}


class _Commands(TyperGroup):
    """Imports the command that is called, and no other: `--help` and completion show the text of COMMANDS."""

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> tuple[str | None, Any, list[str]]:  # type: ignore[override]
        """Return the command that the arguments call, with its options, and its arguments."""
        name, found, rest = super().resolve_command(ctx, args)
        command = name and found and load(name)
        loaded()
        return name, command, rest


app = typer.Typer(
    name="ansible-env",
    cls=_Commands,
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


def load(name: str) -> Any:
    """Import a command, which takes the model of its options and returns an exit code or text for stdout.

    The docstring of its function is the help.
    """
    function: Callable[[Any], Exit | str] = getattr(import_module(f"ansible_env.cli.{_MODULES.get(name, name)}"), name)
    hints = get_type_hints(function)
    model = hints["options"]

    def command(**given: Any) -> None:
        options = model(**given)
        with guarded(options):
            result = function(options)
            if isinstance(result, Exit):
                raise typer.Exit(result)
            write(result)

    command.__signature__ = signature(model)  # type: ignore[attr-defined]
    command.__annotations__ = {name: p.annotation for name, p in signature(model).parameters.items()}
    alone = typer.Typer(add_completion=False)
    epilog = _EPILOGS.get(name, EPILOG if hints["return"] is Exit else None)
    alone.command(name, help=escape(inspect.getdoc(function) or ""), epilog=epilog)(command)
    return get_command(alone)


for _name, _text in COMMANDS.items():
    app.command(_name, help=_text)(lambda: None)
