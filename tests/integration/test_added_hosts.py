"""Hosts that a task of setup adds to the inventory: on real hosts, which have other names, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_env import Engine, InventoryError, RemoteEnv, Status, run_trials
from ansible_env.storage.journal import Journal
from tests.hosts import Hosts

pytestmark = pytest.mark.ssh

ADDING: dict[str, Any] = {
    "name": "adding",
    "shell": "sh",
    "hosts": "first:clients",
    "setup": [
        {"name": "Bring another", "ansible.builtin.add_host": {
            "name": "{{ item }}", "groups": ["clients"], "ansible_host": "{{ ansible_host }}",
            "ansible_port": "{{ ansible_port }}", "redis_port": 8000, "word": "{% raw %}{{ 7 * 7 }}{% endraw %}",
            "redis_password": "geheim-{{ item }}",
        }, "loop": ["new1", "new2"]},
        "echo prepared",
    ],
    "run": [{"hosts": "clients", "script": "echo port=$port; echo word=$word"}],
    "teardown": ["echo cleaned"],
    "host_params": {"port": "redis_port", "word": "word"},
    "shell_env_params": ["port", "word"],
    "results_stdout_pattern": r"^(\w+)=(.+)$",
}  # fmt: skip


@pytest.fixture
def one(ssh_hosts: Hosts) -> dict[str, Any]:
    """An inventory of one host."""
    fleet = ssh_hosts.inventory_dict()["fleet"]
    first = {**fleet["hosts"]["h1"], "redis_port": 1, "word": "x"}
    return {"all": {"vars": fleet["vars"], "children": {"first": {"hosts": {"h1": first}}}}}


def test_hosts_that_setup_adds_are_hosts_of_the_trial(engine: Engine, one: Any, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "trial")
    with RemoteEnv(config=ADDING, inventory=one, engine=engine, journal=journal) as env:
        assert env.hosts == ("h1",)
        assert env.setup(), env.results["setup"].summary()
        assert env.hosts == ("h1", "new1", "new2")
        env.run()
        env.teardown()
        assert list(env.results["setup"].hosts) == ["h1"]
        assert env.results["run"].status is Status.SUCCEEDED, env.results["run"].summary()
        found = {name: dict(host.metrics) for name, host in env.results["run"].hosts.items()}
        assert found == {name: {"port": 8000, "word": "{{ 7 * 7 }}"} for name in ("new1", "new2")}, (
            "no value is a template"
        )
        assert list(env.results["teardown"].hosts) == ["h1", "new1", "new2"]
        env.setup()
        assert env.results["setup"].status is Status.SUCCEEDED
        assert list(env.results["setup"].hosts) == ["h1"], "the next trial begins without them"
    kept = [path.read_text() for path in (tmp_path / "trial").rglob("*") if path.is_file()]
    assert any("new2" in text for text in kept)
    assert not any("geheim-new" in text for text in kept)


def test_who_takes_a_trial_up_knows_the_hosts_that_were_added(engine: Engine, one: Any, tmp_path: Path) -> None:
    with RemoteEnv(config=ADDING, inventory=one, engine=engine, journal=Journal(tmp_path)) as env:
        assert env.setup()
    with RemoteEnv(config=ADDING, inventory=one, engine=engine, journal=Journal.open(tmp_path)) as again:
        assert again.attach() is None
        assert again.hosts == ("h1", "new1", "new2")
        assert again.run()[0] is Status.SUCCEEDED


def test_each_trial_of_many_has_the_hosts_that_it_adds(engine: Engine, one: Any) -> None:
    with RemoteEnv(config=ADDING, inventory=one, engine=engine) as env:
        results = list(run_trials(env, [{}, {}]))
    assert [list(result.phases["run"].hosts) for result in results] == [["new1", "new2"]] * 2
    assert all(result.status is Status.SUCCEEDED for result in results)


def test_a_limit_holds_for_hosts_that_are_added(engine: Engine, one: Any) -> None:
    with RemoteEnv(config=ADDING, inventory=one, engine=engine, limit="first:new2") as env:
        assert env.setup()
        assert env.hosts == ("h1", "new2")


def test_hosts_that_are_added_are_not_there_in_the_same_phase(engine: Engine, one: Any) -> None:
    steps = [*ADDING["setup"], {"hosts": "clients", "script": "true"}]
    env = RemoteEnv(config=ADDING | {"setup": steps}, inventory=one, engine=engine)
    with (
        env,
        pytest.raises(InventoryError, match=r"clients.*\(hosts that add_host brings are known from"),
    ):
        env.setup()


def test_what_is_added_in_secret_is_not_known(engine: Engine, one: Any, caplog: pytest.LogCaptureFixture) -> None:
    task = {**ADDING["setup"][0], "no_log": True}
    with RemoteEnv(config=ADDING | {"setup": [task]}, inventory=one, engine=engine) as env:
        assert env.setup()
        assert env.hosts == ("h1",)
    assert "adds a host and has no_log" in caplog.text
