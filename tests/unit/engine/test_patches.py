"""Patches of Ansible: what each one does, and when it is left out."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing.util
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader  # type: ignore[import-untyped]

from ansible_env import RemoteEnv, Status, WarmEngine
from ansible_env.engine.forkserver import batches as batches_module
from ansible_env.engine.forkserver import patches
from ansible_env.engine.forkserver.batches import BATCH, Batches, Results, Waiting
from ansible_env.engine.forkserver.patches import PATCHES, cleaned, skip_hidden, uncopied
from ansible_env.results.metrics.pattern import compile_pattern

pytestmark = pytest.mark.smoke
CONTEXT = multiprocessing.get_context("fork")


class Worker:
    """As multiprocessing's processes: one that was not started has nothing to be ended."""

    def __init__(self, action: str = "ansible_env.bench.phase", **arguments: Any) -> None:
        self.squashed: list[str] = []
        self._task = SimpleNamespace(action=action, args=arguments, squash=lambda: self.squashed.append(action))
        self.started = self.ended = False
        self.worker_queue = CONTEXT.Queue()

    def start(self) -> None:
        self.started = True

    def is_alive(self) -> bool:
        return self.started and not self.ended

    def terminate(self) -> None:
        assert self.started
        self.ended = True


@pytest.fixture
def batches() -> Batches:
    return Batches(Worker)


def test_other_strategies_fork_at_once(batches: Batches) -> None:
    worker = Worker()
    batches.start(worker)
    assert worker.started


def test_a_batch_is_forked_in_order_when_it_is_full_and_the_rest_when_somebody_waits(batches: Batches) -> None:
    workers = [Worker() for _ in range(BATCH + 2)]
    seen = []

    def run() -> None:
        for worker in workers:
            batches.start(worker)
            seen.append(sum(each.started for each in workers))
        batches.flush()

    batches.during(run)()
    assert seen == [0] * (BATCH - 1) + [BATCH] * 3
    assert all(worker.started for worker in workers)


def test_its_place_is_taken_before_it_is_forked(batches: Batches) -> None:
    """Else the strategy would put another worker there, and there would be more of them than `forks`."""
    worker = Worker()
    batches.during(lambda: batches.start(worker))()
    assert not worker.started and batches.is_alive(worker)
    batches.flush()
    assert worker.started and batches.is_alive(worker)
    worker.ended = True
    assert not batches.is_alive(worker)


def test_one_that_was_not_forked_is_not_ended(batches: Batches) -> None:
    worker = Worker()
    batches.during(lambda: batches.start(worker))()
    batches.terminate(worker)
    batches.flush()
    assert not worker.started and not batches.is_alive(worker)
    batches.start(other := Worker())
    batches.terminate(other)
    assert other.ended


def test_a_strategy_that_fails_leaves_no_batches_on(batches: Batches) -> None:
    def run() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batches.during(run)()
    worker = Worker()
    batches.start(worker)
    assert worker.started


def test_a_worker_makes_only_its_own_queue_ready_after_the_fork(batches: Batches) -> None:
    """Each one made all queues ready that there were: with 64 hosts, 250 locks and queues in the last one."""

    class Forked(Worker):
        def start(self) -> None:
            """Say what multiprocessing would look after in a child."""
            super().start()
            seen.append([queue in list(registry.values()) for queue in queues])

    registry = multiprocessing.util._afterfork_registry  # type: ignore[attr-defined]
    seen: list[list[bool]] = []
    workers = [Forked() for _ in range(3)]
    queues = [worker.worker_queue for worker in workers]
    before = len(registry)
    own = Batches(Forked)
    for worker in workers:
        own.start(worker)
    assert seen == [[True, True, True], [False, True, True], [False, False, True]]
    assert len(registry) <= before - 3 * 4  # a queue and its three locks each


def test_a_pattern_is_compiled_before_the_fork(batches: Batches) -> None:
    pattern = r"^(\w+) of this test=(\d+)$"
    batches.start(Worker(results_stdout_pattern=pattern))
    before = compile_pattern.cache_info().hits
    compile_pattern(pattern)
    assert compile_pattern.cache_info().hits == before + 1
    worker = Worker(results_stdout_pattern="(")
    batches.start(worker)
    assert worker.started


def test_only_a_task_of_ours_is_squashed_before_the_fork(batches: Batches) -> None:
    """What workers did with it each; others may be changed for the next host, by strategies or includes."""
    ours, other = Worker(), Worker("ansible.builtin.command")
    batches.start(ours)
    batches.start(other)
    assert ours.squashed and not other.squashed
    assert ours.started and other.started


def test_facts_are_cleaned_where_there_are_any() -> None:
    seen: list[object] = []
    clean = cleaned(lambda facts: seen.append(facts) or {"ansible_os": "x"})  # type: ignore[func-returns-value]
    assert clean({}) == {}
    assert not seen
    assert clean({"ansible_os": "x", "ansible_ssh_port": 1}) == {"ansible_os": "x"}
    assert len(seen) == 1


class Display:
    """As ansible-runner's callback leaves it: whoever gets here has a context."""

    def __init__(self, verbosity: int = 0, log_verbosity: int = 0) -> None:
        self.verbosity, self.log_verbosity = verbosity, log_verbosity
        self.said: list[tuple[Any, ...]] = []

    def debug(self, msg: str, host: str | None = None) -> None:
        self.said.append((msg, host))

    def verbose(self, msg: str, host: str | None = None, caplevel: int = 2) -> None:
        self.said.append((msg, host, caplevel))


