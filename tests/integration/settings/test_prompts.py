"""Nothing of Ansible's waits for a terminal: prompts take their defaults; passwords are known before, or refused."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml

from ansible_env import ColdEngine, ConfigError, Engine, Kind, Options, RemoteEnv, SessionEngine, Status, WarmEngine
from ansible_env.config.model import EnvironmentConfig
from ansible_env.engine.worker import WorkerEngine
from tests.hosts import Hosts, HostSpec
from tests.hosts.procs import all_pids

pytestmark = pytest.mark.ssh

AT_ONCE = 40
"""Seconds: far below any deadline, far above what a busy machine needs."""
BIN = Path(sys.executable).parent
WORKER = f"command:env PATH={BIN}:/usr/bin:/bin {BIN}/ansible-runner worker"
ENGINES: dict[str, Callable[[], Engine]] = {
    "cold": ColdEngine,
    "warm": WarmEngine,
    "session": SessionEngine,
    "worker": lambda: WorkerEngine(WORKER),
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    made = ENGINES[request.param]()
    yield made
    made.close()


def run(engine: Engine, hosts: Hosts, steps: list[Any], *, beside: Path | None = None) -> Any:
    data = {"name": "prompts", "run": steps, "results_stdout_pattern": r"^(\w+)=(\w*)$"}
    config = EnvironmentConfig.from_mapping(data, source=beside / "env.yml" if beside else None)
    begun = time.monotonic()
    with RemoteEnv(config=config, inventory=hosts.inventory(), limit="h1", engine=engine) as env:
        result = env.run_phase("run")
    assert time.monotonic() - begun < AT_ONCE
    return result


def test_vars_prompt_takes_its_default(engine: Engine, ssh_hosts: Hosts, tmp_path: Path) -> None:
    prompts = [{"name": "size", "prompt": "How much", "default": "medium"}]
    task = {"ansible_env.bench.phase": {"script": "echo size={{ size }}", "results_stdout_pattern": r"^(\w+)=(\w*)$"}}
    play = {"hosts": "all", "gather_facts": False, "vars_prompt": prompts, "tasks": [task]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    result = run(engine, ssh_hosts, [{"import_playbook": "play.yml"}, "true"], beside=tmp_path)
    assert result.status is Status.SUCCEEDED, result.summary()
    assert result.metrics == {"size": "medium"}


def test_pause_does_not_wait_for_anybody(engine: Engine, ssh_hosts: Hosts) -> None:
    result = run(engine, ssh_hosts, [{"ansible.builtin.pause": {"prompt": "Ready?"}}, "echo score=1"])
    assert (result.status, result.metrics) == (Status.SUCCEEDED, {"score": 1})


def test_the_debugger_does_not_wait_for_anybody(engine: Engine, ssh_hosts: Hosts) -> None:
    result = run(engine, ssh_hosts, [{"ansible.builtin.fail": {"msg": "no luck"}, "debugger": "on_failed"}, "true"])
    assert result.status is Status.FAILED


def test_ssh_does_not_wait_for_anybody(engine: Engine, ssh_hosts: Hosts) -> None:
    """A host whose key nobody knows: ssh would ask on the terminal."""
    data = ssh_hosts.inventory_dict()
    variables = data["fleet"]["vars"]
    arguments = variables["ansible_ssh_common_args"]
    arguments = arguments.replace("StrictHostKeyChecking=yes", "StrictHostKeyChecking=ask")
    arguments = arguments.replace(str(ssh_hosts.known_hosts), "/dev/null")
    variables["ansible_ssh_common_args"] = f"{arguments} -o ControlPath=none"
    begun = time.monotonic()
    config = {"name": "prompts", "run": "true"}
    with RemoteEnv(config=config, inventory=data, limit="h1", engine=engine) as env:
        result = env.run_phase("run")
    assert time.monotonic() - begun < AT_ONCE
    assert result.hosts["h1"].kind in (Kind.UNREACHABLE, Kind.AUTH)


@pytest.mark.parametrize("argument", ["-K", "--ask-pass", "-J", "--step", "--vault-id=x@prompt"])
def test_arguments_that_ask_are_refused(engine: Engine, argument: str) -> None:
    config = {"name": "prompts", "run": "true"}
    with (
        RemoteEnv(config=config, engine=engine, options=Options(arguments=(argument,))) as env,
        pytest.raises(ConfigError, match=argument.partition("=")[0]),
    ):
        env.run_phase("run")


# The command

SUDO = "sudo -K is no password"


@pytest.fixture(scope="module")
def sudo_hosts() -> Iterator[Hosts]:
    with Hosts([HostSpec("h1", sudo="password")]) as hosts:
        yield hosts


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    config = {
        "name": "asked",
        "become": True,
        "run": "echo user=$(id -un); sleep 3",
        "results_stdout_pattern": r"^(\w+)=(\w+)$",
    }
    (tmp_path / "env.yml").write_text(yaml.safe_dump(config))
    return [sys.executable, "-m", "ansible_env"]


def inventory_of(hosts: Hosts, tmp_path: Path) -> Path:
    """Return one that knows no password."""
    data = hosts.inventory_dict(user="bench")
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(data))
    return tmp_path / "hosts.yml"


@pytest.mark.root
def test_a_password_is_asked_for_once_and_is_nowhere(sudo_hosts: Hosts, command: list[str], tmp_path: Path) -> None:
    inventory = inventory_of(sudo_hosts, tmp_path)
    arguments = ["trial", "env.yml", "-i", str(inventory), "-K", "-o", "json", "--artifacts", "kept", "-vvv"]
    env = {**os.environ, "ANSIBLE_ENV_STORE": str(tmp_path / "store.sqlite")}
    (tmp_path / "ansible.cfg").write_text("[defaults]\nlog_path = ./ansible.log\nlog_verbosity = 4\n")
    child = pexpect.spawn(command[0], [*command[1:], *arguments], cwd=str(tmp_path), env=env, timeout=AT_ONCE)
    child.expect_exact("BECOME password: ")
    child.sendline(sudo_hosts.sudo_password)
    secret = sudo_hosts.sudo_password.encode()
    seen: set[str] = set()
    modes: set[int] = set()
    while child.isalive():
        seen |= {f"{pid}" for pid in all_pids() if secret in read(Path(f"/proc/{pid}/cmdline"))}
        modes |= {path.stat().st_mode & 0o777 for path in Path("/tmp").glob("ae-*/run-*/env/*") if secret in read(path)}
        time.sleep(0.1)
        try:
            child.read_nonblocking(100_000, timeout=0)
        except (pexpect.TIMEOUT, pexpect.EOF):
            continue
    child.close()
    assert child.exitstatus == 0
    (result,) = (tmp_path / "kept").rglob("result.json")
    assert '"root"' in result.read_text()
    assert seen == set()
    assert modes == {0o600}
    assert [path for path in files(tmp_path) if secret in read(path)] == []


def test_the_login_password_is_the_default_of_the_other(command: list[str], tmp_path: Path) -> None:
    arguments = ["trial", "env.yml", "-k", "-K", "-i", "one,", "-c", "local", "--artifacts", "kept"]
    env = {**os.environ, "ANSIBLE_ENV_STORE": str(tmp_path / "store.sqlite")}
    child = pexpect.spawn(command[0], [*command[1:], *arguments], cwd=str(tmp_path), env=env, timeout=AT_ONCE)
    child.expect_exact("SSH password: ")
    child.sendline("one for both")
    child.expect_exact("BECOME password[defaults to SSH password]: ")
    child.sendline("")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    assert [path for path in files(tmp_path) if b"one for both" in read(path)] == []


@pytest.mark.parametrize("keys", ["\x04", "\x03"], ids=["end of input", "interrupt"])
def test_no_answer_ends_the_call(command: list[str], tmp_path: Path, keys: str) -> None:
    child = pexpect.spawn(command[0], [*command[1:], "trial", "env.yml", "-K"], cwd=str(tmp_path), timeout=AT_ONCE)
    child.expect_exact("BECOME password: ")
    child.send(keys)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == (2 if keys == "\x04" else 130), child.before


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("arguments", "setting", "named"),
    [
        (["-K"], "", "--ask-become-pass"),
        (["-k"], "", "--ask-pass"),
        ([], "[privilege_escalation]\nbecome_ask_pass = True", "become_ask_pass in"),
        ([], "[defaults]\nask_pass = yes", "ask_pass in"),
        ([], "[defaults]\nask_vault_pass = 1", "ask_vault_pass in"),
        ([], "[defaults]\nvault_identity_list = dev@prompt", "vault_identity_list in"),
    ],
)
@pytest.mark.parametrize("name", ["trial", "doctor"])
def test_without_a_terminal_it_is_refused(
    command: list[str], tmp_path: Path, name: str, arguments: list[str], setting: str, named: str
) -> None:
    (tmp_path / "ansible.cfg").write_text(setting + "\n")
    arguments = [*command, name, "env.yml", *arguments]
    begun = time.monotonic()
    done = subprocess.run(
        arguments, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=AT_ONCE
    )
    assert time.monotonic() - begun < AT_ONCE
    assert done.returncode == (2 if name == "trial" else 1), done
    said = done.stderr if name == "trial" else done.stdout
    assert named in said
    assert "-password-file" in said


def test_a_file_answers_for_the_configuration(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "ansible.cfg").write_text("[privilege_escalation]\nbecome_ask_pass = True\n")
    (tmp_path / "password").write_text("x\n")
    arguments = [*command, "trial", "env.yml", "--become-password-file", "password", "--artifacts", "kept"]
    env = {**os.environ, "ANSIBLE_ENV_STORE": str(tmp_path / "store.sqlite")}
    done = subprocess.run(
        arguments, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=AT_ONCE
    )
    assert done.returncode == 0, done.stderr


def test_a_file_and_a_prompt_are_too_much(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x\n")
    arguments = [*command, "trial", "env.yml", "-K", "--become-password-file", "password"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=AT_ONCE)
    assert (done.returncode, "--ask-become-pass" in done.stderr) == (2, True)
