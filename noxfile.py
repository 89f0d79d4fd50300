"""The tests on every supported pair of Python and ansible-core: `make test-all`, or `nox -s 'tests(3.12, 2.21)'`.

A Python that is not installed is skipped, unless `nox --error-on-missing-interpreters` is given. `nox -s smoke` runs
the tests marked `smoke` on the newest supported ansible-core; `make test` includes it.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import subprocess
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["tests"]

# https://docs.ansible.com/ansible/latest/reference_appendices/release_and_maintenance.html
PAIRS = [
    ("3.11", "2.18"),
    ("3.11", "2.19"),
    ("3.12", "2.20"),
    ("3.12", "2.21"),
    ("3.13", "2.21"),
]
WITH_MOLECULE = ("3.12", "2.21")
NEWEST = max((ansible for _, ansible in PAIRS), key=lambda version: [int(part) for part in version.split(".")])


def _add_pyenv() -> None:
    """Put pyenv's interpreters on the PATH: its shims run only the versions that are activated."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    paths = sorted(str(path) for path in root.glob("versions/3.1[1-9].*/bin"))
    os.environ["PATH"] = os.pathsep.join([*paths, os.environ.get("PATH", "")])


_add_pyenv()


@nox.session
@nox.parametrize("python,ansible", PAIRS, ids=[f"{python}, {ansible}" for python, ansible in PAIRS])
def tests(session: nox.Session, ansible: str) -> None:
    """All tests; arguments after `--` go to pytest."""
    with_molecule = (str(session.python), ansible) == WITH_MOLECULE
    _install(session, "dev" if with_molecule else "test", ansible)
    skipped = [] if with_molecule else ["--ignore=tests/integration/test_molecule.py"]
    session.run("pytest", "-n", "2", *skipped, *session.posargs)
    if not session.posargs:
        session.run("pytest", "-n", "2", "-m", "long")


def _tested_on_newest() -> bool:
    """Return whether the environment that nox is in, where `make test` ran all tests, has the newest ansible-core."""
    try:
        return importlib.metadata.version("ansible-core").startswith(f"{NEWEST}.")
    except importlib.metadata.PackageNotFoundError:  # nox is installed somewhere else
        return False


def _smoke_python() -> str | None:
    """Return the newest Python here that the newest ansible-core supports."""
    for python in reversed([python for python, ansible in PAIRS if ansible == NEWEST]):
        with contextlib.suppress(OSError):
            if subprocess.run([f"python{python}", "-c", "import ensurepip, venv"], capture_output=True).returncode == 0:
                return python
    return None


@nox.session(python=not _tested_on_newest() and (_smoke_python() or False), reuse_venv=True)
def smoke(session: nox.Session) -> None:
    """The tests marked `smoke` on the newest ansible-core, unless `make test` has just run all tests on it."""
    if _tested_on_newest():
        session.log(f"nothing to do: all tests of this virtual environment run on ansible-core {NEWEST}")
        return
    if not session.python:
        pythons = " or ".join(python for python, ansible in PAIRS if ansible == NEWEST)
        session.warn(f"NOT TESTED on ansible-core {NEWEST}, the newest: there is no Python {pythons} here")
        return
    project = Path("pyproject.toml").read_text(encoding="utf-8")
    installed = Path(session.virtualenv.location, "installed-for")
    if not installed.exists() or installed.read_text(encoding="utf-8") != project:
        session.log(f"installing what the tests need with ansible-core {NEWEST} (a minute, once)")
        _install(session, "test", NEWEST)
        installed.write_text(project, encoding="utf-8")
    session.run("pytest", "-n", "2", "--dist", "worksteal", "-m", "smoke", *session.posargs)


def _install(session: nox.Session, extra: str, ansible: str) -> None:
    session.install("--quiet", "--quiet", "--editable", f".[{extra}]", f"ansible-core=={ansible}.*")
    session.run("ansible", "--version", silent=True)
