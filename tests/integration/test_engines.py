"""What every engine has to do (ansible_env.testing), and what only the warm one can get wrong. Without ssh.

What only the session engine can: test_session.py.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_env import ColdEngine, Engine, RemoteEnv, SessionEngine, Status, WarmEngine
from ansible_env.engine.protocol import Options
from ansible_env.testing import EngineContract

CONFIG = {
    "name": "engines",
    "const_args": {"word": "none"},
    "shell_env_params": ["word"],
    "run": 'echo "word=$word"',
    "results_stdout_pattern": r"^(\w+)=(\w+)$",
}


@pytest.mark.smoke
class TestWarm(EngineContract):
    def engine(self) -> Engine:
        return WarmEngine()


@pytest.mark.long
class TestCold(EngineContract):
    def engine(self) -> Engine:
        return ColdEngine()


class TestSession(EngineContract):
    def engine(self) -> Engine:
        return SessionEngine()


@pytest.fixture
def warm() -> Iterator[WarmEngine]:
    made = WarmEngine()
    yield made
    made.close()


def say(engine: Engine, word: str, **more: object) -> object:
    with RemoteEnv(config={**CONFIG, **more}, engine=engine, global_config={"word": word}) as env:
        env.setup()
        status, _, metrics = env.run()
    return metrics["word"] if status is Status.SUCCEEDED and metrics else status


def servers(engine: WarmEngine) -> list[int]:
    return [server.pid for server in engine._servers.values()]


@pytest.mark.parametrize("make", [WarmEngine, ColdEngine, SessionEngine])
def test_close_removes_all_directories(make: type[ColdEngine]) -> None:
    engine = make()
    assert say(engine, "a") == "a"
    base = engine._directory()
    assert base.is_dir()
    engine.close()
    assert not base.exists()


def test_a_server_that_dies_is_replaced(warm: WarmEngine, caplog: pytest.LogCaptureFixture) -> None:
    assert say(warm, "a") == "a"
    (pid,) = servers(warm)
    os.kill(pid, signal.SIGKILL)
    for _ in range(100):
        if warm._servers and not next(iter(warm._servers.values())).is_alive():
            break
        time.sleep(0.05)
    with caplog.at_level(logging.WARNING):
        assert say(warm, "b") == "b"
    assert servers(warm) != [pid]
    assert "starting another" in caplog.text


def test_without_a_server_the_plain_way_is_taken(
    warm: WarmEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It cannot be started here because its program is not one."""
    real = subprocess.Popen

    def popen(command: list[str], *args: object, **kwargs: object) -> object:
        if "ansible_env.engine.forkserver.server" in command:
            command = [sys.executable, "-c", "raise SystemExit('no server today')"]
        return real(command, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", popen)
    with caplog.at_level(logging.WARNING):
        assert say(warm, "a") == "a"
    assert "no server today" in caplog.text


def test_a_changed_ansible_cfg_means_another_server(warm: WarmEngine, tmp_path: Path) -> None:
    config = tmp_path / "ansible.cfg"
    config.write_text("[defaults]\ntimeout = 11\n")
    for text in ("", "forks = 3\n"):
        config.write_text(f"[defaults]\ntimeout = 11\n{text}")
        with RemoteEnv(config=CONFIG, engine=warm, options=Options(config_file=config)) as env:
            env.setup()
            assert env.run()[0] is Status.SUCCEEDED
    assert len(servers(warm)) == 2


def test_the_server_ends_with_an_owner_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, signal\n"
        "from ansible_env import WarmEngine\n"
        "from ansible_env import Inventory, Options\n"
        "engine = WarmEngine()\n"
        "engine.hosts(Inventory.of(None), 'all', None, Options())\n"
        "print(next(iter(engine._servers.values())).pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
            return
        time.sleep(0.05)
    pytest.fail("the fork server outlives its owner")


def test_nothing_of_a_run_is_in_the_server(warm: WarmEngine) -> None:
    """Its environment is made for many runs: no directory or number of one may be in it."""
    assert say(warm, "a") == "a"
    (pid,) = servers(warm)
    names = {item.split(b"=")[0] for item in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")}
    assert not names & {b"JOB_ID", b"ANSIBLE_ENV_PRIVATE_DIR", b"ANSIBLE_ENV_ENGINE_RUN", b"ANSIBLE_ENV_RUN_KEY"}
