"""The environment that Ansible gets: what passes, which ansible.cfg counts, and what we set."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ansible_env.engine import ansible_cfg
from ansible_env.engine.ansible_cfg import AnsibleConfig, find_config
from ansible_env.engine.environ import (
    INVENTORY_PLUGINS,
    SSH_ARGS,
    ansible_program,
    passed,
    settings,
)
from ansible_env.errors import EngineError

# What passes


@pytest.mark.parametrize(
    "name",
    [
        "HOME", "SSH_AUTH_SOCK", "https_proxy", "NO_PROXY", "KRB5CCNAME", "XDG_RUNTIME_DIR", "KUBECONFIG",
        "ANSIBLE_CONFIG", "ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_ROLES_PATH", "ANSIBLE_FILTER_PLUGINS",
        "ANSIBLE_SSH_ARGS", "ANSIBLE_REMOTE_USER", "ANSIBLE_BECOME_PASSWORD_FILE", "ANSIBLE_HOST_KEY_CHECKING",
        "ANSIBLE_INVENTORY_PLUGINS", "DOCKER_HOST",
    ],
)  # fmt: skip
def test_what_people_need_passes(name):
    assert passed({name: "x"}) == {name: "x"}


@pytest.mark.parametrize(
    "name",
    [
        # Each of these ends, hangs or bends a run.
        "JOB_ID", "ANSIBLE_STRATEGY", "ANSIBLE_STDOUT_CALLBACK", "ANSIBLE_CALLBACKS_ENABLED", "AD_HOC_COMMAND_ID",
        "ANSIBLE_ENABLE_TASK_DEBUGGER", "ANSIBLE_RUN_TAGS", "ANSIBLE_SKIP_TAGS", "ANSIBLE_CHECK_MODE_MARKERS",
        "ANSIBLE_LOCAL_TEMP", "ANSIBLE_REMOTE_TEMP", "ANSIBLE_CALLBACK_PLUGINS", "ANSIBLE_STRATEGY_PLUGINS",
        "ANSIBLE_NO_LOG", "ANSIBLE_DEBUG", "ANSIBLE_FORCE_COLOR", "ANSIBLE_ANY_ERRORS_FATAL", "MAX_EVENT_RES",
        "LC_ALL", "LANG", "LANGUAGE", "AWX_ISOLATED_DATA_DIR", "RUNNER_OMIT_EVENTS", "PATH", "LD_PRELOAD",
        "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "home", "HOMES", "",
    ],
)  # fmt: skip
def test_nothing_else_does(name):
    assert passed({name: "x"}) == {}


def test_more_passes_on_purpose():
    given = {"AWS_KEY": "1", "AWS_ID": "2", "GCP": "3", "X": "4", "ANSIBLE_STRATEGY": "free"}
    assert passed(given, ["AWS_*"]) == {"AWS_KEY": "1", "AWS_ID": "2"}
    assert passed({**given, "ANSIBLE_ENV_PASS": "GCP, X"}) == {"GCP": "3", "X": "4"}
    assert passed(given, ["ANSIBLE_STRATEGY"]) == {"ANSIBLE_STRATEGY": "free"}


# Which ansible.cfg


@pytest.fixture
def places(tmp_path, monkeypatch):
    for name in ("here", "home", "named"):
        (tmp_path / name).mkdir(mode=0o755)
    monkeypatch.setattr(ansible_cfg, "Path", _Etc(tmp_path / "etc"))
    return tmp_path


class _Etc:
    """`Path`, but with another /etc."""

    def __init__(self, etc):
        self._etc = etc

    def __call__(self, *parts):
        return self._etc / "ansible.cfg" if parts == ("/etc/ansible/ansible.cfg",) else Path(*parts)


def config(path, text=""):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_the_order_is_ansibles(places):
    home = {"HOME": str(places / "home")}
    here = places / "here"
    assert find_config(home, here) is None
    last = config(places / "etc" / "ansible.cfg")
    assert find_config(home, here) == last
    third = config(places / "home" / ".ansible.cfg")
    assert find_config(home, here) == third
    second = config(here / "ansible.cfg")
    assert find_config(home, here) == second
    first = config(places / "named" / "my.cfg")
    assert find_config({**home, "ANSIBLE_CONFIG": str(first)}, here) == first
    chosen = config(places / "chosen.cfg")
    assert find_config({**home, "ANSIBLE_CONFIG": str(first)}, here, chosen) == chosen


def test_a_directory_that_anybody_may_write_to_is_not_trusted(places):
    here = places / "here"
    config(here / "ansible.cfg")
    here.chmod(0o777)
    home = config(places / "home" / ".ansible.cfg")
    assert find_config({"HOME": str(places / "home")}, here) == home
    here.chmod(0o775)
    assert find_config({"HOME": str(places / "home")}, here) == here / "ansible.cfg"


def test_ansible_config_may_name_a_directory(places):
    found = find_config({"ANSIBLE_CONFIG": str(places / "named")}, places / "here")
    assert found == places / "named" / "ansible.cfg"


def test_the_same_file_as_ansible_itself_finds(tmp_path, monkeypatch):
    manager = pytest.importorskip("ansible.config.manager")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ANSIBLE_CONFIG", raising=False)
    for name in (".ansible.cfg", "ansible.cfg"):
        config(tmp_path / name)
        assert str(find_config(os.environ, Path.cwd())) == manager.find_ini_config_file()


# What we set


def ours(given=None, file=None):
    given = given or {}
    return settings(given, AnsibleConfig(given, file, Path("/")), run="r", private=Path("/p"), sockets=Path("/s"))


def test_what_every_run_needs():
    found = ours()
    assert found["LC_ALL"] == found["LANG"] == "C.UTF-8"
    assert found["ANSIBLE_ENV_ENGINE_RUN"] == "r"
    assert found["ANSIBLE_ENV_PRIVATE_DIR"] == "/p"
    assert found["ANSIBLE_LOCAL_TEMP"] == "/p/tmp"
    assert found["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] == "True"
    assert found["ANSIBLE_STDOUT_CALLBACK"] == "awx_display"
    assert int(found["MAX_EVENT_RES"]) > 10**8
    assert "ANSIBLE_CONFIG" not in found


def test_our_interpreters_programs_come_first():
    assert ours({"PATH": "/x"})["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/x"]


def test_host_keys_are_checked_unless_somebody_says_otherwise(tmp_path):
    assert ours()["ANSIBLE_HOST_KEY_CHECKING"] == "True"
    assert "ANSIBLE_HOST_KEY_CHECKING" not in ours({"ANSIBLE_HOST_KEY_CHECKING": "False"})
    file = config(tmp_path / "a.cfg", "[defaults]\nhost_key_checking = False\n")
    assert "ANSIBLE_HOST_KEY_CHECKING" not in ours(file=file)


DEFAULTS = {
    "ANSIBLE_PIPELINING": "True",
    "ANSIBLE_SSH_ARGS": SSH_ARGS,
    "ANSIBLE_SSH_CONTROL_PATH_DIR": "/s",
    "ANSIBLE_HOST_KEY_CHECKING": "True",
    "ANSIBLE_INVENTORY_ENABLED": INVENTORY_PLUGINS,
}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[connection]\npipelining = False", "ANSIBLE_PIPELINING"),
        ("[ssh_connection]\npipelining = False", "ANSIBLE_PIPELINING"),
        ("[defaults]\npipelining = False", "ANSIBLE_PIPELINING"),
        ("[ssh_connection]\nssh_args = -C", "ANSIBLE_SSH_ARGS"),
        ("[ssh_connection]\nssh_args = %(x)s", "ANSIBLE_SSH_ARGS"),
        ("[ssh_connection]\ncontrol_path_dir = /c", "ANSIBLE_SSH_CONTROL_PATH_DIR"),
        ("[ssh_connection]\nhost_key_checking = False", "ANSIBLE_HOST_KEY_CHECKING"),
        ("[defaults]\nhost_key_checking = True\n[defaults]\n", "ANSIBLE_HOST_KEY_CHECKING"),
        ("[inventory]\nenable_plugins = ini, ansible.builtin.yaml", "ANSIBLE_INVENTORY_ENABLED"),
    ],
)
def test_what_the_user_has_configured_is_left_alone(tmp_path, text, name):
    assert {key: value for key, value in ours().items() if key in DEFAULTS} == DEFAULTS
    found = ours(file=config(tmp_path / "a.cfg", text))
    assert {key: value for key, value in found.items() if key in DEFAULTS} == {
        key: value for key, value in DEFAULTS.items() if key != name
    }
    assert found["ANSIBLE_CONFIG"] == str(tmp_path / "a.cfg")


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_the_user_has_in_his_environment_is_left_alone(name):
    assert name not in ours({name: "yaml"})


def test_inventory_plugins_are_ansibles_own():
    base = pytest.importorskip("ansible.constants")
    default = base.config.get_configuration_definitions()["INVENTORY_ENABLED"]["default"]
    assert sorted(INVENTORY_PLUGINS.split(",")) == sorted(default)


@pytest.mark.smoke
def test_every_option_is_looked_for_where_ansible_looks(tmp_path):
    """The ini sections are those of Ansible's own documentation of its ssh plugin."""
    loader = pytest.importorskip("ansible.plugins.loader")
    base = pytest.importorskip("ansible.constants")
    loader.init_plugin_loader()
    loader.connection_loader.get("ssh", class_only=True)
    options = base.config.get_configuration_definitions("connection", "ssh")
    keys = {
        "pipelining": "ANSIBLE_PIPELINING",
        "ssh_args": "ANSIBLE_SSH_ARGS",
        "control_path_dir": "ANSIBLE_SSH_CONTROL_PATH_DIR",
        "host_key_checking": "ANSIBLE_HOST_KEY_CHECKING",
    }
    for key, name in keys.items():
        definition = options[key]
        assert name in [entry["name"] for entry in definition["env"]]
        for entry in definition["ini"]:
            text = f"[{entry['section']}]\n{entry['key']} = x"
            assert entry["key"] == key
            assert name not in ours(file=config(tmp_path / "a.cfg", text)), text


