"""Ansible in a container, with a real image: ANSIBLE_ENV_TEST_IMAGE=IMAGE, see CONTRIBUTING.md for how to make one."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_env import Kind, RemoteEnv, Status
from ansible_env.engine.container import ContainerEngine
from tests.hosts import Hosts
from tests.hosts.host import wait_for

IMAGE = os.environ.get("ANSIBLE_ENV_TEST_IMAGE", "")
ENVIRONMENT = r"""
name: contained
const_args: {n: 4, seconds: 0}
secret_params: {token: }
shell_env_params: [n, seconds, token]
setup:
  - tasks: steps/more.yml
  - test -n "$token"
run:
  - 'echo "n=$n"; echo "host=$(hostname)"; echo "$token" >&2; exec sleep "$seconds"'
  - name: Where Ansible is
    ansible.builtin.stat: {path: /run/.containerenv}
    delegate_to: localhost
    connection: local
    register: place
    failed_when: not place.stat.exists
results_stdout_pattern: '^(\w+)=(.*)$'
timeouts: {setup: 60s, run: 20s, grace: 1s}
"""

pytestmark = [
    pytest.mark.ssh,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not IMAGE, reason="needs an image: ANSIBLE_ENV_TEST_IMAGE, make test-container"),
]


@pytest.fixture
def engine() -> Iterator[ContainerEngine]:
    made = ContainerEngine(IMAGE)
    yield made
    made.close()
    left = subprocess.run([made.program, "ps", "-aq"], check=True, capture_output=True, text=True).stdout
    assert left == "", "no container is left"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    (tmp_path / "steps").mkdir()
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/fleet.yml").write_text("from_group: yes, from the group\n")
    message = "{{ ansible_env_params.n }} {{ from_group }}"
    (tmp_path / "steps/more.yml").write_text(f"- ansible.builtin.debug: {{msg: '{message}'}}\n")
    (tmp_path / "env.yml").write_text(ENVIRONMENT)
    return tmp_path / "env.yml"


def test_a_trial(ssh_hosts: Hosts, engine: ContainerEngine, environment: Path) -> None:
    logs = environment.parent / "logs"
    given = {"inventory": ssh_hosts.inventory(), "global_config": {"token": "s3cret-contained", "n": 5}, "logs": logs}
    with RemoteEnv.from_file(environment, engine=engine, **given) as env:
        assert env.setup(), env.results["setup"].summary()
        status, _, metrics = env.run()
        hosts = env.results["run"].hosts
    assert status is Status.SUCCEEDED, env.results["run"].summary()
    assert metrics["n"] == 5
    assert {name: host.metrics["host"] for name, host in hosts.items()} == {name: name for name in ("h1", "h2", "h3")}
    assert Path(hosts["h1"].stdout_log or "").read_text() == "n=5\nhost=h1\n"
    assert not [path for path in logs.rglob("*") if path.is_file() and b"s3cret-contained" in path.read_bytes()]


def test_a_deadline_and_a_cancel(ssh_hosts: Hosts, engine: ContainerEngine, environment: Path) -> None:
    host = ssh_hosts["h1"]
    given = {"inventory": ssh_hosts.inventory(), "limit": "h1", "global_config": {"token": "x", "seconds": 171}}
    with RemoteEnv.from_file(environment, engine=engine, **given) as env:
        late = env.run_phase("run").hosts["h1"]
        assert (late.kind, late.metrics_partial) == (Kind.TIMEOUT, True)

        def cancel() -> None:
            wait_for(lambda: host.exec("pgrep -x sleep -a | grep 171", check=False).returncode == 0, "the script", 60)
            env.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        begin = time.monotonic()
        result = env.run_phase("run")
        thread.join()
    assert result.status is Status.CANCELED
    assert result.hosts["h1"].kind is Kind.CANCELED, "the script was ended on its host, not only Ansible"
    assert time.monotonic() - begin < 100
    assert host.exec("pgrep -x sleep -a | grep 171", check=False).returncode == 1
