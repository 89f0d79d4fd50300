"""The collection in plays of other people: keywords of Ansible on the phase task, and the role with `ignore_errors`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_env.engine.environ import ansible_program
from ansible_env.storage.store import Store

PHASE = "ansible_env.bench.phase"
ROLE = "ansible_env.bench.environment"
MEASURED = {"results_stdout_pattern": r"(\w+)=(\S+)"}


class Plays:
    """Runs a playbook on this machine, with the callback that keeps results."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.said = ""

    def __call__(self, plays: list[dict[str, Any]], hosts: str = "h1,") -> int:
        path = self.directory / "play.yml"
        path.write_text(yaml.safe_dump([{"gather_facts": False, "connection": "local", **play} for play in plays]))
        own = {
            "ANSIBLE_CALLBACKS_ENABLED": "ansible_env.bench.results",
            "ANSIBLE_ENV_ARTIFACTS": str(self.directory / "kept"),
            "ANSIBLE_NOCOLOR": "1",
        }
        env = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")} | own
        python = json.dumps({"ansible_python_interpreter": sys.executable})
        command = [ansible_program("ansible-playbook"), "-i", hosts, "-e", python, str(path)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, cwd=self.directory, env=env,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.said = done.stdout + done.stderr
        return done.returncode

    def noted(self, name: str) -> Any:
        """Return what `note` has written."""
        return json.loads((self.directory / name).read_text())

    def note(self, name: str, value: str) -> dict[str, Any]:
        """Return a task that writes the value of an expression, by host if the name has `{{ inventory_hostname }}`."""
        content = {"content": f"{{{{ {value} | to_json }}}}", "dest": str(self.directory / name), "mode": "0600"}
        return {"ansible.builtin.copy": content}

    def stored(self) -> list[Any]:
        path = self.directory / "kept/store.sqlite"
        if not path.exists():
            return []
        with Store(path) as store:
            return list(store.trials())


@pytest.fixture
def plays(tmp_path: Path) -> Plays:
    return Plays(tmp_path)


def test_keywords_of_a_task(plays: Plays) -> None:
    """`timeout` is a deadline on the target, `environment` is for the script, and `env` takes numbers."""
    sleep = f"sleep 294.{os.getpid()}"
    tasks = [
        {PHASE: {"script": f"{sleep}; echo never", "grace": 1}, "timeout": 1, "register": "one"},
        {PHASE: {"script": "echo $A $B $C $D", "env": {"C": "{{ 3 }}", "D": 4.5}}, "environment": {"B": "task"},
         "register": "two"},
        {PHASE: {"script": f"touch {plays.directory}/no", "results_stdout_pattern": "("}, "register": "three"},
        {PHASE: {"script": f"touch {plays.directory}/no", "env": {"FLAG": True}}, "register": "four"},
        {PHASE: {"scrip": "x"}, "register": "five"},
    ]  # fmt: skip
    tasks = [{**task, "ignore_errors": True} for task in tasks]
    plays([{"hosts": "all", "environment": {"A": "play", "B": "play", "C": "play"},
            "tasks": [*tasks, plays.note("out", "[one, two, three, four, five]")]}])  # fmt: skip
    one, two, three, four, five = plays.noted("out")
    assert (one["kind"], one["status"], one["rc"]) == ("timeout", "TIMED_OUT", 143)
    assert subprocess.run(["pgrep", "-f", sleep], check=False, capture_output=True).returncode == 1
    assert two["stdout"] == "play task 3 4.5\n", two
    for refused, word in ((three, "not a regular expression"), (four, "quote it"), (five, "scrip")):
        assert (refused["kind"], refused["failed"]) == ("rejected", True)
        assert word in refused["msg"]
    assert not (plays.directory / "no").exists()


def test_no_log(plays: Plays) -> None:
    """Nothing is shown and nothing kept: neither the output, nor a trial that would have to be invented."""
    task = {PHASE: {"script": "echo hush=7", **MEASURED}, "no_log": True, "register": "out"}
    assert plays([{"hosts": "all", "name": "silent", "tasks": [task, plays.note("out", "out.metrics")]}]) == 0
    assert plays.noted("out") == {"hush": 7}
    assert "hush" not in plays.said
    assert plays.stored() == []
    assert [path for path in (plays.directory / "kept").rglob("*") if path.is_file()] == []
    del task["no_log"]
    assert plays([{"hosts": "all", "name": "loud", "tasks": [task]}]) == 0
    (trial,) = plays.stored()
    assert (trial.experiment, trial.status.name, dict(trial.metrics)) == ("loud", "SUCCEEDED", {"hush": 7})


def environment(plays: Plays, name: str, **config: Any) -> str:
    path = plays.directory / f"{name}.yml"
    path.write_text(yaml.safe_dump({"name": name, **config}))
    return str(path)


def test_a_refused_call_of_the_role_is_not_the_one_before(plays: Plays) -> None:
    """With `ignore_errors`, and after a call that has succeeded."""
    file = environment(plays, "role", run=f"echo run >>{plays.directory}/runs", const_args={"n": 1})
    calls = [
        {"environment_file": file},
        {"environment_file": file, "environment_params": {"nothere": 1}},
        {"environment_file": f"{file}.none"},
    ]
    tasks: list[dict[str, Any]] = []
    for number, variables in enumerate(calls):
        call = {"ansible.builtin.include_role": {"name": ROLE, "apply": {"ignore_errors": True}}, "vars": variables}
        tasks += [{**call, "ignore_errors": True}, plays.note(f"status{number}", "environment_status")]
    assert plays([{"hosts": "all", "tasks": tasks}]) == 0, plays.said
    assert [plays.noted(f"status{number}") for number in range(3)] == ["SUCCEEDED", "PENDING", "PENDING"]
    assert (plays.directory / "runs").read_text() == "run\n"


@pytest.mark.parametrize("fatal", [pytest.param(False, marks=pytest.mark.long), True])
def test_a_host_whose_run_never_began(plays: Plays, fatal: bool) -> None:
    """Setup failed on another host: the group is not measured, and no host has succeeded."""
    file = environment(
        plays, "pair", setup=f'[ "$host" = good ] && touch {plays.directory}/$host', run=f"touch {plays.directory}/run",
        teardown="true", host_params={"host": "inventory_hostname"}, shell_env_params=["host"], exclusive=False,
    )  # fmt: skip
    call = {
        "ansible.builtin.include_role": {"name": ROLE},
        "vars": {"environment_file": file, "environment_fail": False},
    }
    tasks = [call, plays.note("{{ inventory_hostname }}", "[environment_status, environment_results]")]
    plays([{"hosts": "all", "any_errors_fatal": fatal, "tasks": tasks}], "good,bad,")
    assert "is undefined" not in plays.said
    status, results = plays.noted("good")
    assert (status, results["setup"]["status"]) == ("PENDING", "SUCCEEDED"), plays.said
    assert results["run"]["kind"] == "not_run"
    assert plays.noted("bad")[0] == "FAILED"
    assert not (plays.directory / "run").exists()