@pytest.mark.parametrize("text", ["no section", "\xff\xfe", "[a\n"])
def test_a_broken_ansible_cfg_is_left_to_ansible(tmp_path, text):
    file = tmp_path / "a.cfg"
    file.write_bytes(text.encode("latin-1"))
    assert not AnsibleConfig({}, file, tmp_path).get("X", "defaults.x")
    assert ours(file=file)["ANSIBLE_CONFIG"] == str(file)


def test_an_ansible_cfg_that_is_not_there_configures_nothing(tmp_path):
    assert not AnsibleConfig({}, tmp_path / "no.cfg", tmp_path).get("X", "defaults.x")
    assert not AnsibleConfig({}, None, tmp_path).get("X", "defaults.x")


# The programs


def test_the_program_is_the_one_beside_our_interpreter(tmp_path, monkeypatch):
    (tmp_path / "ansible-playbook").write_text("#!/bin/sh\n")
    (tmp_path / "ansible-playbook").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ansible_program("ansible-playbook") != str(tmp_path / "ansible-playbook")
    assert Path(ansible_program("ansible-playbook")).parent == Path(sys.executable).parent


def test_then_the_one_in_the_path(tmp_path, monkeypatch):
    (tmp_path / "ansible-other").write_text("#!/bin/sh\n")
    (tmp_path / "ansible-other").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ansible_program("ansible-other") == str(tmp_path / "ansible-other")
    with pytest.raises(EngineError, match="pip install ansible-core"):
        ansible_program("ansible-none")
