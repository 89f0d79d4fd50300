"""The wheel, installed where nothing of this tree is in sight."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible_env.bench.phase: {script: echo score=42, results_stdout_pattern: '(score)=(.+)'}
      register: bench
    - ansible.builtin.assert: {that: [bench.status == "SUCCEEDED", bench.metrics.score == 42]}
"""
ENVIRONMENT = """
name: small
const_args: {n: 1}
shell_env_params: [n]
run: echo score=$n
results_stdout_pattern: '(score)=(.+)'
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    pytest.importorskip("hatchling")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory], cwd=ROOT, check=True)
    return next(directory.glob("*.whl"))


def test_names(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    collection = "ansible_collections/ansible_env/bench/"
    assert {
        "ansible_env/py.typed",
        "ansible_env/supervisor/poll.sh",
        "ansible_env/supervisor/sampler.sh",
        "ansible_env/supervisor/supervisor.pl",
        "ansible_env/supervisor/supervisor.sh",
        "ansible_env/config/environment.schema.json",
        f"{collection}galaxy.yml",
        f"{collection}meta/runtime.yml",
        f"{collection}plugins/action/phase.py",
        f"{collection}plugins/modules/phase.py",
        f"{collection}plugins/lookup/environment.py",
        f"{collection}plugins/filter/metrics.yml",
        f"{collection}plugins/callback/results.py",
        f"{collection}roles/environment/tasks/main.yml",
        f"{collection}playbooks/trial.yml",
        f"{collection}meta/execution-environment.yml",
    } <= set(names)
    assert not [name for name in names if "content/" in name or name.endswith(".pyc")]
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"ansible_env", "ansible_collections"}
    assert "ansible_collections/__init__.py" not in names, "others put collections there, too"


def test_collection_is_found_from_anywhere(wheel: Path, tmp_path: Path) -> None:
    """The dependencies are those of this interpreter; what the wheel brings goes before the tree's own."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "play.yml").write_text(PLAYBOOK)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(site),
        "LC_ALL": "C.UTF-8",
    }
    programs = Path(sys.executable).parent
    page = subprocess.run(
        [sys.executable, programs / "ansible-doc", "-t", "module", "ansible_env.bench.phase"],
        cwd=empty,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(site) in page.stdout.splitlines()[0]
    subprocess.run(
        [sys.executable, programs / "ansible-playbook", "-i", "localhost,", "-c", "local", "play.yml"],
        cwd=empty,
        env=env,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    (empty / "env.yml").write_text(ENVIRONMENT)
    done = subprocess.run(
        [sys.executable, programs / "ansible-playbook", "ansible_env.bench.trial", "-i", "localhost,", "-c", "local",
         "-e", "environment_file=env.yml", "-e", '{"params": {"n": 43}}'],
        cwd=empty,
        env=env,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert "localhost: score=43" in done.stdout
