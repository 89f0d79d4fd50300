"""Groups on real hosts: policies, hosts that get lost, hosts that begin together, trials side by side."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_env import Engine, Kind, RemoteEnv, Status, run_trials
from ansible_env.results.phase_result import PhaseResult
from tests.hosts import Host, Hosts

pytestmark = pytest.mark.ssh

CONFIG: dict[str, Any] = {
    "name": "groups",
    "shell": "sh",
    "results_stdout_pattern": r"^(\w+)=(\d+)$",
    "aggregate": {"rps": "sum", "ms": "max", "*": "mean"},
    "per_host_metrics": True,
}
MEASURE = "test {host} != {failing} || exit 3; n=$(echo {host} | tr -d h); echo rps=$n; echo ms=$n; echo load=$n"
TUNABLES = {"g": {"cost": 1, "params": {"x": {"type": "int", "range": [0, 99], "default": 5}}}}


@contextlib.contextmanager
def down(host: Host) -> Iterator[None]:
    """A host that nobody reaches, for a while."""
    host.refuse()
    host.cut()
    try:
        yield
    finally:
        host.accept()


def named(hosts: Hosts, **groups: list[str]) -> dict[str, Any]:
    """The hosts with a variable by which a script knows its name, and groups of them."""
    data = hosts.inventory_dict()
    for name, variables in data["fleet"]["hosts"].items():
        variables["me"] = name
    return {"all": {"children": data | {name: {"hosts": dict.fromkeys(found)} for name, found in groups.items()}}}


def run(engine: Engine, inventory: Any, script: str, **config: Any) -> PhaseResult:
    fields = CONFIG | {"host_params": {"me": "me"}, "shell_env_params": ["me"], "run": [script]} | config
    with RemoteEnv(config=fields, inventory=inventory, engine=engine) as env:
        assert env.setup()
        env.run()
        return env.results["run"]


def measure(failing: str) -> str:
    return MEASURE.format(host="$me", failing=failing)


def kinds(result: PhaseResult) -> dict[str, str]:
    return {name: str(host.kind) for name, host in result.hosts.items()}


POLICIES = [
    ({"success": "all"}, "FAILED"),
    ({"success": "any"}, "SUCCEEDED"),
    ({"success": {"at_least": 1}}, "SUCCEEDED"),
    ({"success": {"at_least": 2}}, "FAILED"),
    ({"success": {"fraction": 0.3}}, "SUCCEEDED"),
    ({"success": {"fraction": 0.5}, "max_unreachable": 1}, "SUCCEEDED"),
    ({"success": "any", "max_unreachable": 0}, "FAILED"),
]


@pytest.mark.parametrize(("policy", "status"), POLICIES, ids=[str(policy) for policy, _ in POLICIES])
def test_one_is_down_and_one_fails(engine: Engine, ssh_hosts: Hosts, policy: dict[str, Any], status: str) -> None:
    with down(ssh_hosts["h1"]):
        result = run(engine, named(ssh_hosts), measure("h2"), **policy)
    assert kinds(result) == {"h1": "unreachable", "h2": "exit", "h3": "ok"}
    assert result.status.name == status
    assert result.hosts["h3"].metrics == {"rps": 3, "ms": 3, "load": 3}
    assert result.metrics == {"rps": 3, "ms": 3, "load": 3, "rps{h3}": 3, "ms{h3}": 3, "load{h3}": 3}


def test_metrics_of_each_host_and_of_all(engine: Engine, ssh_hosts: Hosts) -> None:
    result = run(engine, named(ssh_hosts), measure("none"), per_host_metrics=False)
    assert result.metrics == {"rps": 6, "ms": 3, "load": 2}
    assert [host.metrics["rps"] for host in result.hosts.values()] == [1, 2, 3]


def test_a_failure_stops_the_others(engine: Engine, ssh_hosts: Hosts) -> None:
    script = "case $me in h1) echo rps=1 ;; h2) sleep 1; exit 3 ;; *) echo rps=3; sleep 90 ;; esac"
    result = run(engine, named(ssh_hosts), script, on_host_failure="stop", success="majority")
    assert kinds(result) == {"h1": "ok", "h2": "exit", "h3": "canceled"}
    assert result.status is Status.FAILED
    assert result.hosts["h1"].metrics == {"rps": 1}
    assert "h2 had failed" in result.hosts["h3"].message


def test_hosts_that_are_lost_in_setup_do_not_run_and_are_torn_down(
    engine: Engine, ssh_hosts: Hosts, tmp_path: Path
) -> None:
    place = f"/tmp/{tmp_path.name}"
    config = CONFIG | {
        "host_params": {"me": "me"},
        "shell_env_params": ["me"],
        "success": "majority",
        "setup": [f"mkdir -p {place}; touch {place}/$me; test $me != h2"],
        "run": [f"touch {place}/run-$me; echo rps=1"],
        "teardown": [f"rm {place}/$me"],
    }
    with RemoteEnv(config=config, inventory=named(ssh_hosts), engine=engine) as env:
        assert env.setup()
        status, _, metrics = env.run()
        env.teardown()
    left = {host.name: host.exec(f"ls {place}; rm -r {place}").stdout.split() for host in ssh_hosts}
    assert (status, metrics and metrics["rps"]) == (Status.SUCCEEDED, 2)
    assert list(env.results["run"].hosts) == ["h1", "h3"]
    assert env.results["run"].dropped["h2"].kind is Kind.EXIT
    assert kinds(env.results["teardown"]) == {"h1": "ok", "h2": "ok", "h3": "ok"}
    assert left == {"h1": ["run-h1"], "h2": [], "h3": ["run-h3"]}


@pytest.mark.parametrize(("retry_on", "kind"), [(["exit"], "ok"), (["unreachable"], "exit")])
def test_what_is_tried_again(engine: Engine, ssh_hosts: Hosts, tmp_path: Path, retry_on: list[str], kind: str) -> None:
    flag = f"/tmp/{tmp_path.name}"
    script = f"echo x >>{flag}; test $me != h2 || test $(wc -l <{flag}) = 2 || exit 3; echo rps=1"
    result = run(engine, named(ssh_hosts), script, retries=1, retry_on=retry_on)
    counts = [host.exec(f"wc -l <{flag}; rm {flag}").stdout.strip() for host in ssh_hosts]
    assert kinds(result) == {"h1": "ok", "h2": kind, "h3": "ok"}
    again = kind == "ok"
    assert counts == ["1", "2" if again else "1", "1"], "only the host that failed is asked again"
    assert [host.attempts for host in result.hosts.values()] == [1, 2 if again else 1, 1]
    assert result.metrics["rps"] == (3 if again else 2)


def test_they_start_together_whatever_forks_is(engine: Engine, ssh_hosts: Hosts) -> None:
    alone, together = (
        run(engine, named(ssh_hosts), "echo rps=1; sleep 0.4", start=start, forks=1)
        for start in ("when_ready", "together")
    )
    assert kinds(together) == {"h1": "ok", "h2": "ok", "h3": "ok"}
    assert alone.skew is None
    assert together.skew is not None
    assert together.skew == pytest.approx(spread(together), abs=0.05), "these hosts share one clock"
    assert together.skew < spread(alone) / 2, "one fork, one after the other"
    assert all(host.clock_error is not None for host in together.hosts.values())
    assert together.to_dict()["skew"] == together.skew


def spread(result: PhaseResult) -> float:
    starts = [host.started for host in result.hosts.values() if host.started]
    assert len(starts) == len(result.hosts)
    return (max(starts) - min(starts)).total_seconds()


# Many trials at once


def sweep(engine: Engine, hosts: Hosts, script: str, **config: Any) -> RemoteEnv:
    fields = CONFIG | {"tunables": TUNABLES, "shell_env_params": ["x"], "run": [script], "per_host_metrics": False}
    return RemoteEnv(config=fields | config, inventory=hosts.inventory(), engine=engine)


@pytest.mark.long
def test_a_host_that_dies_in_a_sweep_costs_no_trial(engine: Engine, ssh_hosts: Hosts) -> None:
    results = []
    with contextlib.ExitStack() as stack, sweep(engine, ssh_hosts, "sleep 0.3; echo score=$x") as env:
        for result in run_trials(env, [{"x": n} for n in range(8)], repeat=2, seed=1):
            results.append(result)
            if len(results) == 4:
                stack.enter_context(down(ssh_hosts["h2"]))
    counted = Counter((result.values["x"], result.request.repeat) for result in results)
    assert counted == dict.fromkeys([(x, n) for x in range(8) for n in (1, 2)], 1)
    assert all(result.status is Status.SUCCEEDED for result in results)
    assert all(result.metrics == {"score": result.values["x"]} for result in results)
    assert {result.hosts for result in results[-4:]} == {("h1",), ("h3",)}
    assert sum(result.attempts for result in results) > 16, "the trial on the host that died was begun again"


def test_trials_of_two_hosts_each(engine: Engine, ssh_hosts: Hosts) -> None:
    with sweep(engine, ssh_hosts, "echo score=$x", aggregate={"score": "sum"}) as env:
        results = list(run_trials(env, [{"x": 1}, {"x": 2}], hosts_per_trial=2))
    assert sorted(result.metrics["score"] for result in results) == [2, 4]  # type: ignore[type-var]
    assert all(len(set(result.hosts)) == 2 for result in results)
    assert all(set(result.phases["run"].hosts) == set(result.hosts) for result in results)
