"""The requirements for every engine, as tests for pytest."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from ansible_env.engine.inventory import Inventory
from ansible_env.engine.protocol import Engine, Options
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import InventoryError
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.status import Status

CONFIG = {
    "name": "contract",
    "const_args": {"word": "none"},
    "shell_env_params": ["word"],
    "run": 'echo "word=$word"',
    "results_stdout_pattern": r"^(\w+)=(\w+)$",
}
SLACK = 30.0
"""Seconds added to the time limits of these tests, for a loaded machine."""


class EngineContract:
    """Tests for an engine. Subclass it in a test module and return the engine from `engine`; pytest collects the tests.

        class TestMyEngine(EngineContract):
            def engine(self) -> Engine:
                return MyEngine()

    The tests run on this machine, over Ansible's `local` connection.
    """

    def engine(self) -> Engine:
        """Return a new engine."""
        raise NotImplementedError

    def test_phases_run_and_see_only_their_own(self) -> None:
        """A phase sees its own parameters only."""
        with closing(self.engine()) as engine:
            assert [_say(engine, word) for word in ("one", "two", "three")] == ["one", "two", "three"]

    def test_facts_of_one_phase_are_unknown_to_the_next(self) -> None:
        """No state passes from phase to phase."""
        task = {"name": "Remember", "ansible.builtin.set_fact": {"remembered": "yes"}}
        check = {"name": "Know nothing", "ansible.builtin.assert": {"that": ["remembered is not defined"]}}
        with closing(self.engine()) as engine:
            assert _say(engine, "a", setup=[task]) == "a"
            assert _say(engine, "b", setup=[check]) == "b"

    def test_many_at_once_do_not_mix(self) -> None:
        """Several threads can share an engine."""
        said: dict[str, object] = {}
        with closing(self.engine()) as engine:

            def one(word: str) -> None:
                said[word] = _say(engine, word)

            threads = [threading.Thread(target=one, args=(f"w{number}",)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert said == {f"w{number}": f"w{number}" for number in range(4)}

    def test_an_exit_status_is_the_scripts_own(self) -> None:
        """A failing script has its own exit status; it is not a failure of Ansible."""
        with closing(self.engine()) as engine:
            host = _host(engine, run="echo word=1; echo no >&2; exit 3")
        assert (host.kind, host.rc, host.metrics, host.metrics_partial) == (Kind.EXIT, 3, {"word": 1}, True)
        assert host.stderr == "no\n"

    def test_the_message_of_ansible_is_reported(self) -> None:
        """If nothing could run, the result has Ansible's message."""
        with closing(self.engine()) as engine:
            host = _host(engine, run=[{"name": "No such module", "ansible.builtin.nosuchmodule": {}}])
        assert host.kind is Kind.CONTROLLER
        assert "nosuchmodule" in host.message

    def test_a_deadline_ends_a_script(self) -> None:
        """The output before the deadline is kept."""
        begun = time.monotonic()
        with closing(self.engine()) as engine:
            host = _host(engine, run="echo word=1; sleep 300", timeouts={"run": 1, "grace": 1})
        assert (host.kind, host.metrics) == (Kind.TIMEOUT, {"word": 1})
        assert time.monotonic() - begun < SLACK + 5

    def test_a_cancel_ends_a_script(self) -> None:
        """Another thread can cancel a phase."""
        with closing(self.engine()) as engine, RemoteEnv(config={**CONFIG, "run": "sleep 300"}, engine=engine) as env:
            threading.Timer(1.5, env.cancel).start()
            begun = time.monotonic()
            result = env.run_phase("run")
        assert result.status is Status.CANCELED
        assert time.monotonic() - begun < SLACK + 5

    def test_a_listener_hears_what_a_script_prints(self) -> None:
        """It gets the output while the script runs, and all of it by the end."""
        listener = _Listener()
        config = {**CONFIG, "run": "for i in 1 2 3; do echo $i; sleep 0.1; done"}
        with closing(self.engine()) as engine, RemoteEnv(config=config, engine=engine, listener=listener) as env:
            env.run_phase("run").raise_for_status()
        assert "".join(listener.output) == "1\n2\n3\n"
        assert "playbook_on_stats" in listener.events

    def test_hosts_are_listed_in_order_and_limited(self) -> None:
        """The order is Ansible's; a limit and an unknown pattern are respected."""
        inventory = Inventory.of({"all": {"hosts": {name: {} for name in ("c", "a", "b")}}})
        with closing(self.engine()) as engine:
            assert list(engine.hosts(inventory, "all", None, Options())) == ["c", "a", "b"]
            assert list(engine.hosts(inventory, "all", "!a", Options())) == ["c", "b"]
            try:
                engine.hosts(inventory, "nobody", None, Options())
            except InventoryError as error:
                assert "nobody" in str(error)
            else:
                raise AssertionError("a pattern that matches no host was accepted")

    def test_close_may_be_called_twice_and_is_no_end(self) -> None:
        """A closed engine starts again when it is used."""
        with closing(self.engine()) as engine:
            assert _say(engine, "a") == "a"
            engine.close()
            engine.close()
            assert _say(engine, "again") == "again"


class _Listener:
    def __init__(self) -> None:
        self.events: list[str] = []
        self.output: list[str] = []

    def on_event(self, event: Mapping[str, Any]) -> None:
        self.events.append(event["event"])

    def on_output(self, host: str, stream: str, text: str) -> None:
        self.output.append(text)


def _say(engine: Engine, word: str, **more: object) -> object:
    with RemoteEnv(config={**CONFIG, **more}, engine=engine, global_config={"word": word}) as env:
        env.setup()
        status, _, metrics = env.run()
    return metrics["word"] if status is Status.SUCCEEDED and metrics else status


def _host(engine: Engine, **more: object) -> HostResult:
    with RemoteEnv(config={**CONFIG, **more}, engine=engine) as env:
        (host,) = env.run_phase("run").hosts.values()
    return host
