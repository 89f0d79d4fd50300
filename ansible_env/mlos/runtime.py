"""The engines of this process, and the work that is in progress. Both outlive the contexts of mlos_bench.

mlos_bench enters and leaves contexts often and creates services again, while an engine should stay warm. So engines
belong to the process and are closed with it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from ansible_env.engine.inventory import Inventory
from ansible_env.engine.protocol import Cancellation, Engine, EngineRun, Job, Listener, Options
from ansible_env.engine.registry import make_engine

T = TypeVar("T")

CANCEL_TIMEOUT = 20.0
"""Longest time in seconds to wait for canceled work."""


class Execution(Future[T]):
    """Work in progress in its own thread."""

    def __init__(self, work: Callable[[Cancellation], T]) -> None:
        super().__init__()
        self._work = work
        self._cancellation = Cancellation()
        # A daemon thread: at the end of the process, `close` cancels it, and Python does not wait for it.
        self._thread = threading.Thread(target=self._run, name="ansible_env-mlos", daemon=True)
        self._thread.start()

    def cancel(self) -> bool:
        """Cancel the work, including what runs on the hosts; its result follows."""
        self._cancellation.cancel()
        return True

    def wait(self, seconds: float) -> None:
        """Wait for the end, for at most so many seconds."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self.set_result(self._work(self._cancellation))
        except BaseException as error:
            self.set_exception(error)


class CachingEngine(Engine):
    """An engine that caches the hosts of patterns: asking Ansible each time takes as long as a run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: list[tuple[tuple[Inventory, str, str | None, Options], tuple[str, ...]]] = []
        self._lock = threading.Lock()

    def hosts(self, inventory: Inventory, pattern: str, limit: str | None, options: Options) -> Sequence[str]:
        """Return the hosts that a pattern selects. See `Engine.hosts`."""
        key = (inventory, pattern, limit, options)
        with self._lock:
            cached = next((hosts for known, hosts in self._known if known == key), None)
        if cached is None:
            cached = tuple(self._engine.hosts(inventory, pattern, limit, options))
            with self._lock:
                self._known.append((key, cached))
        return cached

    def run(self, job: Job, *, listener: Listener | None = None, cancel: Cancellation | None = None) -> EngineRun:
        """Run a job to its end. See `Engine.run`."""
        return self._engine.run(job, listener=listener, cancel=cancel)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


class Runtime:
    """The engines of one process, one of each kind, and the work in progress."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: dict[str, CachingEngine] = {}
        self._running: set[Execution[object]] = set()

    def engine(self, kind: str) -> CachingEngine:
        """Return the engine of a kind: `warm`, `cold` or `session`."""
        with self._lock:
            if kind not in self._engines:
                self._engines[kind] = CachingEngine(make_engine(kind))
            return self._engines[kind]

    def submit(self, work: Callable[[Cancellation], T]) -> Execution[T]:
        """Start work, and return at once."""
        execution = Execution(work)
        with self._lock:
            self._running = {other for other in self._running if not other.done()} | {execution}  # type: ignore[arg-type]
        return execution

    def close(self) -> None:
        """Cancel all work, also on the hosts, and close the engines."""
        with self._lock:
            running, self._running = list(self._running), set()
            engines, self._engines = list(self._engines.values()), {}
        end(running)
        for engine in engines:
            with contextlib.suppress(Exception):  # close the others as well
                engine.close()


def end(executions: Sequence[Execution[object]]) -> None:
    """Cancel work, and wait for its end."""
    for execution in executions:
        execution.cancel()
    for execution in executions:
        execution.wait(CANCEL_TIMEOUT)


_runtimes: dict[int, Runtime] = {}


def runtime() -> Runtime:
    """Return the runtime of this process. A forked process has its own."""
    pid = os.getpid()
    if pid not in _runtimes:
        _runtimes[pid] = Runtime()
        atexit.register(close)
    return _runtimes[pid]


def close() -> None:
    """Close the runtime of this process."""
    current = _runtimes.pop(os.getpid(), None)
    if current is not None:
        current.close()
