"""Every setting of the ansible-core at hand, from ansible.cfg and from the environment, on real hosts.

core.yml and plugins.yml have what each may do to a phase, and what we do.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from ansible_env import ColdEngine, ConfigError, Engine, Kind, Options, RemoteEnv, Status, WarmEngine
from tests.engines import COLD
from tests.hosts import Hosts
from tests.integration.settings.table import Setting, core_settings, plugin_settings, table

pytestmark = [pytest.mark.ssh, pytest.mark.slow]

SETTINGS = [*core_settings(), *plugin_settings()]
ALONE = [setting for setting in SETTINGS if setting.is_alone]
TOGETHER = [setting for setting in SETTINGS if "try" in setting.row and not setting.is_alone]
RUN = [
    {"name": "A task of the author's", "ansible.builtin.command": "echo {{ ansible_env_params.n }}", "tags": "mine"},
    'echo "score=$n"',
]
PATIENCE = 25
"""Seconds that the script may take; a setting that has Ansible wait is seen by that."""


@pytest.fixture(params=["warm", COLD])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    made = {"cold": ColdEngine, "warm": WarmEngine}[request.param]()
    yield made
    made.close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, with the files that values name."""
    for name in ("plugins", "roles", "collections", "home"):
        (tmp_path / name).mkdir()
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "filters.yml").write_text("filter_version: '1.0'\nmodule_rejectlist: [no_such_module]\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(settings: Iterable[Setting], place: Path, hosts: Hosts) -> dict[Setting, str]:
    """Return the value to try for each setting."""
    names = {"{tmp}": place, "{key}": hosts.key, "{user}": hosts.user, "{inventory}": hosts.inventory()}
    values = {}
    for setting in settings:
        value = setting.row["try"]
        for name, text in names.items():
            value = value.replace(name, str(text))
        values[setting] = value
    return values


def write_config(values: dict[Setting, str], place: Path) -> Path:
    sections: dict[str, dict[str, str]] = {}
    for setting, value in values.items():
        if setting.places:
            section, key = setting.places[0]
            sections.setdefault(section, {})[key] = value
    lines = [
        line
        for section, entries in sections.items()
        for line in (f"[{section}]", *(f"{key} = {value}" for key, value in entries.items()))
    ]
    (place / "my.cfg").write_text("\n".join(lines) + "\n")
    return place / "my.cfg"


def check_phase(engine: Engine, hosts: Hosts, options: Options, setting: Setting | None = None) -> None:
    """Run a phase on two hosts, or here, and compare all that it is to report."""
    row = setting.row if setting else {}
    here = row.get("connection") == "local"
    names = {"localhost"} if here else {"h1", "h2"}
    run = [*([row["run"]] if "run" in row else RUN[:1]), RUN[1]]
    config = {
        "name": "settings",
        "const_args": {"n": 4},
        "shell_env_params": ["n"],
        "run": run,
        "results_stdout_pattern": r"^(\w+)=(\d+)$",
        "timeouts": {"run": PATIENCE, "grace": 1},
    }
    named = None if here or (setting and setting.name == "DEFAULT_HOST_LIST") else hosts.inventory()
    with RemoteEnv(
        config=config, inventory=named, limit=None if here else "h1,h2", engine=engine, options=options
    ) as env:
        assert set(env.hosts) == names
        result = env.run_phase("run")
    assert result.status is Status.SUCCEEDED, result.summary()
    assert {name: host.metrics for name, host in result.hosts.items()} == {name: {"score": 4} for name in names}


def check_refused(engine: Engine, hosts: Hosts, options: Options, name: str) -> None:
    begun = time.monotonic()
    with (
        RemoteEnv(
            config={"name": "settings", "run": "true"}, inventory=hosts.inventory(), engine=engine, options=options
        ) as env,
        pytest.raises(ConfigError, match=re.escape(name)),
    ):
        env.run_phase("run")
    assert time.monotonic() - begun < PATIENCE


@pytest.mark.smoke
def test_the_tables_have_every_setting() -> None:
    assert [setting.name for setting in SETTINGS if not setting.row] == []
    assert [s.name for s in SETTINGS if s.row["do"] not in ("honoured", "overridden", "refused", "unused")] == []


def test_what_matters_is_tried() -> None:
    rows = {**table("core"), **table("plugins")}
    assert [name for name, row in rows.items() if row["do"] in ("overridden", "refused") and "try" not in row] == []


@pytest.mark.long
@pytest.mark.parametrize("setting", ALONE, ids=lambda setting: setting.name)
@pytest.mark.parametrize("engine", ["warm"], indirect=True)
def test_a_setting_in_ansible_cfg(engine: Engine, ssh_hosts: Hosts, place: Path, setting: Setting) -> None:
    if not setting.places:
        pytest.skip("has no place in ansible.cfg")
    options = Options(config_file=write_config(configure([setting], place, ssh_hosts), place))
    if setting.row["do"] == "refused":
        check_refused(engine, ssh_hosts, options, setting.places[0][1])
    else:
        check_phase(engine, ssh_hosts, options, setting)


@pytest.mark.long
@pytest.mark.parametrize("setting", ALONE, ids=lambda setting: setting.name)
@pytest.mark.parametrize("engine", ["cold"], indirect=True)
def test_a_setting_in_the_environment(
    engine: Engine, ssh_hosts: Hosts, place: Path, monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    """Even if the variable is let through on purpose."""
    (value,) = configure([setting], place, ssh_hosts).values()
    monkeypatch.setenv(setting.variables[0], value)
    options = Options(pass_env=(setting.variables[0],))
    if setting.row["do"] == "refused":
        check_refused(engine, ssh_hosts, options, setting.variables[0])
    else:
        check_phase(engine, ssh_hosts, options, setting)


def test_all_others_in_ansible_cfg(engine: Engine, ssh_hosts: Hosts, place: Path) -> None:
    config = write_config(configure(TOGETHER, place, ssh_hosts), place)
    check_phase(engine, ssh_hosts, Options(config_file=config))


@pytest.mark.parametrize("passed", [(), ("ANSIBLE_*",)], ids=["as they come", "let through on purpose"])
def test_all_others_in_the_environment(
    engine: Engine, ssh_hosts: Hosts, place: Path, monkeypatch: pytest.MonkeyPatch, passed: tuple[str, ...]
) -> None:
    for setting, value in configure(TOGETHER, place, ssh_hosts).items():
        if setting.variables:
            monkeypatch.setenv(setting.variables[0], value)
    check_phase(engine, ssh_hosts, Options(pass_env=passed))


@pytest.mark.parametrize("become", [{}, {"become": True, "become_method": "su"}], ids=["as the login", "by su"])
def test_mitogen(engine: Engine, ssh_hosts: Hosts, place: Path, become: dict[str, object]) -> None:
    """Its actions are not quite Ansible's, and its strategy stays."""
    strategies = Path(pytest.importorskip("ansible_mitogen").__file__).parent / "plugins/strategy"
    (place / "my.cfg").write_text(f"[defaults]\nstrategy_plugins = {strategies}\nstrategy = mitogen_free\n")
    inventory = ssh_hosts.inventory()
    run = ["cat /proc/$PPID/cmdline >&2; echo score=4"]
    config = {"name": "mitogen", "run": run, "results_stdout_pattern": r"^(\w+)=(\d+)$", **become}
    options = Options(config_file=place / "my.cfg")
    with RemoteEnv(config=config, inventory=inventory, limit="h1,h2", engine=engine, options=options) as env:
        result = env.run_phase("run")
    assert (result.status, result.metrics) == (Status.SUCCEEDED, {"score": 4}), result.summary()


def test_one_host_does_not_end_the_others(engine: Engine, ssh_hosts: Hosts, place: Path) -> None:
    (place / "my.cfg").write_text("[defaults]\nany_errors_fatal = True\n")
    run = [{"name": "Not h1", "ansible.builtin.command": "test {{ inventory_hostname }} != h1"}, "echo score=4"]
    config = {"name": "settings", "run": run, "results_stdout_pattern": r"^(\w+)=(\d+)$"}
    inventory, options = ssh_hosts.inventory(), Options(config_file=place / "my.cfg")
    with RemoteEnv(config=config, inventory=inventory, limit="h1,h2", engine=engine, options=options) as env:
        result = env.run_phase("run")
    assert {name: host.kind for name, host in result.hosts.items()} == {"h1": Kind.TASK, "h2": Kind.OK}
