"""The Molecule scenarios, as `molecule test` runs them from the root of the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts import MissingProgram

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ["failure"]
"""The others are run by `make molecule`: each takes the better part of a minute."""

pytestmark = [pytest.mark.ssh, pytest.mark.slow, pytest.mark.timeout(320)]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    if not (programs / "molecule").exists():
        raise MissingProgram("molecule is not installed beside Python: pip install molecule")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MOLECULE_"))}
    env["PATH"] = os.pathsep.join([str(programs), env["PATH"]])
    env["ANSIBLE_HOME"] = str(tmp_path)  # where Molecule keeps its state: two runs must not share it
    done = subprocess.run(
        ["molecule", "test", "--scenario-name", scenario],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
