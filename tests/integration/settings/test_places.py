"""Which inventory is used, and where relative paths start: as for ansible-playbook in the same directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_env import Inventory, InventoryError, Options
from ansible_env.engine.default_inventory import choose_inventory
from ansible_env.engine.inventory import LOCALHOST
from tests.engines import ALL
from tests.hosts import Hosts

ssh = pytest.mark.ssh


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory; the environment file is elsewhere."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("ANSIBLE_CONFIG", "ANSIBLE_INVENTORY"):
        monkeypatch.delenv(name, raising=False)
    config = {"name": "places", "run": "echo score=1", "results_stdout_pattern": r"^(\w+)=(\d+)$"}
    (tmp_path / "there/env.yml").write_text(yaml.safe_dump(config))
    return tmp_path / "here"


def call(here: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "ANSIBLE_ENV_STORE": str(here / "store.sqlite"), "ANSIBLE_ENV_ARTIFACTS": str(here / "kept")}
    command = [sys.executable, "-m", "ansible_env", *arguments]
    return subprocess.run(
        command, cwd=here, env={**env, **variables}, capture_output=True, text=True, check=False, timeout=100
    )


def trial(here: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return call(here, "trial", "../there/env.yml", "-o", "csv", *arguments, **variables)


# Which inventory


@ssh
def test_that_of_ansible_cfg(ssh_hosts: Hosts, here: Path) -> None:
    (here / "hosts.yml").write_text(yaml.safe_dump(ssh_hosts.inventory_dict()))
    (here / "ansible.cfg").write_text("[defaults]\ninventory = hosts.yml ; ours\n")
    done = trial(here, "-l", "h1,h2")
    assert done.returncode == 0, done.stderr
    assert f"inventory: {here}/hosts.yml (inventory in {here}/ansible.cfg)\n" in done.stderr
    assert "localhost" not in done.stdout
    assert "h1" in done.stdout
    looked = call(here, "doctor", "-l", "h1")
    assert looked.returncode == 0, looked.stdout
    assert f"{here}/hosts.yml (inventory in {here}/ansible.cfg): 1 host: h1" in looked.stdout


@ssh
def test_that_of_the_variable_comes_first(ssh_hosts: Hosts, here: Path) -> None:
    (here / "ansible.cfg").write_text("[defaults]\ninventory = nowhere\n")
    done = trial(here, "-l", "h1", ANSIBLE_INVENTORY=os.path.relpath(ssh_hosts.inventory(), here))
    assert done.returncode == 0, done.stderr
    assert f"inventory: {ssh_hosts.inventory()} (ANSIBLE_INVENTORY)\n" in done.stderr


@ssh
def test_that_of_the_call_before_all(ssh_hosts: Hosts, here: Path) -> None:
    done = trial(here, "-l", "h1", "-i", str(ssh_hosts.inventory()), ANSIBLE_INVENTORY="nowhere")
    assert done.returncode == 0, done.stderr
    assert f"inventory: {ssh_hosts.inventory()}\n" in done.stderr


def test_one_that_is_missing_is_refused_with_its_setting(here: Path) -> None:
    (here / "ansible.cfg").write_text("[defaults]\ninventory = one.yml, two.yml\n")
    done = trial(here)
    assert done.returncode == 2
    for name in ("one.yml", "two.yml"):
        assert f"error: {here}/{name}: inventory in {here}/ansible.cfg: there is no such inventory" in done.stderr
    assert "is no such" in trial(here, ANSIBLE_INVENTORY="three.yml").stderr


def test_without_any_it_is_this_machine_and_is_said(here: Path) -> None:
    done = trial(here)
    assert done.returncode == 0, done.stderr
    assert "inventory: localhost" in done.stderr
    assert "inventory" not in trial(here, "--quiet").stderr


@pytest.mark.parametrize(
    ("text", "counts"), [(None, False), ("# web1\n; web2\n\n", False), ("# ours\n[web]\nweb1\n", True)]
)
def test_ansibles_default_counts_if_it_has_hosts(here: Path, text: str | None, counts: bool) -> None:
    if text is not None:
        (here / "hosts").write_text(text)
    chosen = choose_inventory(None, Options(), here / "hosts")
    assert chosen == (Inventory((f"{here}/hosts",), origin="Ansible's default") if counts else Inventory.of())
    assert (chosen.data == (LOCALHOST,)) is not counts


def test_lists_and_homes_are_resolved_as_by_ansible(here: Path) -> None:
    (here.parent / "in-home").write_text("web1\n")
    (here / "a b").write_text("web2\n")
    (here / "ansible.cfg").write_text("[defaults]\ninventory = ~/in-home, 'a b', {{CWD}}/../in-home\n")
    chosen = choose_inventory(None, Options())
    assert chosen.sources == (f"{here.parent}/in-home", f"{here}/a b", f"{here.parent}/in-home")


def test_a_chosen_ansible_cfg_that_does_not_exist_is_refused(here: Path) -> None:
    with pytest.raises(Exception, match=r"no such ansible\.cfg"):
        choose_inventory(None, Options(config_file=here / "no.cfg"))
    with pytest.raises(InventoryError, match="no such inventory"):
        choose_inventory("no.yml", Options())


# Relative paths


def relative(hosts: Hosts, here: Path, **variables: Any) -> None:
    """Write an inventory that names files beside the user, and is elsewhere."""
    shutil.copy(hosts.key, here / "key")
    (here / "key").chmod(0o600)
    shutil.copy(hosts.known_hosts, here / "known")
    data = hosts.inventory_dict()
    shared = data["fleet"]["vars"]
    shared["ansible_ssh_private_key_file"] = "./key"
    shared["ansible_ssh_common_args"] = shared["ansible_ssh_common_args"].replace(str(hosts.known_hosts), "./known")
    shared |= variables
    (here.parent / "there/hosts.yml").write_text(yaml.safe_dump(data))
    (here / "limit").write_text("h1\nh3\n")


@ssh
@pytest.mark.parametrize("engine", ALL)
def test_keys_limits_and_vaults(ssh_hosts: Hosts, here: Path, engine: str) -> None:
    (here / "vault").write_text("open sesame\n")
    encrypt = [str(Path(sys.executable).parent / "ansible-vault"), "encrypt_string", "--vault-password-file", "vault"]
    text = subprocess.run([*encrypt, "7"], cwd=here, check=True, capture_output=True, text=True).stdout
    relative(ssh_hosts, here)
    group = here.parent / "there/group_vars"
    group.mkdir()
    (group / "fleet.yml").write_text(f"secret: {text}")
    run = [{"ansible.builtin.assert": {"that": "secret | string == '7'"}}, "echo score=1"]
    config = {"name": "places", "run": run}
    (here.parent / "there/env.yml").write_text(yaml.safe_dump(config))
    arguments = ["-i", "../there/hosts.yml", "-l", "@limit", "--vault-password-file", "./vault", "--engine", engine]
    done = trial(here, *arguments)
    assert done.returncode == 0, done.stderr
    (result,) = (here / "kept").rglob("result.json")
    assert {"h1", "h3"} == set(yaml.safe_load(result.read_text())["phases"]["run"]["hosts"])


@ssh
@pytest.mark.parametrize("engine", ALL)
def test_variables_of_the_environment(ssh_hosts: Hosts, here: Path, engine: str) -> None:
    relative(ssh_hosts, here)
    path = here.parent / "there/hosts.yml"
    data = yaml.safe_load(path.read_text())
    del data["fleet"]["vars"]["ansible_ssh_private_key_file"]
    path.write_text(yaml.safe_dump(data))
    arguments = ["-i", "../there/hosts.yml", "-l", "h1", "--engine", engine]
    assert trial(here, *arguments).returncode == 4, "no key"
    done = trial(here, *arguments, ANSIBLE_PRIVATE_KEY_FILE="./key")
    assert done.returncode == 0, done.stderr


@ssh
def test_doctor_too(ssh_hosts: Hosts, here: Path) -> None:
    relative(ssh_hosts, here)
    done = call(here, "doctor", "-i", "../there/hosts.yml", "-l", "@limit")
    assert done.returncode == 0, done.stdout
    assert "2 hosts: h1, h3" in done.stdout
