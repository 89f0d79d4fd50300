"""What can be known of the mlos_bench room without a host."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import json5
import pytest

pytest.importorskip("mlos_bench", reason="needs the extra `mlos`")

from jsonschema import ValidationError
from mlos_bench.config.schemas import ConfigSchema
from mlos_bench.environments.status import Status as MlosStatus
from mlos_bench.services.base_service import Service
from mlos_bench.services.local.local_exec import LocalExecService
from mlos_bench.tunables.tunable_groups import TunableGroups

from ansible_env import ConfigError, EnvironmentConfig, ParameterError, Status
from ansible_env.mlos import AnsibleEnv, AnsibleService, register_schemas
from ansible_env.mlos.compat import to_mlos
from ansible_env.mlos.settings import Settings
from ansible_env.mlos.share import pack, unpack
from ansible_env.testing import FakeEngine

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "mlos"


@pytest.mark.parametrize("status", list(Status), ids=lambda status: status.name)
def test_statuses_are_those_of_the_same_name(status: Status) -> None:
    assert to_mlos(status).name == status.name
    assert to_mlos(status).value == status.value
    assert isinstance(to_mlos(status), MlosStatus)


# -- schemas --------------------------------------------------------------------------------------------


def service_config(**config: Any) -> dict[str, Any]:
    return {"class": "ansible_env.mlos.AnsibleService", "config": config}


def environment_config(**config: Any) -> dict[str, Any]:
    return {"class": "ansible_env.mlos.AnsibleEnv", "name": "x", "config": config}


@pytest.mark.smoke
def test_our_classes_are_accepted() -> None:
    register_schemas()  # again: that must not list them twice, since `oneOf` would match neither
    ConfigSchema.SERVICE.validate(service_config(inventory=["a,", "b.yml"], become=True, ssh_known_hosts_path=None))
    ConfigSchema.SERVICE.validate({"class": "ansible_env.mlos.service.AnsibleService"})
    ConfigSchema.SERVICE.validate({"services": [service_config(forks=3)]})
    environment = environment_config(
        hosts="web", setup=["a", {"ansible.builtin.ping": {}}], required_metrics=["score"], timeouts={"run": "5m"}
    )
    ConfigSchema.ENVIRONMENT.validate(environment)
    composite = {
        "class": "mlos_bench.environments.CompositeEnv",
        "name": "c",
        "config": {"children": [environment]},
    }
    ConfigSchema.ENVIRONMENT.validate(composite)
    ConfigSchema.UNIFIED.validate(composite)


@pytest.mark.parametrize(
    "config",
    [
        service_config(inventroy="a,"),
        service_config(forks=0),
        service_config(engine="hot"),
        {"class": "ansible_env.mlos.AnsibleServise"},
    ],
)
def test_a_bogus_service_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ConfigSchema.SERVICE.validate(config)


@pytest.mark.parametrize(
    "config",
    [
        environment_config(rnu=["a"]),
        environment_config(run=["a"], const_args={"x": {"nested": 1}}),
        environment_config(run=["a"], tunable_params="group"),
        environment_config(run=["a"]) | {"bogus": 1},
        environment_config(run=["a"]) | {"class": "ansible_env.mlos.Other"},
        {"class": "mlos_bench.environments.remote.RemoteEnv", "name": "x", "config": {"run": ["a"], "hosts": "all"}},
    ],
)
def test_a_bogus_environment_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ConfigSchema.ENVIRONMENT.validate(config)


def test_the_constructor_checks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError):
        AnsibleService({"bogus": 1})
    monkeypatch.setattr("mlos_bench.config.schemas.config_schemas._SKIP_VALIDATION", True)
    with pytest.raises(ConfigError, match=r"inventroy: unknown key \(did you mean 'inventory'\?\)"):
        AnsibleService({"inventroy": "a,"})
    with pytest.raises(ConfigError, match="needs an AnsibleService"):
        AnsibleEnv(name="x", config={"run": ["a"]}, tunables=TunableGroups({}), service=Service())


def test_parameters_of_a_call_go_before_the_configuration() -> None:
    settings = Settings.read({"ssh_request_timeout": 5, "ssh_shell": "/bin/dash", "become": True})
    assert (settings.deadline, settings.interpreter) == (5, "/bin/dash")
    called = settings.called_with({"exec_timeout": "2.5", "become": "false", "ssh_port": "2222", "ssh_username": "12"})
    assert called.ssh_username == "12"
    assert (called.deadline, called.become, called.ssh_port) == (2.5, False, 2222)
    with pytest.raises(ConfigError, match="exec_timeout"):
        settings.called_with({"exec_timeout": "soon"})


# -- AnsibleEnv -----------------------------------------------------------------------------------------


def environment(config: dict[str, Any], *, globals_: dict[str, Any] | None = None, **settings: Any) -> AnsibleEnv:
    service = AnsibleService({"inventory": {"web1": {}, "web2": {}}, **settings}, globals_)
    tunables = TunableGroups(json5.loads((EXAMPLE / "sqlite-tunables.jsonc").read_text()))
    return AnsibleEnv(name="x", config=config, global_config=globals_, tunables=tunables, service=service)


@pytest.mark.parametrize(
    ("config", "pattern"),
    [
        ({"run": ["a"]}, "all"),
        ({"run": ["a"], "hosts": "web*"}, "web*"),
        ({"run": ["a"], "hosts": "web$trial_runner_id"}, "web2"),
        ({"run": ["a"], "const_args": {"vmName": "web1"}}, "web1"),
        ({"run": ["a"], "const_args": {"ansible_host_pattern": "web$trial_runner_id"}}, "web2"),
    ],
)
def test_the_hosts_of_an_environment(config: dict[str, Any], pattern: str) -> None:
    assert environment(config, globals_={"trial_runner_id": 2}).remote.config.hosts == pattern


def test_the_service_has_defaults_for_its_environments() -> None:
    made = environment({"run": ["a"], "timeouts": {"run": 3}}, exec_timeout=60, become=True, shell="dash").remote.config
    assert (made.timeouts.run, made.timeouts.setup, made.become, made.shell) == (3, 60, True, "dash")


def test_an_environment_file_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    config = json5.loads((EXAMPLE / "environment.jsonc").read_text())["config"]
    monkeypatch.setattr(AnsibleService, "config_loader_service", None, raising=False)
    config["environment_file"] = str(EXAMPLE / config["environment_file"])
    monkeypatch.setattr(Path, "resolve_path", lambda self, path: path, raising=False)
    monkeypatch.setattr(AnsibleService, "config_loader_service", Path())
    made = environment(config)
    ours = EnvironmentConfig.load(EXAMPLE / "../sqlite/environment.yml")
    assert made.remote.config.run == ours.run
    assert made.remote.config.required_metrics == ours.required_metrics
    assert made.parameters["rows"] == 20000
    assert made.parameters["batch_size"] == 100
    assert set(made.tunable_params.get_param_values()) == {tunable.name for tunable in ours.tunables}


def test_tunables_of_the_example_are_those_of_the_environment_file() -> None:
    ours = EnvironmentConfig.load(EXAMPLE / "../sqlite/environment.yml").tunables.to_mapping()
    assert json5.loads((EXAMPLE / "sqlite-tunables.jsonc").read_text()) == json.loads(json.dumps(ours))


# -- archives, which come from hosts that nobody has to trust -------------------------------------------


def test_an_archive_cannot_write_elsewhere(tmp_path: Path) -> None:
    import io
    import tarfile

    outside, target = tmp_path / "outside", tmp_path / "in" / "target"
    outside.write_text("kept")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ("../outside", str(outside), "good"):
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"bad"))
        for name, to in (("out", "../../outside"), ("abs", str(outside))):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, to
            tar.addfile(link)
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"bad"))
        device = tarfile.TarInfo("null")
        device.type = tarfile.CHRTYPE
        tar.addfile(device)
    unpack(tmp_path / "x.tar", target)
    assert outside.read_text() == "kept"
    assert (target / "good").read_text() == "bad"
    assert not (target / "null").exists()
    assert {path.name for path in tmp_path.rglob("*")} >= {"outside", "target", "good"}


def test_a_link_that_was_there_is_replaced(tmp_path: Path) -> None:
    source, target, outside = tmp_path / "source", tmp_path / "target", tmp_path / "outside"
    source.mkdir()
    target.mkdir()
    outside.write_text("kept")
    (source / "name").write_text("new")
    (target / "name").symlink_to(outside)
    pack(source, tmp_path / "x.tar", recursive=True)
    assert unpack(tmp_path / "x.tar", target) == [target / "name"]
    assert (outside.read_text(), (target / "name").read_text()) == ("kept", "new")


# -- hosts ----------------------------------------------------------------------------------------------


def test_a_name_is_no_template() -> None:
    service = AnsibleService({})
    with pytest.raises(ParameterError, match="template"):
        service.remote_exec(["true"], {"ssh_hostname": "h1", "ssh_username": "{{ lookup('pipe', 'id') }}"}, {})


@pytest.mark.parametrize("name", ["A-B", "", "1A", "IFS"])
def test_names_of_variables_are_no_code(name: str) -> None:
    with pytest.raises(ParameterError):
        AnsibleService({}).remote_exec(["true"], {"ansible_host_pattern": "localhost"}, {name: "1"})


# -- without mlos_bench ---------------------------------------------------------------------------------


def without_mlos(code: str) -> subprocess.CompletedProcess[str]:
    hide = "import sys; sys.modules['mlos_bench'] = None\n"
    return subprocess.run([sys.executable, "-c", hide + code], capture_output=True, text=True, check=False)


def test_without_mlos_bench_the_extra_is_named() -> None:
    done = without_mlos("import ansible_env.mlos as m; print(m.__all__); m.AnsibleService")
    assert "pip install 'mlos-bench>=0.6.2' pytz" in done.stderr.splitlines()[-1]
    done = without_mlos("from ansible_env.mlos.cli import main; sys.exit(main([]))")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'mlos-bench>=0.6.2' pytz" in done.stderr


# -- metrics -----------------------------------------------------------------------------------------------------------


def test_no_bad_value_reaches_the_optimizer(monkeypatch: pytest.MonkeyPatch) -> None:
    bad: list[dict[str, Any]] = [{"score": value} for value in (-1, float("nan"), float("inf"), "12us", None)]
    bad += [{"score": 1e9, "latency": float("nan")}, {}]
    given = iter([*bad * 60, {"score": 7}])
    engine = FakeEngine(["h"], lambda *_: {"metrics": next(given)})
    monkeypatch.setattr("ansible_env.mlos.runtime.make_engine", lambda _: engine)
    monkeypatch.setattr("ansible_env.mlos.runtime._runtimes", {})
    config = {
        "run": ["measure"],
        "results_stdout_pattern": r"(\w+)=(\S+)",
        "required_metrics": ["score"],
        "valid": {"score": "> 0"},
    }
    env = AnsibleEnv(
        name="x",
        config=config,
        global_config={"experiment_id": "E", "trial_id": 1},
        tunables=TunableGroups({}),
        service=AnsibleService({"inventory": "h,"}, {}, LocalExecService()),
    )
    told = []
    for trial in range(len(bad) * 60 + 1):
        with env:
            assert env.setup(TunableGroups({}), {"experiment_id": "E", "trial_id": trial})
            status, _, metrics = env.run()
        told.append((status, metrics))
    assert told[:-1] == [(MlosStatus.FAILED, None)] * len(bad) * 60
    assert told[-1] == (MlosStatus.SUCCEEDED, {"score": 7})
