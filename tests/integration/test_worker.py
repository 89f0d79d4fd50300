"""ansible-runner's worker in a network namespace of its own: it alone can reach the hosts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_env import ConfigError, Kind, RemoteEnv, Status
from ansible_env.engine.worker import WorkerEngine, worker_command

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Path(sys.executable).with_name("ansible-runner")
ENVIRONMENT = r"""
name: far
const_args: {n: 4, seconds: 0}
secret_params: {token: }
shell_env_params: [n, seconds, token]
setup:
  - tasks: steps/more.yml
  - test -n "$token"
run: ['echo "n=$n"; echo "host=$(hostname)"; echo "$token" >&2; exec sleep "$seconds"']
results_stdout_pattern: '^(\w+)=(.*)$'
timeouts: {setup: 60s, run: 6s, grace: 1s}
"""


by_hand = pytest.mark.skipif("ANSIBLE_ENV_TEST_WORKER" not in os.environ, reason="takes long: make test-worker")


class Far:
    """A network where the hosts are, and what can be started in it."""

    def __init__(self, directory: Path) -> None:
        command = ["unshare", "-n", "sh", "-c", "ip link set lo up && echo up && exec sleep 900"]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout is not None and self._holder.stdout.readline() == "up\n"
        self.enter = f"nsenter -t {self._holder.pid} -n "
        self._directory = directory
        self._hosts("up", "2")
        self.inventory = directory / "inventory.yml"

    def _hosts(self, *words: str) -> None:
        command = [*self.enter.split(), sys.executable, "-m", "tests.hosts", *words, "--dir", str(self._directory)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    def close(self) -> None:
        self._hosts("down")
        assert self._holder.stdout is not None
        self._holder.stdout.close()
        self._holder.terminate()
        self._holder.wait()


@pytest.fixture(scope="module")
def far() -> Iterator[Far]:
    made = Far(Path(f"/tmp/aew{os.getpid()}"))
    yield made
    made.close()


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps/more.yml").write_text("- ansible.builtin.debug: {msg: '{{ ansible_env_params.n }}'}\n")
    (tmp_path / "env.yml").write_text(ENVIRONMENT)
    return tmp_path / "env.yml"


@by_hand
@pytest.mark.root
@pytest.mark.ssh
def test_only_the_worker_reaches_the_hosts(far: Far, environment: Path) -> None:
    given = {"inventory": far.inventory, "global_config": {"token": "s3cret-far", "n": 5}}
    with RemoteEnv.from_file(environment, engine="cold", **given) as env:
        assert not env.setup()
        assert {host.kind for host in env.results["setup"].hosts.values()} == {Kind.UNREACHABLE}
    engine = WorkerEngine(f"command:{far.enter}{RUNNER} worker")
    logs = environment.parent / "logs"
    with RemoteEnv.from_file(environment, engine=engine, logs=logs, **given) as env:
        assert env.setup(), env.results["setup"].summary()
        status, _, metrics = env.run()
        hosts = env.results["run"].hosts
    engine.close()
    assert (status, metrics["n"]) == (Status.SUCCEEDED, 5)
    assert {name: host.metrics["host"] for name, host in hosts.items()} == {"h1": "h1", "h2": "h2"}
    assert Path(hosts["h1"].stdout_log or "").read_text() == "n=5\nhost=h1\n"
    assert not [path for path in logs.rglob("*") if path.is_file() and b"s3cret-far" in path.read_bytes()]


@by_hand
@pytest.mark.root
@pytest.mark.ssh
def test_a_cancel_and_a_deadline(far: Far, environment: Path) -> None:
    engine = WorkerEngine(f"command:{far.enter}{RUNNER} worker")
    given = {"inventory": far.inventory, "limit": "h1", "global_config": {"token": "x", "seconds": 61}}
    with RemoteEnv.from_file(environment, engine=engine, **given) as env:
        late = env.run_phase("run").hosts["h1"]
        assert (late.kind, late.metrics_partial) == (Kind.TIMEOUT, True)
        timer = threading.Timer(4, env.cancel)
        timer.start()
        begin = time.monotonic()
        assert env.run_phase("run").status is Status.CANCELED
        assert time.monotonic() - begin < 60
    engine.close()


@pytest.mark.parametrize(
    ("command", "said"),
    [("command:/nowhere/at/all", "cannot be reached"), ("command:sh -c 'echo no such node >&2'", "no such node")],
)
def test_a_worker_that_is_none(environment: Path, command: str, said: str) -> None:
    engine = WorkerEngine(command)
    with RemoteEnv.from_file(environment, engine=engine, inventory="h1,", global_config={"token": "x"}) as env:
        try:
            host = env.run_phase("run").hosts["h1"]
        except Exception as error:
            assert said in str(error)
        else:
            assert (host.kind, said in host.message) == (Kind.CONTROLLER, True)
    engine.close()


def test_targets() -> None:
    assert worker_command("ssh://me@bastion:2222/opt/bench")[-7:] == [
        "-l", "me", "-p", "2222", "--", "bastion", "/opt/bench/bin/ansible-runner worker"
    ]  # fmt: skip
    assert worker_command("ssh://bastion")[-2:] == ["bastion", "ansible-runner worker"]
    assert worker_command("command:receptorctl work submit n --payload - -f")[:2] == ["receptorctl", "work"]
    for wrong in ("bastion", "ssh://", "ssh://-oProxyCommand=x", "http://bastion", "command:"):
        with pytest.raises(ConfigError):
            worker_command(wrong)
