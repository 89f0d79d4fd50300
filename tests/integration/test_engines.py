"""What every engine has to do, and what only the warm one can get wrong. On this machine, without ssh."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_env import ColdEngine, Engine, RemoteEnv, Status, WarmEngine
from ansible_env.engine import Inventory, Options

CONFIG = {
    "name": "engines",
    "const_args": {"word": "none"},
    "shell_env_params": ["word"],
    "run": 'echo "word=$word"',
    "results_stdout_pattern": r"^(\w+)=(\w+)$",
}


@pytest.fixture(params=[WarmEngine, ColdEngine], ids=["warm", "cold"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    made = request.param()
    yield made
    made.close()


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
    return [server._process.pid for server in engine._servers.values()]


def test_phases_run_and_see_only_their_own(engine: Engine) -> None:
    assert [say(engine, word) for word in ("one", "two", "three")] == ["one", "two", "three"]


def test_facts_of_one_phase_are_unknown_to_the_next(engine: Engine) -> None:
    task = {"name": "Remember", "ansible.builtin.set_fact": {"remembered": "yes"}}
    check = {"name": "Know nothing", "ansible.builtin.assert": {"that": ["remembered is not defined"]}}
    assert say(engine, "a", setup=[task]) == "a"
    assert say(engine, "b", setup=[check]) == "b"


def test_many_at_once_do_not_mix(engine: Engine) -> None:
    said: dict[str, object] = {}

    def one(word: str) -> None:
        said[word] = say(engine, word)

    threads = [threading.Thread(target=one, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {f"w{number}": f"w{number}" for number in range(4)}


def test_close_leaves_nothing_and_may_be_called_twice(engine: Engine) -> None:
    assert say(engine, "a") == "a"
    base = engine._directory()  # type: ignore[attr-defined]
    assert base.is_dir()
    engine.close()
    engine.close()
    assert not base.exists()
    assert say(engine, "again") == "again"


def test_the_exit_status_and_the_words_of_ansible_arrive(engine: Engine) -> None:
    task = {"name": "No such module", "ansible.builtin.nosuchmodule": {}}
    with RemoteEnv(config={**CONFIG, "setup": [task]}, engine=engine) as env:
        assert not env.setup()
        host = env.results["setup"].hosts["localhost"]
    assert host.kind == "controller"
    assert "nosuchmodule" in host.message


def test_hosts_are_listed_in_order_with_the_environments_limit(engine: Engine) -> None:
    inventory = Inventory.of({"all": {"hosts": {name: {} for name in ("c", "a", "b")}}})
    assert list(engine.hosts(inventory, "all", None, Options())) == ["c", "a", "b"]
    assert list(engine.hosts(inventory, "all", "!a", Options())) == ["c", "b"]


def test_a_server_that_dies_is_replaced(warm: WarmEngine, caplog: pytest.LogCaptureFixture) -> None:
    assert say(warm, "a") == "a"
    (pid,) = servers(warm)
    os.kill(pid, signal.SIGKILL)
    for _ in range(100):
        if warm._servers and not next(iter(warm._servers.values())).lives():
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
        if "ansible_env.forkserver.server" in command:
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
        "from ansible_env.engine import Inventory, Options\n"
        "engine = WarmEngine()\n"
        "engine.hosts(Inventory.of(None), 'all', None, Options())\n"
        "print(next(iter(engine._servers.values()))._process.pid, flush=True)\n"
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
