"""A trial with a wrong pattern, replayed with the right one, against a trial that had the right one from the start."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml

from ansible_env.storage.store import Store

SCRIPT = ["echo 'throughput: 1234.5 ops'", "echo 'p99: 7 ms'; echo noise=1", "printf 'last: 3 s'"]
RIGHT = r"^(\w+): (\S+) \w+$"


@pytest.fixture
def command(tmp_path):
    def call(*arguments, code):
        done = subprocess.run(
            [sys.executable, "-m", "ansible_env", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "ANSIBLE_ENV_ARTIFACTS": str(tmp_path / "kept")},
            timeout=100,
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)["trials"]

    return call


def test_the_corrected_pattern_gives_what_the_right_one_would_have(tmp_path, command):
    base = {"name": "x", "run": SCRIPT, "required_metrics": ["throughput", "last"]}
    for name, pattern in (("wrong", r"^(\w+)=(\S+)$"), ("right", RIGHT)):
        (tmp_path / f"{name}.yml").write_text(yaml.safe_dump({**base, "results_stdout_pattern": pattern}))
    (wrong,) = command("trial", "wrong.yml", "-q", "-o", "json", code=1)
    (right,) = command("trial", "right.yml", "-q", "-o", "json", code=0)
    assert wrong["metrics"] != right["metrics"]
    (replayed,) = command("replay", wrong["artifacts"], "--pattern", RIGHT, "--save", "-o", "json", code=0)
    assert replayed["metrics"] == right["metrics"] == {"throughput": 1234.5, "p99": 7, "last": 3}
    assert replayed["status"] == right["status"] == "SUCCEEDED"
    with Store(tmp_path / "kept" / "store.sqlite") as store:
        first, second = store.trials("x")
    assert first.metrics == second.metrics
    assert (first.status, second.status) == (second.status, first.status)
