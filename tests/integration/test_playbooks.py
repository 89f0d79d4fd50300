"""The examples in playbooks/, as somebody runs them who has just copied them.

`trial.yml` and `client_server.yml` are those of the Molecule scenarios `default` and `group`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts import Hosts

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).parent / "ansible-playbook"
QUICK = {"rows": 1000, "seconds": 0.1}

pytestmark = [pytest.mark.ssh]


def play(hosts: Hosts, name: str, limit: str | None = None, **extra: object) -> tuple[int, str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    env |= {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_SHOW_CUSTOM_STATS": "1", "COLUMNS": "200"}
    command = [sys.executable, PROGRAM, ROOT / "playbooks" / name, "-i", hosts.inventory(), "-e", json.dumps(extra)]
    command += ["--limit", limit] if limit else []
    done = subprocess.run(
        [*map(str, command)], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100
    )
    return done.returncode, done.stdout + done.stderr


def test_what_is_too_slow_is_rolled_back(ssh_hosts: Hosts) -> None:
    file = f"/var/tmp/{os.urandom(4).hex()}"
    code, said = play(ssh_hosts, "deploy.yml", limit="h1", app_dir=file, level=3, tolerated=0)
    assert (code, "deployed: {" in said) == (0, True), said
    code, said = play(ssh_hosts, "deploy.yml", limit="h1", app_dir=file, level=9, tolerated=1000)
    assert (code, "rolled back: {" in said) == (0, True), said
    assert ssh_hosts["h1"].exec(f"cat {file}/archiver.conf").stdout == "level=3\n"


def test_a_rolling_benchmark_ends_at_the_first_that_is_too_slow(ssh_hosts: Hosts) -> None:
    code, said = play(ssh_hosts, "rolling.yml", at_least=10**15)
    assert code == 2, said
    assert re.search(r"h1 does \d+ lines/s", said)
    assert "changed: [h1]" in said
    assert "changed: [h2]" not in said


def test_two_groups_are_compared(ssh_hosts: Hosts) -> None:
    code, said = play(ssh_hosts, "compare.yml", old="h1", new="h2,h3", params=QUICK)
    assert code == 0, said
    assert re.search(r"score: [\d.]+ \(old\), [\d.]+ \(new\), -?[\d.]+ %", said), said


def test_two_groups_of_which_one_has_failed(ssh_hosts: Hosts) -> None:
    """A host that cannot do it: there is nothing to compare, and that is said."""
    code, said = play(ssh_hosts, "compare.yml", old="h1", new="h2", params={**QUICK, "bench_dir": "/proc/nowhere"})
    assert code == 2, said
    assert "no score of both. Old has nothing; new has nothing. Hosts: h1 FAILED, h2 FAILED" in said


def test_a_job_template_of_awx(ssh_hosts: Hosts) -> None:
    code, said = play(ssh_hosts, "awx.yml", limit="h1", journal_mode="WAL", seconds=0.1)
    assert code == 0, said
    stats = json.loads(said.partition("RUN: ")[2].splitlines()[0])["ansible_env"]
    assert (stats["status"], stats["phase"], list(stats["hosts"])) == ("SUCCEEDED", "run", ["h1"])
    assert stats["params"]["journal_mode"] == "WAL"
    assert stats["params"]["synchronous"] == "FULL", "what the survey does not ask for is the file's"
    assert stats["metrics"]["score"] > 0
