"""One environment file by three doors, and what the Ansible one does that the others have no need of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
import yaml

from ansible_env import RemoteEnv
from ansible_env.storage.store import Store
from tests.hosts import Hosts

pytestmark = [pytest.mark.ssh]

PROGRAMS = Path(sys.executable).parent
BROKEN = "inventory_hostname == ansible_env_params.broken"
ENVIRONMENT: dict[str, Any] = {
    "name": "doors",
    "hosts": "fleet",
    "const_args": {"n": 1, "broken": "none"},
    "tunables": {"g": {"cost": 1, "params": {"threads": {"type": "int", "range": [1, 9], "default": 2}}}},
    "secret_params": {"token": None},
    "shell_env_params": ["n", "threads", "token"],
    "setup": [
        {"script": "echo name=$(hostname)", "exports": {"names": "^name=(.*)$"}},
        {"role": "beside"},
        {"name": "Break it", "ansible.builtin.fail": {"msg": "on purpose"}, "when": BROKEN},
    ],
    "run": [
        'echo "n=$n"; echo "names=$names"; echo "threads=$threads"; test -n "$token"; [ "$(hostname)" != h3 ] || exit 3'
    ],
    "teardown": ["echo cleaning"],
    "results_stdout_pattern": r"^(\w+)=(.*)$",
    "required_metrics": ["n", "threads"],
}
PARAMS = {"n": 5, "threads": 7, "token": "s3cr3t-of-doors"}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "doors.yml").write_text(yaml.safe_dump(ENVIRONMENT))
    (tmp_path / "params.yml").write_text(yaml.safe_dump(PARAMS))
    role = tmp_path / "roles/beside/tasks/main.yml"
    role.parent.mkdir(parents=True)
    role.write_text("- ansible.builtin.debug: {msg: a role beside the environment file}\n")
    return tmp_path


def start(here: Path, program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "ANSIBLE_ENV_ARTIFACTS": str(here / "kept"), **variables}
    command = [sys.executable, str(PROGRAMS / program), *arguments]
    return subprocess.run(command, cwd=here, env=env, capture_output=True, text=True, timeout=100)


def told(phases: dict[str, Any]) -> dict[str, Any]:
    """What must be the same, however an environment is run."""
    return {
        phase: {
            name: (host["status"], host["kind"], host["rc"], host["metrics"]) for name, host in found["hosts"].items()
        }
        for phase, found in phases.items()
    }


@pytest.mark.smoke
def test_three_doors(ssh_hosts: Hosts, here: Path) -> None:
    inventory = str(ssh_hosts.inventory())
    with RemoteEnv.from_file(here / "doors.yml", inventory=inventory, global_config=PARAMS) as env:
        env.setup()
        env.run()
        env.teardown()
        by_python = {phase: result.to_dict() for phase, result in env.results.items()}
    done = start(here, "ansible-env", "trial", "doors.yml", "-i", inventory, "--params-file", "params.yml")
    assert done.returncode == 1, done.stderr
    (kept,) = here.glob("kept/doors/*/trial-1/result.json")
    by_shell = json.loads(kept.read_text())["phases"]
    extra = json.dumps({"environment_file": "doors.yml", "params": PARAMS})
    done = start(
        here, "ansible-playbook", "ansible_env.bench.trial", "-i", inventory, "-e", extra,
        ANSIBLE_CALLBACKS_ENABLED="ansible_env.bench.results",
    )  # fmt: skip
    assert done.returncode == 2, done.stdout
    assert "exit: exit status 3" in done.stdout
    (kept,) = set(here.glob("kept/doors/*/trial-1/result.json")) - {kept}
    by_ansible = json.loads(kept.read_text())

    assert told(by_python) == told(by_shell) == told(by_ansible["phases"])
    measured = {"n": 5, "names": "h1 h2 h3", "threads": 7}
    assert told(by_python)["run"]["h1"] == ("SUCCEEDED", "ok", 0, measured)
    assert told(by_python)["run"]["h3"] == ("FAILED", "exit", 3, measured)
    assert by_ansible["status"] == "FAILED"
    assert by_ansible["params"] == {**PARAMS, "token": "********", "broken": "none", **TRIAL}
    assert not [p for p in here.glob("kept/**/*") if p.is_file() and PARAMS["token"].encode() in p.read_bytes()]
    # The log of each script, the playbooks, and the environment file are in the bundle, as the command leaves them.
    assert (kept.parent / "logs/run/h1.stdout").read_text() == "n=5\nnames=h1 h2 h3\nthreads=7\n"
    names = {path.name for path in kept.parent.iterdir()}
    assert {"bundle.json", "environment.yml", "setup.yml", "run.yml", "teardown.yml", "result.json", "logs"} <= names
    with Store(here / "kept/store.sqlite") as store:
        assert [trial.status.name for trial in store.trials("doors")] == ["FAILED", "FAILED"]


TRIAL = {"experiment_id": "doors", "trial_id": 1, "trial_runner_id": 1}


def test_what_awx_sees(ssh_hosts: Hosts, here: Path) -> None:
    """A host that fails in setup, and one that is not there: nobody runs, everybody who is left is torn down."""
    data = yaml.safe_load(Path(ssh_hosts.inventory()).read_text())
    data["fleet"]["hosts"]["gone"] = {**data["fleet"]["hosts"]["h1"], "ansible_port": 1}
    (here / "runner").mkdir()
    run = ansible_runner.run(
        private_data_dir=str(here / "runner"),
        playbook="ansible_env.bench.trial",
        inventory=data,
        limit="h1,h2,gone",
        extravars={"environment_file": str(here / "doors.yml"), "params": {**PARAMS, "broken": "h1"}},
        envvars={"ANSIBLE_HOST_KEY_CHECKING": "True"},
        quiet=True,
    )
    stats = next(event["event_data"] for event in run.events if event["event"] == "playbook_on_stats")
    found = stats["artifact_data"]["ansible_env"]
    assert (found["environment"], found["phase"], found["status"]) == ("doors", "setup", "FAILED")
    assert {name: host["kind"] for name, host in found["hosts"].items()} == {
        "h1": "task",
        "h2": "ok",
        "gone": "unreachable",
    }
    assert "on purpose" in found["hosts"]["h1"]["message"]
    scripts = [
        (event["event_data"]["host"], event["event_data"]["task"])
        for event in run.events
        if event["event"] in ("runner_on_ok", "runner_on_failed") and "script" in event["event_data"]["task"]
    ]
    assert sorted(scripts) == [
        (host, f"{phase} script") for host in ("gone", "h1", "h2") for phase in ("Setup", "Teardown")
    ], "whatever came before, everybody is torn down"
    assert stats["failures"] == {"gone": 1, "h1": 1}
    assert found["params"]["token"] == "********"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--tags", "run"], {"Run script"}),
        (["--check", "--diff"], set()),
        (["--tags", "setup,teardown", "--limit", "h2"], {"Setup script", "Teardown script"}),
    ],
    ids=["tags", "check", "limit"],
)
def test_options_of_ansible_playbook(ssh_hosts: Hosts, here: Path, arguments: list[str], expected: set[str]) -> None:
    extra = json.dumps({"environment_file": "doors.yml", "params": PARAMS})
    limit = [] if "--limit" in arguments else ["--limit", "h1"]
    done = start(
        here, "ansible-playbook", "ansible_env.bench.trial", "-i", str(ssh_hosts.inventory()), "-e", extra,
        *arguments, *limit, ANSIBLE_STDOUT_CALLBACK="ansible.builtin.default",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    blocks = [block for block in done.stdout.split("\nTASK [") if "changed: [" in block]
    assert {block.partition("]")[0].rpartition(" : ")[2] for block in blocks} == expected
    assert "PLAY RECAP" in done.stdout
