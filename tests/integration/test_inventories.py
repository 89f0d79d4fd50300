"""Which hosts an inventory, a pattern and a limit stand for, and what the inventory says of them: on real hosts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_env import Engine, InventoryError, RemoteEnv, Status
from ansible_env.engine.protocol import Options
from tests.hosts import Hosts

pytestmark = pytest.mark.ssh

CONFIG: dict[str, Any] = {
    "name": "inventories",
    "shell": "sh",
    "run": ["echo port=$port; echo given=${#password}"],
    "host_params": {"port": "redis_port", "password": "redis_password"},
    "secret_params": ["password"],
    "shell_env_params": ["port", "password"],
    "results_stdout_pattern": r"^(\w+)=(\w+)$",
    "per_host_metrics": True,
}
GROUPS = {"db": ["db1", "db2", "db3"], "rack1": ["db1", "db3", "web1"], "web": ["web1"]}


@pytest.fixture
def lab(ssh_hosts: Hosts, tmp_path: Path) -> Path:
    """A directory as people have them: a file of hosts, which are aliases of ours, and files of variables."""
    of = list(ssh_hosts.inventory_dict()["fleet"]["hosts"].values())
    names = dict.fromkeys(name for members in GROUPS.values() for name in members)
    aliases = {name: of[number % len(of)] for number, name in enumerate(names)}
    groups = {name: {"hosts": dict.fromkeys(members)} for name, members in GROUPS.items()}
    place = tmp_path / "lab"
    for name, data in {
        "hosts.json": {"all": {"hosts": aliases, "children": groups}},
        "group_vars/all/main.json": ssh_hosts.inventory_dict()["fleet"]["vars"]
        | {"redis_port": 1, "redis_password": ""},
        "group_vars/db.json": {"redis_port": 6379},
        "host_vars/db2.json": {"redis_port": "{{ 6000 + 380 }}"},
    }.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(json.dumps(data))
    return place


def measured(engine: Engine, inventory: Any, **arguments: Any) -> dict[str, Any]:
    """Which host saw which port."""
    config = CONFIG | arguments.pop("config", {})
    with RemoteEnv(config=config, inventory=inventory, engine=engine, **arguments) as env:
        env.setup()
        assert env.run()[0] is Status.SUCCEEDED, env.results["run"].summary()
        return {name: dict(host.metrics) for name, host in env.results["run"].hosts.items()}


@pytest.mark.parametrize(
    ("pattern", "limit", "expected"),
    [
        ("db:&rack1:!db3", None, ["db1"]),
        ("all", "rack1:!web", ["db1", "db3"]),
        ("db", "db2", ["db2"]),
        ("web:db[0:1]", None, ["web1", "db1", "db2"]),
        ("~db[23]", None, ["db2", "db3"]),
    ],
)
def test_patterns_and_limits(engine: Engine, lab: Path, pattern: str, limit: str | None, expected: list[str]) -> None:
    found = measured(engine, lab, config={"hosts": pattern}, limit=limit)
    assert sorted(found) == sorted(expected), "just these have run it, and each says so itself"


def test_what_no_host_matches(engine: Engine, lab: Path) -> None:
    env = RemoteEnv(config=CONFIG | {"hosts": "db:&web"}, inventory=lab, engine=engine)
    with env, pytest.raises(InventoryError, match="no host matches 'db:&web'"):
        env.setup()  # it has no script, but a trial needs hosts


def test_parameters_of_hosts(engine: Engine, lab: Path) -> None:
    found = measured(engine, lab, config={"hosts": "all"})
    assert {name: metrics["port"] for name, metrics in found.items()} == {
        "db1": 6379, "db2": 6380, "db3": 6379, "web1": 1,
    }  # fmt: skip


def test_parameters_from_a_vault(engine: Engine, lab: Path, tmp_path: Path) -> None:
    word = tmp_path / "vault"
    word.write_text("open sesame\n")
    password = "geheim-4711"
    vault = Path(sys.executable).with_name("ansible-vault")
    done = subprocess.run(
        [vault, "encrypt_string", "--vault-password-file", word, "--name", "redis_password", password],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (lab / "group_vars" / "db.yml").write_text(f"redis_port: 6379\n{done.stdout}")
    (lab / "group_vars" / "db.json").unlink()
    opened = Options(arguments=("--vault-password-file", str(word)))
    logs = tmp_path / "logs"
    config = CONFIG | {"hosts": "db1:web1", "run": [*CONFIG["run"], "echo told=$password | cat"]}
    with RemoteEnv(config=config, inventory=lab, engine=engine, options=opened, logs=logs) as env:
        env.setup()
        assert env.run()[0] is Status.SUCCEEDED
        found = env.results["run"].hosts
    assert (found["db1"].metrics["given"], found["web1"].metrics["given"]) == (len(password), 0)
    kept = [path.read_text() for path in logs.rglob("*") if path.is_file()]
    assert any("told=********" in text for text in kept)
    assert not any(password in text for text in [*kept, json.dumps(found["db1"].to_dict())])


def test_several_inventories_and_a_script(engine: Engine, lab: Path, tmp_path: Path) -> None:
    data = json.loads((lab / "hosts.json").read_text())["all"]["hosts"]["db1"]
    shared = json.loads((lab / "group_vars/all/main.json").read_text())
    listed = {"_meta": {"hostvars": {"new1": {**shared, **data, "redis_port": 7}}}, "cloud": {"hosts": ["new1"]}}
    script = tmp_path / "cloud.py"
    script.write_text(f"#!{sys.executable}\nprint({json.dumps(listed)!r})\n")
    script.chmod(0o755)
    found = measured(engine, [lab, script], config={"hosts": "cloud:db1"})
    assert {name: metrics["port"] for name, metrics in found.items()} == {"db1": 6379, "new1": 7}
