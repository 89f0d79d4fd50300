"""The user's settings: what ansible.cfg and variables say, what is overridden, and which prompts are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_env.engine.ansible_cfg import AnsibleConfig
from ansible_env.engine.listing import _listed
from ansible_env.engine.overrides import OVERRIDES, overrides
from ansible_env.engine.prompts import check_prompts
from ansible_env.engine.protocol import Options
from ansible_env.errors import ConfigError


def config(tmp_path: Path, text: str = "", **environ: str) -> AnsibleConfig:
    (tmp_path / "ansible.cfg").write_text(text)
    return AnsibleConfig(environ, tmp_path / "ansible.cfg", Path("/where"))


def test_a_variable_comes_before_the_file(tmp_path: Path) -> None:
    found = config(tmp_path, "[defaults]\nx = file ; a comment\n%y = 50%\n", X="variable")
    first, second = found.get("X", "defaults.x"), found.get("Y", "other.x", "defaults.x")
    assert first and (first.value, first.origin, first.directory) == ("variable", "X", Path("/where"))
    assert second and (second.value, second.origin) == ("file", f"x in {tmp_path}/ansible.cfg")
    assert found.get("Z", "defaults.z", "nowhere.z") is None


@pytest.mark.parametrize(
    ("text", "expected"), [("True", True), ("yes", True), (" ON ", True), ("1", True), ("no", False), ("", False)]
)
def test_what_is_true_is_what_ansible_takes_for_it(tmp_path: Path, text: str, expected: bool) -> None:
    setting = config(tmp_path, X=text).get("X")
    assert setting and setting.is_true is expected


def test_without_settings_only_the_fixed_ones_are_overridden(tmp_path: Path) -> None:
    assert overrides(config(tmp_path)) == OVERRIDES


@pytest.mark.parametrize(
    ("text", "variable", "value"),
    [
        ("[tags]\nrun = a", "ANSIBLE_RUN_TAGS", "all"),
        ("[tags]\nskip = a", "ANSIBLE_SKIP_TAGS", ""),
        ("[defaults]\nstrategy = debug", "ANSIBLE_STRATEGY", "linear"),
        ("[defaults]\nstrategy = my.own.strategy", "ANSIBLE_STRATEGY", "linear"),
        ("[defaults]\nstrategy = mitogen_host_pinned", "ANSIBLE_STRATEGY", "mitogen_linear"),
        ("[inventory]\nenable_plugins = ini", "ANSIBLE_INVENTORY_ENABLED", "ini,yaml"),
        ("[inventory]\nenable_plugins = ansible.builtin.yaml", "ANSIBLE_INVENTORY_ENABLED", None),
        ("[defaults]\nyaml_valid_extensions = .yml", "ANSIBLE_YAML_FILENAME_EXT", ".yml,.yaml,.json"),
    ],
)
def test_what_depends_on_a_setting(tmp_path: Path, text: str, variable: str, value: str | None) -> None:
    assert overrides(config(tmp_path, text)).get(variable) == value


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("[defaults]\nask_pass = yes\nconnection_password_file = f", Options()),
        ("[defaults]\nask_pass = yes", Options(connection_password="x")),
        ("[defaults]\nask_pass = no", Options()),
        ("[privilege_escalation]\nbecome_ask_pass = yes", Options(arguments=("--become-password-file=f",))),
        ("[privilege_escalation]\nbecome_ask_pass = yes", Options(arguments=("--become-pass-file", "f"))),
        ("[defaults]\nask_vault_pass = yes", Options(arguments=("--vault-id", "dev@file"))),
        ("[defaults]\nvault_identity_list = dev@file, prod@other", Options()),
    ],
)
def test_a_password_that_is_known_is_not_asked_for(tmp_path: Path, text: str, options: Options) -> None:
    check_prompts(config(tmp_path, text), options)


@pytest.mark.parametrize("arguments", [("--vault-id", "x@prompt"), ("--become-password-file=-",), ("-K",), ("--step",)])
def test_arguments_that_ask_are_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=arguments[0].partition("=")[0]):
        check_prompts(config(tmp_path), Options(arguments=arguments))


def test_an_inventory_needs_the_vault_alone(tmp_path: Path) -> None:
    found = config(tmp_path, "[defaults]\nask_pass = yes\nask_vault_pass = yes")
    with pytest.raises(ConfigError) as caught:
        check_prompts(found, Options(), only_inventory=True)
    assert [problem.key for problem in caught.value.problems] == [f"ask_vault_pass in {tmp_path}/ansible.cfg: yes"]


@pytest.mark.parametrize(
    ("stdout", "hosts"),
    [
        ("  hosts (2):\n    h1\n    h2\n", ("h1", "h2")),
        ("Using /x as config file\n  hosts (1):\n    h1\nbye\n", ("h1",)),
        ("  hosts (0):\n", ()),
        ("hosts: none\n", None),
        ("", None),
    ],
)
def test_a_list_of_hosts_is_read_whatever_is_around_it(stdout: str, hosts: tuple[str, ...] | None) -> None:
    assert _listed(stdout) == hosts
