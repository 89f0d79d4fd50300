"""What the phase task returns passes through ansible-core unchanged, whichever version it is."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from ansible_env import ColdEngine, Engine, Kind, RemoteEnv, WarmEngine
from ansible_env.engine.environ import ansible_program
from tests.hosts import Hosts

pytestmark = pytest.mark.smoke

PLAY = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": [
            {"ansible_env.bench.phase": {"script": "sleep 0.2; exit 3"}, "register": "bench", "ignore_errors": True},
            {"ansible.builtin.copy": {"dest": "{{ into }}", "content": "{{ bench }}", "mode": "0600"}},
        ],
    }
]


@pytest.mark.parametrize("make_engine", [ColdEngine, WarmEngine])
def test_times_reach_the_result_of_a_host(make_engine: Callable[[], Engine]) -> None:
    check_times(make_engine(), None)


@pytest.mark.ssh
@pytest.mark.parametrize("make_engine", [ColdEngine, WarmEngine])
def test_times_reach_the_result_of_a_remote_host(make_engine: Callable[[], Engine], ssh_hosts: Hosts) -> None:
    check_times(make_engine(), str(ssh_hosts.inventory()))


def check_times(engine: Engine, inventory: str | None) -> None:
    before = datetime.now(UTC)
    config = {"name": "t", "run": "sleep 0.2"}
    with closing(engine), RemoteEnv(config=config, inventory=inventory, limit=inventory and "h1", engine=engine) as env:
        (host,) = env.run_phase("run").hosts.values()
    assert host.kind is Kind.OK
    assert host.started is not None and host.finished is not None and host.elapsed is not None
    assert before <= host.started < host.finished <= datetime.now(UTC)
    assert 0.2 <= host.elapsed < 60


def test_ansible_changes_no_value_and_warns_of_none(tmp_path: Path) -> None:
    play, into = tmp_path / "play.yml", tmp_path / "result.json"
    play.write_text(yaml.safe_dump(PLAY))
    done = subprocess.run(
        [ansible_program("ansible-playbook"), "-c", "local", "-i", "localhost,", "-e", f"into={into}", play],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_NOCOLOR": "1"},
        check=True,
    )
    assert "WARNING" not in done.stdout + done.stderr
    result = json.loads(into.read_text())
    assert (result["kind"], result["rc"], result["failed"], result["changed"]) == ("exit", 3, True, True)
    start, end = datetime.fromisoformat(result["start"]), datetime.fromisoformat(result["end"])
    assert result["elapsed"] == pytest.approx((end - start).total_seconds())
    assert result["elapsed"] >= 0.2
