"""What only the session engine can get wrong: processes that are there before their phase. Without ssh."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_env import Kind, PhaseResult, RemoteEnv, SessionEngine, Status
from ansible_env.engine.protocol import Options
from tests.faults.bench import until
from tests.prepared import prepared, ready

LOCAL = "localhost ansible_connection=local ansible_python_interpreter='{{ ansible_playbook_python }}'\n"


class Pids:
    """Which processes the events came from."""

    def __init__(self) -> None:
        self.events: list[Mapping[str, Any]] = []

    def on_event(self, event: Mapping[str, Any]) -> None:
        self.events.append(event)

    def on_output(self, host: str, stream: str, text: str) -> None:
        pass

    @property
    def main(self) -> int:
        """The pid of ansible-playbook itself."""
        return next(event["pid"] for event in self.events if event["event"] == "playbook_on_start")


@pytest.fixture
def session() -> Iterator[SessionEngine]:
    """One with a process ready."""
    made = SessionEngine()
    phase(made, "true")
    ready(made)
    yield made
    made.close()


def phase(engine: SessionEngine, run: object, **more: Any) -> PhaseResult:
    with RemoteEnv(config={"name": "session", "run": run}, engine=engine, **more) as env:
        return env.run_phase("run")


def by_prepared(engine: SessionEngine, run: object, **more: Any) -> PhaseResult:
    """Run a phase, and make sure that a prepared process did it."""
    before, listener = ready(engine), Pids()
    result = phase(engine, run, listener=listener, **more)
    assert listener.main in before
    return result


def said(result: PhaseResult) -> list[str]:
    return [host.stdout.strip() or host.message for host in result.hosts.values()]


@pytest.mark.smoke
def test_each_phase_has_a_process_that_was_prepared(session: SessionEngine) -> None:
    pids = set()
    for _ in range(3):
        before, listener = ready(session), Pids()
        assert phase(session, "echo done", listener=listener).status is Status.SUCCEEDED
        assert listener.main in before
        pids.add(listener.main)
    assert len(pids) == 3


def test_nothing_of_a_phase_is_known_to_the_next(session: SessionEngine) -> None:
    remember = [
        {"name": "Remember", "ansible.builtin.set_fact": {"remembered": "yes", "cacheable": True}},
        {"name": "Register", "ansible.builtin.command": {"argv": ["true"]}, "register": "registered"},
        {"name": "Add", "ansible.builtin.group_by": {"key": "grown"}},
    ]
    names = ["remembered", "registered", "extra", "ansible_facts.remembered"]
    know = [
        {"name": "Know nothing", "ansible.builtin.assert": {"that": [f"{name} is not defined" for name in names]}},
        {"name": "In no group", "ansible.builtin.assert": {"that": ["'grown' not in group_names"]}},
    ]
    options = Options(extra_vars={"extra": 1}, verbosity=2)
    assert by_prepared(session, [*remember, "true"], options=options).status is Status.SUCCEEDED
    assert by_prepared(session, [*know, "true"]).status is Status.SUCCEEDED


def test_files_are_read_when_the_phase_comes(session: SessionEngine, tmp_path: Path) -> None:
    """Inventory and group_vars that change between two phases, when the process for the second is there already."""
    inventory = tmp_path / "hosts"
    (tmp_path / "group_vars").mkdir()
    for number in range(3):
        inventory.write_text(f"{LOCAL}[all:vars]\ninline={number}\n")
        (tmp_path / "group_vars" / "all.yml").write_text(f"beside: {number}\n")
        task = {"ansible.builtin.assert": {"that": [f"inline | int == {number}", f"beside == {number}"]}}
        result = by_prepared(session, [{"name": "Read", **task}, "true"], inventory=inventory)
        assert result.status is Status.SUCCEEDED, said(result)
        ready(session)


def test_plugins_beside_a_playbook_stay_there(session: SessionEngine, tmp_path: Path) -> None:
    """Filters, modules and actions of two environments with the same names, and an environment without."""
    found = []
    for name in ("a", "b", "none"):
        place = tmp_path / name
        (place / "filter_plugins").mkdir(parents=True)
        (place / "library").mkdir()
        (place / "action_plugins").mkdir()
        (place / "vars_plugins").mkdir()
        if name != "none":
            filters = f"class FilterModule:\n    def filters(self):\n        return {{'own': lambda value: '{name}'}}\n"
            (place / "filter_plugins" / "own.py").write_text(filters)
            module = '#!/bin/sh\necho \'{"changed": false, "said": "' + name + "\"}'\n"
            (place / "library" / "ownmod").write_text(module)
            action = (
                "from ansible.plugins.action import ActionBase\n"
                "class ActionModule(ActionBase):\n"
                f"    def run(self, tmp=None, task_vars=None):\n        return {{'said': '{name}'}}\n"
            )
            (place / "action_plugins" / "debug.py").write_text(action)
            variables = (
                "from ansible.plugins.vars import BaseVarsPlugin\n"
                "class VarsModule(BaseVarsPlugin):\n"
                f"    def get_vars(self, loader, path, entities, cache=True):\n        return {{'own': '{name}'}}\n"
            )
            (place / "vars_plugins" / "own.py").write_text(variables)
        that = ["(1 | own) == known", "module.said == known", "action.said == known", "own == known"]
        run = [
            {"name": "Module", "ownmod": {}, "register": "module"},
            {"name": "Action", "debug": {"msg": "x"}, "register": "action"},
            {"name": "Compare", "ansible.builtin.assert": {"that": that}, "vars": {"known": name}},
            "true",
        ]
        file = place / "environment.yml"
        file.write_text(json.dumps({"name": "own", "run": run}))
        with RemoteEnv.from_file(file, engine=session) as env:
            ready(session)
            found.append(env.run_phase("run").status)
    assert found == [Status.SUCCEEDED, Status.SUCCEEDED, Status.FAILED]


def test_a_warning_is_given_in_each_phase(session: SessionEngine) -> None:
    for _ in range(2):
        listener = Pids()
        ready(session)
        phase(session, [{"name": "Warn", "ansible.builtin.command": "no such pattern", "when": "false"}, "true"])
        phase(session, "true", options=Options(arguments=("--limit", "nobody*,localhost")), listener=listener)
        assert [event for event in listener.events if event["event"] == "warning" and "nobody" in event["stdout"]]


def test_one_that_is_killed_is_replaced(session: SessionEngine) -> None:
    for pid in ready(session):
        os.kill(pid, signal.SIGKILL)
    assert said(phase(session, "echo one")) == ["one"]
    assert said(by_prepared(session, "echo two")) == ["two"]


def test_killed_in_its_phase_it_is_no_success(session: SessionEngine) -> None:
    before = ready(session)
    script = f"sleep 0.3; kill -9 {' '.join(map(str, before))}; sleep 30"
    (host,) = phase(session, script).hosts.values()
    assert host.kind is Kind.CONTROLLER, host
    assert "signal" in host.message
    assert said(phase(session, "echo again")) == ["again"]


def test_many_threads_share_it(session: SessionEngine) -> None:
    results: dict[int, list[str]] = {}

    def one(number: int) -> None:
        results[number] = [said(phase(session, f"echo {number} {turn}"))[0] for turn in range(3)]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [f"{number} {turn}" for turn in range(3)] for number in range(4)}


def test_the_empty_play_leaves_no_files(session: SessionEngine) -> None:
    def files() -> list[str]:
        return sorted(path.name for path in session._directory().rglob("*"))

    def none_plays() -> bool:
        return not [name for name in files() if name.startswith("empty-play-")]

    until(none_plays, "the end of empty plays")
    before = files()
    for _ in range(3):
        phase(session, "true")
        ready(session)
    until(lambda: files() == before, "the same files as before")


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("log_path = {}/log", "DEFAULT_LOG_PATH"),
        ("vault_password_file = {}/vault.sh", "DEFAULT_VAULT_PASSWORD_FILE"),
        ("fact_caching = jsonfile", "CACHE_PLUGIN"),
    ],
)
def test_where_it_would_have_effects_there_is_no_empty_play(
    setting: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vault = tmp_path / "vault.sh"
    vault.write_text(f"#!/bin/sh\necho asked >>{tmp_path}/asked\necho secret\n")
    vault.chmod(0o755)
    config = tmp_path / "ansible.cfg"
    config.write_text(f"[defaults]\n{setting.format(tmp_path)}\nfact_caching_connection = {tmp_path}/facts\n")
    engine = SessionEngine()
    try:
        for number in range(3):
            result = phase(engine, "echo done", options=Options(config_file=config))
            assert said(result) == ["done"]
            if number == 0:
                (server,) = engine._servers.values()
                until(server.complaints, "the refusal")
        assert prepared(engine) == set()
    finally:
        engine.close()
    (warning,) = [record.getMessage() for record in caplog.records if "warm engine" in record.getMessage()]
    assert warning.endswith(f"UnsuitableError: {name} is set")
    assert "Empty play" not in "".join(path.read_text() for path in tmp_path.glob("log"))


def test_callbacks_of_the_configuration_hear_only_phases(tmp_path: Path) -> None:
    """They may send mail."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "tell.py").write_text(
        "from ansible.plugins.callback import CallbackBase\n"
        "class CallbackModule(CallbackBase):\n"
        "    CALLBACK_NAME = 'tell'\n    CALLBACK_TYPE = 'notification'\n"
        "    def v2_playbook_on_play_start(self, play):\n"
        f"        open('{tmp_path}/told', 'a').write(play.get_name() + '\\n')\n"
    )
    config = tmp_path / "ansible.cfg"
    config.write_text(f"[defaults]\ncallback_plugins = {tmp_path}/plugins\ncallbacks_enabled = tell\n")
    engine = SessionEngine()
    try:
        phase(engine, "true", options=Options(config_file=config))
        ready(engine)
        by_prepared(engine, "true", options=Options(config_file=config))
        ready(engine)
    finally:
        engine.close()
    told = (tmp_path / "told").read_text().splitlines()
    assert len(told) == 2
    assert "Empty play" not in told


def test_they_end_with_an_owner_that_is_killed() -> None:
    program = (
        "import os, signal\n"
        "from tests.integration.test_session import SessionEngine, phase, ready\n"
        "engine = SessionEngine()\n"
        "phase(engine, 'true')\n"
        "print(*ready(engine), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert pids
    give_up = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < give_up
        time.sleep(0.05)
