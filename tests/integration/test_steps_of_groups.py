"""Roles inside a trial, on real hosts: steps of some hosts, a server in the background, what one tells the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_env import Engine, Kind, RemoteEnv, Status
from ansible_env.results.phase_result import PhaseResult
from tests.hosts import Hosts

pytestmark = pytest.mark.ssh

CONFIG: dict[str, Any] = {
    "name": "steps",
    "shell": "sh",
    "host_params": {"me": "me"},
    "shell_env_params": ["me"],
    "results_stdout_pattern": r"^(\w+)=(.*)$",
    "per_host_metrics": True,
}


@pytest.fixture
def inventory(ssh_hosts: Hosts) -> dict[str, Any]:
    """One server, two clients."""
    data = ssh_hosts.inventory_dict()
    for name, variables in data["fleet"]["hosts"].items():
        variables["me"] = name
    groups = {"db": {"hosts": {"h2": None}}, "clients": {"hosts": {"h1": None, "h3": None}}}
    return {"all": {"children": data | groups}}


def trial(engine: Engine, inventory: Any, **config: Any) -> dict[str, PhaseResult]:
    with RemoteEnv(config=CONFIG | config, inventory=inventory, engine=engine) as env:
        if env.setup():
            env.run()
        env.teardown()
        return env.results


def test_a_server_in_the_background_and_its_clients(
    engine: Engine, ssh_hosts: Hosts, inventory: Any, tmp_path: Path
) -> None:
    place = f"/tmp/{tmp_path.name}"
    serve = f"echo served=1; while sleep 0.1; do echo tick; done; : {place}"
    results = trial(
        engine,
        inventory,
        setup=[{"hosts": "db", "script": "echo port=0$((7000 + 7))", "exports": {"port": r"^port=(\d+)$"}}],
        run=[
            {"hosts": "db", "script": serve, "background": "until_end"},
            {"hosts": "clients", "script": "echo seen=$port; sleep 0.5", "start": "together"},
        ],
        required_metrics=["seen"],
    )
    run = results["run"]
    assert run.status is Status.SUCCEEDED, run.summary()
    assert {name: host.metrics for name, host in run.hosts.items()} == {
        "h1": {"seen": 7007}, "h2": {"served": 1}, "h3": {"seen": 7007},
    }  # fmt: skip
    assert results["setup"].exports == {"port": "07007"}
    assert "tick" in run.hosts["h2"].stdout
    assert run.hosts["h2"].started and run.hosts["h1"].started and run.hosts["h2"].started < run.hosts["h1"].started
    assert run.skew is not None
    assert not ssh_hosts["h2"].processes(place)


def test_the_server_is_ended_when_the_clients_fail(
    engine: Engine, ssh_hosts: Hosts, inventory: Any, tmp_path: Path
) -> None:
    place = f"/tmp/{tmp_path.name}"
    steps = [
        {"hosts": "db", "script": f"while sleep 0.1; do :; done; : {place}", "background": True},
        {"hosts": "clients", "script": "exit 3"},
    ]
    run = trial(engine, inventory, run=steps)["run"]
    assert {name: host.kind for name, host in run.hosts.items()} == {
        "h1": Kind.EXIT, "h2": Kind.CANCELED, "h3": Kind.EXIT,
    }  # fmt: skip
    assert run.status is Status.FAILED
    assert not ssh_hosts["h2"].processes(place)


def test_what_one_step_finds_a_later_one_of_the_same_phase_sees(engine: Engine, inventory: Any) -> None:
    value = "{{ 7 * 7 }} it's $(id) [1, 2]"
    steps = [
        {"hosts": "db", "script": f"cat <<'EOF'\naddr={value}\nEOF", "exports": {"addr": "^addr=(.*)$"}},
        {"hosts": "clients", "script": 'echo "seen=$addr"; echo "mine=$me"', "exports": {"who": "^mine=(.*)$"}},
        {"hosts": "db", "script": 'echo "clients=$who"; echo "own=$addr"'},
    ]
    for phase in ("setup", "run"):
        run = trial(engine, inventory, **{"run": ["true"], phase: steps})[phase]
        assert run.status is Status.SUCCEEDED, run.summary()
        assert [line for line in run.hosts["h1"].stdout.splitlines() if "seen" in line] == [f"seen={value}"]
        lines = run.hosts["h2"].stdout.splitlines()
        assert lines[1:] == ["clients=h1 h3", f"own={value}"]
        assert run.exports == {"addr": value, "who": "h1 h3"}


def test_facts_are_exported(engine: Engine, inventory: Any) -> None:
    steps = [
        {"hosts": "clients", "script": "true"},
        {"hosts": "db", "script": "true", "exports": {"name": "{{ ansible_facts.hostname }}", "role": "{{ me }}"}},
        {"hosts": "clients", "script": 'echo "seen=$name $role"'},
    ]
    results = trial(engine, inventory, gather_facts=True, setup=steps, run=['echo "seen=$name $role"'])
    assert results["setup"].status is Status.SUCCEEDED, results["setup"].summary()
    assert results["setup"].hosts["h3"].stdout == "seen=h2 h2\n"
    assert {host.stdout for host in results["run"].hosts.values()} == {"seen=h2 h2\n"}


def test_a_second_try_knows_what_the_first_one_found(
    engine: Engine, ssh_hosts: Hosts, inventory: Any, tmp_path: Path
) -> None:
    flag = f"/tmp/{tmp_path.name}"
    steps = [
        {"script": "echo addr=$me", "exports": {"addr": "^addr=(.*)$"}},
        {
            "hosts": "clients",
            "script": f'test $me != h3 || test -e {flag} || {{ touch {flag}; exit 3; }}; echo "seen=$addr"',
        },
    ]
    run = trial(engine, inventory, run=steps, retries=1, retry_on=["exit"])["run"]
    ssh_hosts["h3"].exec(f"rm {flag}")
    assert run.status is Status.SUCCEEDED, run.summary()
    assert [host.metrics.get("seen") for host in run.hosts.values()] == ["h1 h2 h3", None, "h1 h2 h3"]
    assert [host.attempts for host in run.hosts.values()] == [1, 1, 2]


def test_when_the_server_was_away_its_clients_are_tried_again_too(
    engine: Engine, ssh_hosts: Hosts, inventory: Any, tmp_path: Path
) -> None:
    flag = f"/tmp/{tmp_path.name}"
    steps = [
        {"hosts": "db", "script": f"test -e {flag} || {{ touch {flag}; exit 3; }}"},
        {"hosts": "clients", "script": "echo seen=1"},
    ]
    run = trial(engine, inventory, run=steps, retries=1, retry_on=["exit"])["run"]
    ssh_hosts["h2"].exec(f"rm {flag}")
    assert run.status is Status.SUCCEEDED, run.summary()
    assert [host.attempts for host in run.hosts.values()] == [2, 2, 2]
