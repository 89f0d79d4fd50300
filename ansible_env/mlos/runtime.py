"""What outlives the contexts of mlos_bench: the engines of this process, and the work that is on its way.

mlos_bench enters and leaves contexts as it likes, and makes services anew; an engine should stay warm through all of
that. So engines belong to the process, and are closed with it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from ansible_env.engine.inventory import Inventory
from ansible_env.engine.protocol import Cancellation, Engine, EngineRun, Job, Listener, Options
from ansible_env.environment.remote_env import ENGINES

T = TypeVar("T")

ENDING = 20.0
"""Seconds that work which is being canceled is waited for."""


class Execution(Generic[T]):
    """Work on its way, in a thread of its own. Asked again, it gives the same answer again."""

    def __init__(self, work: Callable[[Cancellation], T]) -> None:
        self._work = work
        self._cancel = Cancellation()
        self._future: Future[T] = Future()
        # A daemon: at the end of the process it is canceled by us, and not waited for by Python.
        self._thread = threading.Thread(target=self._run, name="ansible_env-mlos", daemon=True)

    def __repr__(self) -> str:
        return f"<Execution {'done' if self._future.done() else 'running'}>"

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def result(self) -> T:
        """Wait for the end, and return what came of it or raise what went wrong."""
        return self._future.result()

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._future.done()

    def cancel(self) -> None:
        """Ask for the end; what runs on the hosts is ended there, too."""
        self._cancel.cancel()

    def wait(self, seconds: float) -> None:
        """Wait for the end, but not for ever."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            value = self._work(self._cancel)
        except BaseException as error:
            self._future.set_exception(error)
        else:
            self._future.set_result(value)


class Listed(Engine):
    """An engine that remembers which hosts a pattern stands for: asking Ansible each time costs as much as a run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: list[tuple[tuple[Inventory, str, str | None, Options], tuple[str, ...]]] = []
        self._lock = threading.Lock()

    def hosts(self, inventory: Inventory, pattern: str, limit: str | None, options: Options) -> Sequence[str]:
        """Return the hosts that a pattern stands for. See `Engine.hosts`."""
        key = (inventory, pattern, limit, options)
        with self._lock:
            found = next((hosts for known, hosts in self._known if known == key), None)
        if found is None:
            found = tuple(self._engine.hosts(inventory, pattern, limit, options))
            with self._lock:
                self._known.append((key, found))
        return found

    def run(self, job: Job, *, listener: Listener | None = None, cancel: Cancellation | None = None) -> EngineRun:
        """Run a job to its end. See `Engine.run`."""
        return self._engine.run(job, listener=listener, cancel=cancel)

    def close(self) -> None:
        """End everything that was kept for the next job."""
        self._engine.close()


class Runtime:
    """The engines of one process, one of each kind, and what is on its way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: dict[str, Listed] = {}
        self._running: set[Execution[object]] = set()

    def engine(self, kind: str) -> Listed:
        """Return the engine of a kind: `warm`, `cold` or `session`."""
        with self._lock:
            if kind not in self._engines:
                self._engines[kind] = Listed(ENGINES[kind]())
            return self._engines[kind]

    def submit(self, work: Callable[[Cancellation], T]) -> Execution[T]:
        """Start work, and return at once."""
        execution = Execution(work)
        with self._lock:
            self._running = {other for other in self._running if not other.done} | {execution}  # type: ignore[arg-type]
        execution.start()
        return execution

    def close(self) -> None:
        """End what is running, here and on the hosts, and the engines."""
        with self._lock:
            running, self._running = list(self._running), set()
            engines, self._engines = list(self._engines.values()), {}
        end(running)
        for engine in engines:
            with contextlib.suppress(Exception):  # the others have to be closed, too
                engine.close()


def end(executions: Sequence[Execution[object]]) -> None:
    """Cancel work, and wait until it has ended."""
    for execution in executions:
        execution.cancel()
    for execution in executions:
        execution.wait(ENDING)


_runtimes: dict[int, Runtime] = {}


def runtime() -> Runtime:
    """Return the runtime of this process; a fork has its own."""
    pid = os.getpid()
    if pid not in _runtimes:
        _runtimes[pid] = Runtime()
        atexit.register(close)
    return _runtimes[pid]


def close() -> None:
    """Close the runtime of this process."""
    found = _runtimes.pop(os.getpid(), None)
    if found is not None:
        found.close()
