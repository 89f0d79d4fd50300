"""AnsibleEnv, and whole experiments by the command."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mlos_bench", reason="needs the extra `mlos`")

from mlos_bench.tunables.tunable_groups import TunableGroups

from ansible_env.mlos import AnsibleEnv
from tests.hosts import Hosts
from tests.integration.mlos.conftest import MakeService

pytestmark = [pytest.mark.ssh]
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
TUNABLES = {"g": {"cost": 1, "params": {"n": {"type": "int", "range": [1, 10], "default": 2}}}}


def ansible_env(make_service: MakeService, **config: Any) -> AnsibleEnv:
    globals_ = {"experiment_id": "E", "trial_id": 1}
    tunables = TunableGroups(TUNABLES)
    return AnsibleEnv(
        name="group", config=config, global_config=globals_, tunables=tunables, service=make_service({}, globals_)
    )


@pytest.mark.root
@pytest.mark.smoke
def test_a_group_has_aggregates_and_its_own_hosts(make_service: MakeService) -> None:
    env = ansible_env(
        make_service,
        hosts="h1:h2",
        tunable_params=["g"],
        shell_env_params=["n", "trial_id"],
        setup=["echo $n >/tmp/n"],
        run=['echo "score=$(( $(cat /tmp/n) * $(hostname | tr -d h) )) trial=$trial_id"'],
        teardown=["rm /tmp/n"],
        results_stdout_pattern=r"(\w+)=(\d+)",
        required_metrics=["score"],
        per_host_metrics=True,
    )
    tunables = TunableGroups(TUNABLES)
    for trial, n in ((1, 2), (2, 8)):  # main enters the contexts anew for each trial
        tunables["n"] = n
        with env:
            assert env.setup(tunables, {"experiment_id": "E", "trial_id": trial})
            status, timestamp, metrics = env.run()
            assert status.name == "SUCCEEDED"
            assert metrics is not None
            assert metrics["score"] == n * 1.5
            assert metrics["score{h2}"] == n * 2
            assert metrics["trial"] == trial
            assert timestamp.tzinfo is not None
            assert env.status()[0].name == "READY"
    with env:
        env.teardown()
        assert env.run()[0].name == "PENDING"
    assert env.remote.results["teardown"].status.is_succeeded()


def test_a_failure_has_no_metrics(make_service: MakeService, caplog: pytest.LogCaptureFixture) -> None:
    env = ansible_env(
        make_service,
        hosts="h1",
        run=["echo x=1", "echo why >&2"],
        results_stdout_pattern=r"(\w+)=(\d)",
        required_metrics=["y"],
    )
    with env, caplog.at_level(logging.WARNING):
        assert env.setup(TunableGroups({}))
        status, _, metrics = env.run()
    assert (status.name, metrics) == ("FAILED", None)
    assert "h1: metrics_missing: not in the output: y" in caplog.text
    assert "why" in caplog.text
    env = ansible_env(make_service, hosts="h1", setup=["exit 5"], run=["true"])
    with env:
        assert env.setup(TunableGroups({})) is False
    assert "h1: exit: exit status 5" in caplog.text


@pytest.fixture
def example(ssh_hosts: Hosts, tmp_path: Path) -> Path:
    """The example in a git repository with a remote, as mlos_bench 0.6.2 wants its configurations to be."""
    for name in ("mlos", "sqlite"):
        shutil.copytree(EXAMPLES / name, tmp_path / name)
    for directory in ("mlos", "mlos/redis"):
        shutil.copy(ssh_hosts.inventory(), tmp_path / directory / "inventory.yml")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.invalid"]
    origin = "https://example.invalid/x.git"
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"], ["remote", "add", "origin", origin]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    return tmp_path / "mlos"


@pytest.fixture
def experiment(example: Path) -> Path:
    """The same with an optimizer of two trials, that needs nothing more."""
    (example / "optimizer.jsonc").write_text(
        json.dumps(
            {
                "class": "mlos_bench.optimizers.MockOptimizer",
                "config": {"optimization_targets": {"score": "max"}, "max_suggestions": 2, "seed": 7},
            }
        )
    )
    return example


def mlos_bench(directory: Path, program: str = "ansible-env-mlos", *words: str, **env: str) -> str:
    """Run the command, and return what it said."""
    command = [str(Path(sys.executable).with_name(program)), "--config", "cli.jsonc", *words]
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, check=False, env={**os.environ, **env}
    )
    return f"{done.returncode} {done.stdout[-5000:]} {done.stderr[-5000:]}"


@pytest.mark.timeout(300)
def test_an_experiment_of_the_command(experiment: Path, ssh_hosts: Hosts) -> None:
    said = mlos_bench(experiment)
    assert said.startswith("0 "), said
    with sqlite3.connect(experiment / "mlos_bench.sqlite") as store:
        trials = store.execute("SELECT trial_id, status FROM trial").fetchall()
        assert trials == [(1, "SUCCEEDED"), (2, "SUCCEEDED")]
        scores = store.execute("SELECT metric_value FROM trial_result WHERE metric_id = 'score'").fetchall()
        telemetry = store.execute("SELECT trial_id, metric_id FROM trial_telemetry").fetchall()
    assert all(float(score) > 0 for (score,) in scores)
    assert {(trial, f"cpu_percent{{{host.name}}}") for trial in (1, 2) for host in ssh_hosts} <= set(telemetry)
    assert [host.exec("ls /var/tmp | grep ansible-env", check=False).stdout for host in ssh_hosts] == ["", "", ""]


@pytest.mark.mlos
@pytest.mark.timeout(300)
def test_the_stock_command_knows_our_classes_only_without_its_schemas(experiment: Path) -> None:
    said = mlos_bench(experiment, "mlos_bench")
    assert said.startswith("1 ")
    assert "Failed to validate config" in said
    said = mlos_bench(experiment, "mlos_bench", "--max-suggestions", "1", MLOS_BENCH_SKIP_SCHEMA_VALIDATION="1")
    assert said.startswith("0 "), said


def rows(directory: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(directory / "mlos_bench.sqlite") as store:
        return store.execute(query).fetchall()


@pytest.mark.mlos
@pytest.mark.timeout(600)
def test_twenty_trials_with_flaml_and_then_some_more(example: Path) -> None:
    pytest.importorskip("flaml")
    assert mlos_bench(example).startswith("0 ")
    assert rows(example, "SELECT status, count(*) FROM trial GROUP BY 1") == [("SUCCEEDED", 20)]
    scores = [
        float(score) for (score,) in rows(example, "SELECT metric_value FROM trial_result WHERE metric_id = 'score'")
    ]
    assert max(scores) > scores[0]  # the first one has the default values
    assert mlos_bench(example, "ansible-env-mlos", "--max-suggestions", "2").startswith("0 ")
    assert rows(example, "SELECT max(trial_id) FROM trial")[0][0] > 20
    assert rows(example, "SELECT count(*) FROM experiment") == [(1,)]


@pytest.mark.mlos
@pytest.mark.root
@pytest.mark.timeout(600)
def test_redis_of_mlos_bench_itself(example: Path, ssh_hosts: Hosts) -> None:
    said = mlos_bench(example / "redis", "ansible-env-mlos", "--vmName", "h2")
    assert said.startswith("0 "), said
    assert rows(example / "redis", "SELECT status, count(*) FROM trial GROUP BY 1") == [("SUCCEEDED", 4)]
    measured = rows(example / "redis", "SELECT metric_value FROM trial_result WHERE metric_id = 'SET_rps'")
    assert len(set(measured)) == 4  # and not four times what the first trial wrote
    host = ssh_hosts["h2"]
    assert host.exec("pgrep redis", check=False).stdout == ""
    assert not host.path("/tmp/mlos_bench").exists()
    assert {path.name for path in host.path("/var/tmp/mlos-share/redis").iterdir()} == {"1", "2", "3", "4"}