@pytest.mark.parametrize(("verbosity", "log", "said"), [(0, 0, []), (3, 0, [1, 2]), (0, 2, [1]), (1, 3, [1, 2])])
def test_what_is_not_shown_costs_no_context(
    verbosity: int, log: int, said: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The levels of `-v` at which Ansible shows or logs something, and no other (ansible.utils.display)."""

    class Quiet(Display):
        pass

    skip_hidden(Quiet)
    display = Quiet(verbosity, log)
    display.verbose("one", "h1", caplevel=1)
    display.verbose("two", host="h2")
    display.verbose("five", caplevel=5)
    assert [level for *_, level in display.said] == said
    display.said.clear()
    monkeypatch.setattr(patches.C, "DEFAULT_DEBUG", False)
    display.debug("nobody asks")
    monkeypatch.setattr(patches.C, "DEFAULT_DEBUG", True)
    display.debug("somebody does", host="h1")
    assert display.said == [("somebody does", "h1")]


def test_what_is_cached_is_still_copied_and_nothing_else(tmp_path: Path) -> None:
    """As an inventory is read (`none`), and variables (`all`), which somebody may change afterwards."""

    class Loader(DataLoader):  # type: ignore[misc]
        load_from_file = uncopied(DataLoader.load_from_file)

    file = tmp_path / "data.yml"
    file.write_text("hosts: {h1: {port: 22}, h2: {port: 23}}\n")
    loader = Loader()
    read: list[object] = []
    loader.load = lambda **options: read.append(DataLoader.load(loader, **options)) or read[-1]  # type: ignore[func-returns-value]
    assert loader.load_from_file(str(file), cache="none") is read[0]
    cached = loader.load_from_file(str(file))
    assert cached == read[0] == read[1] and cached is not read[1]
    cached["hosts"].clear()
    assert loader.load_from_file(str(file)) == read[0]
    assert loader.load_from_file(str(file), unsafe=True) is read[1]
    assert len(read) == 2


def test_a_result_ends_the_wait_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "CHECK", 60)
    results = Results()
    begun = time.monotonic()
    results.append("one that is there before somebody waits")
    Waiting().sleep(0.001)
    timer = threading.Timer(0.2, results.append, ["one that comes while somebody waits"])
    timer.start()
    Waiting().sleep(0.001)
    timer.join()
    assert time.monotonic() - begun < 30
    assert len(results) == 2


def test_what_wakes_nobody_is_checked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a worker that was killed; and a worker's end, of which Ansible asks with a shorter wish."""
    monkeypatch.setattr(batches_module, "CHECK", 0.01)
    waiting = Waiting()
    Results().append("for somebody else")
    waiting.sleep(0.0001)
    assert Results.arrived.is_set()
    waiting.sleep(0.001)
    waiting.sleep(0.001)
    assert not Results.arrived.is_set()


def test_a_strategy_keeps_its_results_where_they_wake() -> None:
    """In a process of its own, as nobody undoes patches."""
    program = """
import queue
from unittest.mock import MagicMock
from ansible import context
from ansible.utils.context_objects import CLIArgs
from ansible.release import __version__
from ansible_env.engine.forkserver.batches import Results
from ansible_env.engine.forkserver.patches import apply_patches
left_out = list(apply_patches(__version__))
assert not left_out, left_out
from ansible.plugins.strategy import StrategyBase
context.CLIARGS = CLIArgs({})
strategy = StrategyBase(MagicMock(_final_q=queue.Queue()))
strategy.cleanup()
print(type(strategy._results) is Results)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


def test_the_table_names_a_test_for_each_patch() -> None:
    for patch in PATCHES:
        assert patch.test in globals(), patch.name
    assert len({patch.name for patch in PATCHES}) == len(PATCHES)


@pytest.mark.parametrize("version", ["2.17.9", "2.22.0.dev0", "3.0.0", "unknown"])
def test_a_patch_is_left_out_for_a_core_that_it_is_not_known_for(version: str) -> None:
    assert list(patches.apply_patches(version)) == [
        f"{patch.name}: it is not known for ansible-core {version}" for patch in PATCHES
    ]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("ansible.vars.manager:clean_facts", ("facts", "more")),
        ("ansible.plugins.strategy:deque", list),
        ("ansible.vars.manager:no_such_function", ("facts",)),
        ("ansible.no_such_module:clean_facts", ("facts",)),
    ],
)
def test_a_patch_is_left_out_where_a_part_of_ansible_is_not_as_expected(target: str, expected: object) -> None:
    patch = dataclasses.replace(PATCHES[0], targets={target: expected})
    assert target.partition(":")[0] in patch.mismatch("2.19.0")


def test_without_patches_phases_run_and_a_debug_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The fork server meets an ansible-core that nobody has tried yet."""
    (tmp_path / "sitecustomize.py").write_text("import ansible.release\nansible.release.__version__ = '2.99.0'\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    caplog.set_level("DEBUG", logger="ansible_env")
    with (
        contextlib.closing(WarmEngine()) as engine,
        RemoteEnv(config={"name": "x", "run": "true"}, engine=engine) as env,
    ):
        env.setup()
        assert [env.run()[0] for _ in range(2)] == [Status.SUCCEEDED] * 2
    lines = [record for record in caplog.records if "a patch of Ansible is left out" in record.getMessage()]
    assert [record.levelname for record in lines] == ["DEBUG"] * len(PATCHES)
    assert "ansible-core 2.99.0" in lines[0].getMessage()
