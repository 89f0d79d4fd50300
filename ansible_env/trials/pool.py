"""`Pool`: runs many trials at once, each on its own hosts, all through one engine.

Every trial has its own environment on some of the hosts, in its own thread. An idle host gets the next trial
of the source, so a slow host gets fewer.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace

from ansible_env.common import get_logger
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import AnsibleEnvError, ConfigError
from ansible_env.results.observer import notify
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.trials.alike_failures import AlikeFailures
from ansible_env.trials.needs import choose, needs_of
from ansible_env.trials.run_trial import RunTrial
from ansible_env.trials.schedule import Source

logger = get_logger(__name__)

MAX_ATTEMPTS = 3
"""Attempts at a trial. The result of the last one counts."""
REST = 5.0
"""Seconds for which a host gets no trial after an infrastructure failure."""
CANCEL_CHECK = 1.0
"""Seconds after which a pool whose hosts rest checks whether it was canceled."""
STRIKES = 2
"""Infrastructure failures in a row after which a host gets no more trials."""


class Pool:
    """Runs the trials of a source on hosts."""

    def __init__(
        self,
        env: RemoteEnv,
        hosts: Sequence[str] | None = None,
        *,
        hosts_per_trial: int | Mapping[str, int] = 1,
        run: RunTrial,
    ) -> None:
        """Use an environment that is entered.

        Args:
            env: the environment, which must be entered. `cancel()` ends the running trials, and no other starts.
            hosts: some of its hosts; all of them otherwise.
            hosts_per_trial: how many hosts each trial needs, or how many of each host pattern.
            run: runs a trial, in its own thread, with an environment on the hosts of the trial.

        Raise LifecycleError outside the context; ConfigError if a host is not the environment's, or there are too few.
        """
        self._cancel = env.begin_trials()
        wanted = tuple(hosts) if hosts is not None else env.hosts
        if unknown := [host for host in wanted if host not in env.hosts]:
            raise ConfigError(f"{env.name}: {unknown[0]!r} is not one of its hosts: {', '.join(env.hosts)}")
        self._needs = needs_of(env, wanted, hosts_per_trial)
        self._env = env
        self._idle = list(wanted)
        self._run = run
        self._done: queue.SimpleQueue[tuple[Trial, BaseException | None]] = queue.SimpleQueue()
        self._running: dict[int, RemoteEnv | None] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._strikes: dict[str, int] = {}
        self._resting: dict[str, float] = {}
        self.lost: list[str] = []
        """Hosts that get no more trials."""
        self._abandoned = False
        self._alike = AlikeFailures(env.config.stop_after)

    def run(self, source: Source) -> Generator[Trial, None, None]:
        """Yield each trial when its last attempt has ended. A caller that stops iterating cancels the running ones.

        Raises:
            RepeatedFailureError: too many trials in a row failed alike; all that were started have been yielded.
        """
        try:
            while True:
                self._fill(source)
                if not self._running and not self._resting:
                    break
                if (finished := self._finished(min(self._resting.values(), default=None))) is None:
                    continue  # a host has rested
                trial, error = finished
                if error is not None:
                    raise error
                again = self._free(trial, source)
                if not again:
                    self._alike.note(trial)
                if source.eager or again:
                    self._fill(source)
                if not again:
                    yield trial
            self._alike.check()
            if not self._cancel.is_set():
                yield from self._left(source)
        finally:
            self._end()

    def abandon(self) -> None:
        """Stop waiting for the running trials, including their teardowns."""
        self._cancel.set()
        self._abandoned = True
        for env in list(self._running.values()):
            if env is not None:
                env.cancel_teardown()

    def _fill(self, source: Source) -> None:
        """Start trials on idle hosts."""
        now = time.monotonic()
        for host in [host for host, until in self._resting.items() if until <= now]:
            del self._resting[host]
            self._idle.append(host)
        stopped = self._cancel.is_set() or self._alike.too_many
        while not stopped and choose(self._idle, self._needs) is not None:
            taken = source.take(tuple(self._idle), self._needs)
            if taken is None:
                break
            request, hosts = taken
            self._idle = [host for host in self._idle if host not in hosts]
            self._running[request.number] = None
            name = f"ansible_env-trial-{request.number}"
            thread = threading.Thread(target=self._work, args=(request, hosts), name=name, daemon=True)
            self._threads[request.number] = thread
            thread.start()
        if not self._running and (stopped or not source.waiting):
            self._resting.clear()

    def _work(self, request: TrialRequest, hosts: Sequence[str]) -> None:
        failure = None
        try:
            with self._env.on(hosts, cancel=self._cancel) as env:
                self._running[request.number] = env
                trial = self._run(env, request, self._mark)
        except AnsibleEnvError as error:
            trial = self._not_run(request, hosts, str(error))
        except BaseException as error:
            trial, failure = Trial(self._env.name, request, hosts=tuple(hosts)), error
        teardown = trial.phases.get("teardown")
        if teardown is not None and not teardown.status.is_succeeded():
            logger.warning("%s: %s", self._env.name, teardown.summary())
        self._done.put((trial, failure))

    def _mark(self, trial: Trial) -> Trial:
        """Mark a trial that has another attempt."""
        again = trial.is_lost and trial.attempts < MAX_ATTEMPTS and not self._cancel.is_set()
        return replace(trial, repeated=again)

    def _not_run(self, request: TrialRequest, hosts: Sequence[str], error: str) -> Trial:
        """Return a trial that was not started, when its observers have seen it."""
        trial = Trial(
            self._env.name, request, self._env.experiment, hosts=tuple(hosts), params=dict(request.values), error=error
        ).finish()
        notify(self._env.observers, lambda observer: observer.on_trial_finished(trial))
        return trial

    def _finished(self, until: float | None) -> tuple[Trial, BaseException | None] | None:
        """Return a trial that has ended, when its thread has, too; None if there is none until that time, or soon."""
        try:
            patience = None if until is None else min(max(0.0, until - time.monotonic()), CANCEL_CHECK)
            trial, error = self._done.get(timeout=patience)
        except queue.Empty:
            return None
        del self._running[trial.number]
        self._threads.pop(trial.number).join()
        return trial, error

    def _free(self, trial: Trial, source: Source) -> bool:
        """Free the hosts of a trial, but broken ones; return whether it goes back to the source."""
        broken = trial.broken_hosts if trial.is_lost else ()
        for host in trial.hosts:
            if host not in broken:
                self._strikes.pop(host, None)
                self._resting[host] = time.monotonic() + self._env.config.cooldown
                continue
            self._strikes[host] = self._strikes.get(host, 0) + 1
            if self._strikes[host] < STRIKES:
                self._resting[host] = time.monotonic() + max(REST, self._env.config.cooldown)
            else:
                self.lost.append(host)
                logger.warning("%s gets no more trials: it had %d infrastructure failures in a row", host, STRIKES)
        again = trial.repeated and not self._cancel.is_set()
        if again:
            logger.warning("trial %d returns to the queue: %s", trial.number, "; ".join(_reasons(trial)) or "lost")
            source.put_back(replace(trial.request, attempt=trial.attempts + 1))
        return again

    def _left(self, source: Source) -> Iterator[Trial]:
        """Yield the trials for which too few hosts are left."""
        for request in source.rest():
            lost = f"; lost: {', '.join(sorted(self.lost))}" if self.lost else ""
            error = f"too few hosts are left for the trial{lost}"
            yield self._not_run(replace(request, attempt=request.attempt - 1), (), error)

    def _end(self) -> None:
        """Cancel the running trials, and wait for them."""
        self._cancel.set()
        while self._running and not self._abandoned:
            self._finished(time.monotonic() + 1)


def _reasons(trial: Trial) -> Iterator[str]:
    for phase in trial.phases.values():
        for host in phase.failed_hosts:
            if host.host in trial.broken_hosts and phase.phase != "teardown":
                where = f"setup_once on {host.host}" if phase.phase == "setup_once" else host.host
                yield f"{where}: {host.message}"


def with_callback(trials: Generator[Trial, None, None], on_result: Callable[[Trial], None] | None) -> Iterator[Trial]:
    """Yield trials, and call a function with each."""
    with contextlib.closing(trials):
        for trial in trials:
            if on_result is not None:
                on_result(trial)
            yield trial
