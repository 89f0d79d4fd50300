# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Ansible's strategies fork workers and wait for them, in place of Ansible's own way.

Strategies check for results a thousand times a second, and fork a worker as soon as a host's task is prepared, so that
preparing the next one copies all the memory that it writes to once more.
"""

from __future__ import annotations

import collections
import contextlib
import importlib
import multiprocessing.util
import threading
import time
from typing import Any

SHORTEST, LONGEST = 0.001, 0.1
"""Seconds between two checks of Ansible's strategy whether a worker has ended."""
CHECK = 0.5
"""Seconds between two checks, while the strategy waits for results, for an event without a wake-up: a killed worker.
Ansible's own 0.001 costs 3 % of a core."""
PHASE = "ansible_env.bench.phase"
BATCH = 8
"""Workers that are forked one right after the other: the first one waits for the others to be prepared, some 40 ms."""


class Results(collections.deque[Any]):
    """Replaces the `deque` where a strategy's thread puts what workers have sent, and wakes the strategy."""

    arrived = threading.Event()

    def append(self, result: Any) -> None:
        """Add a result."""
        super().append(result)
        self.arrived.set()


class Waiting:
    """Replaces `time.sleep` where a strategy calls it again and again until something has happened."""

    def __init__(self) -> None:
        self._begun = self._ended = 0.0

    def sleep(self, seconds: float) -> None:
        """Sleep until there is a result.

        Less than 0.001 s is the wait for the end of a worker, which wakes nothing. That sleep lasts a fiftieth of
        the time waited so far, within bounds: a short wait is over at once, and a long one costs next to nothing.
        """
        if seconds >= SHORTEST:
            Results.arrived.wait(CHECK)
            Results.arrived.clear()
            return
        now = time.monotonic()
        if now - self._ended > LONGEST:  # there was work in between
            self._begun = now
        time.sleep(min(max((now - self._begun) / 50, SHORTEST), LONGEST))
        self._ended = time.monotonic()


class Batches:
    """Replaces methods of `WorkerProcess`: forks several at a time, and all that are prepared before anybody waits.

    Only while the strategy `linear`, or one derived from it, runs: others wait in ways of their own.
    """

    def __init__(self, worker: Any) -> None:
        self._start, self._is_alive, self._terminate = worker.start, worker.is_alive, worker.terminate
        self._size = 1
        self._prepared: list[Any] = []

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
        self._prepared.append(worker)
        if len(self._prepared) >= self._size:
            self.flush()

    def flush(self) -> None:
        """Fork those that are prepared."""
        while self._prepared:
            worker = self._prepared.pop(0)
            self._start(worker)
            _forget(worker.worker_queue)

    def is_alive(self, worker: Any) -> bool:
        """Whether it runs, or is about to."""
        return worker in self._prepared or bool(self._is_alive(worker))

    def terminate(self, worker: Any) -> None:
        """End it, or do not begin it."""
        if worker in self._prepared:
            self._prepared.remove(worker)
        else:
            self._terminate(worker)


def _prepare(task: Any) -> None:
    """Do once, for tasks of ours, what every host's worker would do in the same way."""
    if task.action != PHASE:
        return
    task.squash()  # looks attributes up in its block and its play
    pattern = task.args.get("results_stdout_pattern")
    if isinstance(pattern, str):
        with contextlib.suppress(ValueError):  # the worker reports what is wrong with it
            importlib.import_module("ansible_env.results.metrics.pattern").compile_pattern(str(pattern))


def _forget(queue: Any) -> None:
    """Keep later workers from resetting what only this one uses: with many hosts they would do little else at first.

    After a fork, multiprocessing resets all the queues and locks that there were before it.
    """
    registry: Any = getattr(multiprocessing.util, "_afterfork_registry", {})
    own = {id(queue), *map(id, vars(queue).values())}
    for key in [key for key in registry if key[1] in own]:
        registry.pop(key, None)
