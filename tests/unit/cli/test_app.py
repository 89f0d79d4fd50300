"""The table of commands, and what the command imports before it does anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_runner.utils import get_callback_dir
from typer.testing import CliRunner

from ansible_env.cli.app import COMMANDS, app, load
from ansible_env.engine.environ import callback_dir

ENVIRONMENT = Path(__file__).parents[3] / "examples" / "sqlite" / "environment.yml"
SLOW = ["ansible", "ansible_runner", "opentelemetry", "pyarrow", "sqlalchemy"]
"""Packages that take a tenth of a second or more to load."""


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_shows_the_first_paragraph_of_the_help_of_each(name):
    text = load(name).help.replace("\\[", "[").split("\n\n")[0]
    assert " ".join(text.split()) == COMMANDS[name]


def test_a_similar_command_is_suggested():
    result = CliRunner().invoke(app, ["validat"])
    assert (result.exit_code, "'validate'" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "not_loaded"),
    [
        (["--version"], [*SLOW, "pydantic", "yaml", "rich.table", "rich.live", "ansible_env.config"]),
        (["--help"], [*SLOW, "pydantic", "yaml", "rich.live", "ansible_env.config", "ansible_env.cli.trial"]),
        (["validate", str(ENVIRONMENT)], [*SLOW, "rich.table", "rich.live", "ansible_env.engine.cold"]),
    ],
    ids=lambda value: value[0],
)
def test_a_command_loads_only_what_it_uses(arguments, not_loaded):
    assert loaded(arguments, not_loaded) == []


def test_the_package_alone_loads_nothing_that_is_installed():
    code = f"import sys; sys.path = {sys.path!r}; import ansible_env; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    packages = {name.partition(".")[0] for name in done.stdout.split()}
    assert packages - sys.stdlib_module_names == {"__main__", "ansible_env"}


def loaded(arguments, names):
    """Call the command in a process of its own; return those of the modules that it has loaded."""
    code = (
        "import contextlib, sys\n"
        "from ansible_env.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main()\n"
        f"print('loaded:', [name for name in {names!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert done.stderr.startswith("loaded: "), done.stderr
    return eval(done.stderr.removeprefix("loaded: "))


def test_the_directory_of_ansible_runners_callback_is_known_without_importing_it():
    assert callback_dir() == get_callback_dir()
