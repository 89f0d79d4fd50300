# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Habits of Ansible's that cost a controller much with short tasks and many hosts, and what stands in for them.

Strategies look for results a thousand times a second, and fork a worker as soon as a host's task is prepared, so that
preparing the next one copies all the memory that it writes to once more. An inventory that is read is copied whole.
Each host's facts are cleaned even where it has none, and ansible-runner prepares to tell what nobody wants to be told.
"""

from __future__ import annotations

import collections
import contextlib
import importlib
import multiprocessing.util
import threading
import time
import types
from typing import Any

import ansible.constants as C  # type: ignore[import-untyped]  # noqa: N812 - Ansible's own name for it

SHORTEST, LONGEST = 0.001, 0.1
"""Seconds between two looks of Ansible's strategy for a worker that has ended."""
UNTOLD = 0.5
"""Seconds between two looks for what nobody tells while it waits for results: that a worker was killed. Ansible's own
0.001 costs 3 % of a core."""
PHASE = "ansible_env.bench.phase"
BATCH = 8
"""Workers that are forked one right after the other: the first one waits for the others to be prepared, some 40 ms."""


class Results(collections.deque[Any]):
    """Stands in for the `deque` where a strategy's thread puts what workers have sent, and wakes who waits for it."""

    come = threading.Event()

    def append(self, result: Any) -> None:
        """Add a result."""
        super().append(result)
        self.come.set()


class Naps:
    """Stands in for `time.sleep` where it is called again and again until something has come about."""

    def __init__(self) -> None:
        self._begun = self._ended = 0.0

    def sleep(self, seconds: float) -> None:
        """Sleep until there is a result.

        A shorter wish than 0.001 s is for a worker to end, which is not told: for a fiftieth of the time waited so far,
        but within bounds, so that a short wait is over at once and a long one costs next to nothing.
        """
        if seconds >= SHORTEST:
            Results.come.wait(UNTOLD)
            Results.come.clear()
            return
        now = time.monotonic()
        if now - self._ended > LONGEST:  # there was work in between
            self._begun = now
        time.sleep(min(max((now - self._begun) / 50, SHORTEST), LONGEST))
        self._ended = time.monotonic()


class Batches:
    """Stands in for methods of `WorkerProcess`: forks several at a time, and all that are ready before anybody waits.

    Only while the strategy `linear` is at work, and what is derived from it: others wait in ways of their own.
    """

    def __init__(self, worker: Any) -> None:
        self._start, self._is_alive, self._terminate = worker.start, worker.is_alive, worker.terminate
        self._size = 1
        self._ready: list[Any] = []

    def during(self, run: Any) -> Any:
        """Return a strategy's `run`, during which there are batches."""

        def batched(*args: Any, **kwargs: Any) -> Any:
            self._size = BATCH
            try:
                return run(*args, **kwargs)
            finally:
                self._size = 1

        return batched

    def start(self, worker: Any) -> None:
        """Fork a worker soon."""
        _prepare(worker._task)
        self._ready.append(worker)
        if len(self._ready) >= self._size:
            self.flush()

    def flush(self) -> None:
        """Fork those that are ready."""
        while self._ready:
            worker = self._ready.pop(0)
            self._start(worker)
            _forget(worker.worker_queue)

    def is_alive(self, worker: Any) -> bool:
        """Whether its place is taken."""
        return worker in self._ready or bool(self._is_alive(worker))

    def terminate(self, worker: Any) -> None:
        """End it, or do not begin it."""
        if worker in self._ready:
            self._ready.remove(worker)
        else:
            self._terminate(worker)


def _prepare(task: Any) -> None:
    """Do once what every host's worker would do alike, for tasks of ours."""
    if task.action != PHASE:
        return
    task.squash()  # what it has of its block and its play
    pattern = task.args.get("results_stdout_pattern")
    if isinstance(pattern, str):
        with contextlib.suppress(ValueError):  # what is wrong with it the worker will say
            importlib.import_module("ansible_env.results.metrics.parse").compile_pattern(str(pattern))


def _forget(queue: Any) -> None:
    """Have later workers not make ready what only this one uses: with many hosts they would do little else at first.

    Each process looks after all the queues and locks of multiprocessing that there were when it was forked.
    """
    registry: Any = getattr(multiprocessing.util, "_afterfork_registry", {})
    own = {id(queue), *map(id, vars(queue).values())}
    for key in [key for key in registry if key[1] in own]:
        registry.pop(key, None)


def uncopied(load: Any) -> Any:
    """Return `DataLoader.load_from_file` without the copy of what nobody else has, which takes longer than to read."""

    def load_from_file(self: Any, file_name: str, cache: str = "all", unsafe: bool = False, **options: Any) -> Any:
        return load(self, file_name, cache=cache, unsafe=unsafe or cache == "none", **options)

    return load_from_file


def cleaned(clean: Any) -> Any:
    """Return `clean_facts` that does nothing without facts: it would look for the files of all connection plugins."""
    return lambda facts: clean(facts) if facts else {}


def hush(display: Any) -> None:
    """Have `Display` do nothing for what is not shown; it is asked to some 60 times for each host.

    ansible-runner's callback (display_callback/callback/awx_display.py) makes a context for every call.
    """
    debug, verbose = display.debug, display.verbose

    def shown_debug(self: Any, *args: Any, **kwargs: Any) -> None:
        if C.DEFAULT_DEBUG:
            debug(self, *args, **kwargs)

    def shown_verbose(self: Any, msg: str, host: str | None = None, caplevel: int = 2) -> None:
        if self.verbosity > caplevel or self.log_verbosity > caplevel:
            verbose(self, msg, host=host, caplevel=caplevel)

    display.debug, display.verbose = shown_debug, shown_verbose


def _hushed(load_callbacks: Any) -> Any:
    """Return `TaskQueueManager.load_callbacks` after which it is so: ansible-runner's callback is one of them."""
    hushed = False

    def load(self: Any) -> None:
        nonlocal hushed
        load_callbacks(self)
        if not hushed:
            hush(importlib.import_module("ansible.utils.display").Display)
        hushed = True

    return load


def pace() -> None:
    """Have them stand in from now on, in this process and in those forked from it."""
    loader: Any = importlib.import_module("ansible.parsing.dataloader").DataLoader
    loader.load_from_file = uncopied(loader.load_from_file)
    manager: Any = importlib.import_module("ansible.vars.manager")
    manager.clean_facts = cleaned(manager.clean_facts)
    queue: Any = importlib.import_module("ansible.executor.task_queue_manager").TaskQueueManager
    queue.load_callbacks = _hushed(queue.load_callbacks)
    worker: Any = importlib.import_module("ansible.executor.process.worker").WorkerProcess
    batches = Batches(worker)
    for name in ("start", "is_alive", "terminate"):
        setattr(worker, name, _method(getattr(batches, name)))
    linear: Any = importlib.import_module("ansible.plugins.strategy.linear").StrategyModule
    linear.run = batches.during(linear.run)
    adaptive = C.config.get_config_value_and_origin("DEFAULT_INTERNAL_POLL_INTERVAL")[1] == "default"
    sleep = Naps().sleep if adaptive else time.sleep

    def nap(seconds: float) -> None:
        batches.flush()
        sleep(seconds)

    strategy: Any = importlib.import_module("ansible.plugins.strategy")
    strategy.deque = Results
    strategy.time = types.SimpleNamespace(**{**vars(time), "sleep": nap})


def _method(function: Any) -> Any:
    return lambda self: function(self)
