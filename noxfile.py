"""The tests on every supported pair of Python and ansible-core: `make test-all`, or `nox -s 'tests(3.12, 2.21)'`.

A Python that is not installed is skipped, unless `nox --error-on-missing-interpreters` is asked for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False

# https://docs.ansible.com/ansible/latest/reference_appendices/release_and_maintenance.html
PAIRS = [
    ("3.11", "2.18"),
    ("3.11", "2.19"),
    ("3.12", "2.20"),
    ("3.12", "2.21"),
    ("3.13", "2.21"),
]
WITH_MOLECULE = ("3.12", "2.21")


def _add_pyenv() -> None:
    """Let nox find the interpreters of pyenv, whose shims answer only for the versions that are activated."""
    if shutil.which("pyenv") is None:
        return
    done = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        found = sorted(str(path) for path in Path(done.stdout.strip(), "versions").glob("3.1[1-9].*/bin"))
        os.environ["PATH"] = os.pathsep.join([*found, os.environ.get("PATH", "")])


_add_pyenv()


@nox.session
@nox.parametrize("python,ansible", PAIRS, ids=[f"{python}, {ansible}" for python, ansible in PAIRS])
def tests(session: nox.Session, ansible: str) -> None:
    """All tests; arguments after `--` go to pytest."""
    pair = (str(session.python), ansible)
    session.install("--quiet", "--quiet", "--editable", ".[dev]", f"ansible-core=={ansible}.*")
    session.run("ansible", "--version", silent=True)
    skipped = [] if pair == WITH_MOLECULE else ["--ignore=tests/integration/test_molecule.py"]
    session.run("pytest", "-n", "2", *skipped, *session.posargs)
