"""Many trials at once: each on hosts of its own, all through one engine.

Every trial is an environment of its own on some of the hosts, in a thread of its own. A host that is free takes the
next trial of the queue, so a slow one takes fewer.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

from ansible_env.common import get_logger
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import AnsibleEnvError
from ansible_env.results.status import Status
from ansible_env.trials.schedule import Request, Source
from ansible_env.trials.trial import Measured, Prepare, TrialResult, run_trial

__all__ = ["Pool", "observed"]

logger = get_logger(__name__)

MAX_ATTEMPTS = 3
"""How often a trial is begun before what came of it last counts, whoever was to blame."""
REST = 5.0
"""Seconds for which a host is left alone after the machinery has failed on it."""
STRIKES = 2
"""Failures of the machinery in a row after which a host gets no more trials."""


class Pool:
    """Hosts that work through a source of trials."""

    def __init__(
        self,
        open_env: Callable[[Sequence[str]], RemoteEnv],
        hosts: Sequence[str],
        *,
        hosts_per_trial: int = 1,
        cancel: threading.Event | None = None,
        prepare: Prepare | None = None,
        on_lost: Callable[[TrialResult], object] | None = None,
        measured: Measured | None = None,
    ) -> None:
        """Take hosts, and how an environment on some of them is made.

        Args:
            open_env: returns an environment on these hosts, not entered yet, that ends its phases for `cancel`.
            hosts: all of them, in the inventory's order.
            hosts_per_trial: how many of them each trial needs.
            cancel: ends the trials under way, and lets none begin.
            prepare: called, in the trial's own thread, when its parameters are known and before it touches a host.
            on_lost: called with the result of an attempt that was in vain: the trial goes back to the queue.
            measured: called, in the trial's own thread, after a run that succeeded and before the teardown.
        """
        self._open_env = open_env
        self._idle = list(hosts)
        self._per_trial = hosts_per_trial
        self._cancel = cancel or threading.Event()
        self._prepare = prepare
        self._on_lost = on_lost
        self._measured = measured
        self._done: queue.SimpleQueue[tuple[TrialResult, BaseException | None]] = queue.SimpleQueue()
        self._running: dict[int, RemoteEnv | None] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._strikes: dict[str, int] = {}
        self._resting: dict[str, float] = {}
        self.lost: list[str] = []
        """Hosts that get no more trials."""
        self._abandoned = False

    def run(self, source: Source) -> Generator[TrialResult, None, None]:
        """Yield the results as trials are finished, each once. Whoever stops asking cancels what is under way."""
        try:
            while True:
                self._fill(source)
                if not self._running and not self._resting:
                    break
                if (finished := self._next()) is None:
                    continue
                result, error = finished
                if error is not None:
                    raise error
                again = self._judge(result, source)
                if source.eager or again:
                    self._fill(source)
                if not again:
                    yield result
            if not self._cancel.is_set():
                yield from self._left(source)
        finally:
            self._end()

    def abandon(self) -> None:
        """Do not wait for anything any more, teardowns included."""
        self._cancel.set()
        self._abandoned = True
        for env in list(self._running.values()):
            if env is not None:
                env.cancel_teardown()

    def _fill(self, source: Source) -> None:
        """Give the hosts that are free something to do."""
        now = time.monotonic()
        for host in [host for host, until in self._resting.items() if until <= now]:
            del self._resting[host]
            self._idle.append(host)
        while not self._cancel.is_set() and len(self._idle) >= self._per_trial:
            taken = source.take(tuple(self._idle), self._per_trial)
            if taken is None:
                break
            request, hosts = taken
            self._idle = [host for host in self._idle if host not in hosts]
            self._running[request.number] = None
            name = f"ansible_env-trial-{request.number}"
            thread = threading.Thread(target=self._work, args=(request, hosts), name=name, daemon=True)
            self._threads[request.number] = thread
            thread.start()
        if not self._running and (self._cancel.is_set() or not source.waiting):
            self._resting.clear()

    def _work(self, request: Request, hosts: Sequence[str]) -> None:
        failure = None
        result = TrialResult(request, tuple(hosts), Status.FAILED)
        try:
            with self._open_env(hosts) as env:
                self._running[request.number] = env
                prepare = self._prepare
                told = None if prepare is None else lambda env: prepare(env, request, hosts)
                result = run_trial(env, request, hosts, told, self._measured)
                result = replace(result, attempts=request.attempt)
        except AnsibleEnvError as error:
            result = replace(result, error=str(error), attempts=request.attempt)
        except BaseException as error:
            failure = error
        self._done.put((result, failure))

    def _next(self) -> tuple[TrialResult, BaseException | None] | None:
        """Wait for a trial to end, or for a host to have rested; None for the second."""
        try:
            until = min(self._resting.values(), default=None)
            wait = None if until is None else max(0.0, until - time.monotonic())
            return self._finished(wait)
        except queue.Empty:
            return None

    def _finished(self, wait: float | None) -> tuple[TrialResult, BaseException | None]:
        """Return what came of a trial, when its thread is gone, too."""
        result, error = self._done.get(timeout=wait)
        del self._running[result.request.number]
        self._threads.pop(result.request.number).join()
        return result, error

    def _judge(self, result: TrialResult, source: Source) -> bool:
        """Free the hosts of a trial, but broken ones; return whether it goes back to the queue."""
        broken = result.broken_hosts if result.is_lost else ()
        for host in result.hosts:
            if host not in broken:
                self._strikes.pop(host, None)
                self._idle.append(host)
                continue
            self._strikes[host] = self._strikes.get(host, 0) + 1
            if self._strikes[host] < STRIKES:
                self._resting[host] = time.monotonic() + REST
            else:
                self.lost.append(host)
                logger.warning("%s gets no more trials: the machinery failed on it %d times in a row", host, STRIKES)
        again = result.is_lost and result.attempts < MAX_ATTEMPTS and not self._cancel.is_set()
        if again:
            logger.warning(
                "trial %d goes back to the queue: %s", result.request.number, "; ".join(_reasons(result)) or "lost"
            )
            if self._on_lost is not None:
                self._on_lost(result)
            source.put_back(replace(result.request, attempt=result.attempts + 1))
        return again

    def _left(self, source: Source) -> Iterator[TrialResult]:
        """Yield the trials for which there were no hosts left."""
        for request in source.rest():
            lost = f": {', '.join(self.lost)} got lost" if self.lost else ""
            error = f"there were not enough hosts left for it{lost}"
            yield TrialResult(request, (), Status.FAILED, attempts=request.attempt - 1, error=error)

    def _end(self) -> None:
        """Let nothing go on unseen."""
        self._cancel.set()
        while self._running and not self._abandoned:
            with contextlib.suppress(queue.Empty):
                self._finished(1)


def _reasons(result: TrialResult) -> Iterator[str]:
    for phase in result.phases.values():
        for host in phase.failed_hosts:
            if host.is_infrastructure_failure and phase.phase != "teardown":
                yield f"{host.host}: {host.message}"


def observed(
    results: Generator[TrialResult, None, None], on_result: Callable[[TrialResult], None] | None
) -> Iterator[TrialResult]:
    """Hand results on, and each to somebody else as well."""
    with contextlib.closing(results):
        for result in results:
            if on_result is not None:
                on_result(result)
            yield result
