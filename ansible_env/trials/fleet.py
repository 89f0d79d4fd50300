"""An environment whose hosts work through many trials, each on its own."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_env.errors import ConfigError
from ansible_env.pool import Pool, observed
from ansible_env.schedule import Planned, numbered, plan
from ansible_env.trials import Measured, Prepare, TrialEnv, TrialResult, kept_in

__all__ = ["Fleet"]


class Fleet(ABC):
    """What a RemoteEnv can do with its hosts one by one."""

    name: str

    @property
    @abstractmethod
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the environment stands for now, in the inventory's order."""

    @abstractmethod
    def check_values(self, tunables: Any = None, global_config: Mapping[str, Any] | None = None) -> None:
        """Check the values of a trial, and change nothing."""

    @abstractmethod
    def on(self, hosts: Sequence[str], *, cancel: threading.Event | None = None) -> TrialEnv:
        """Return the same environment on some of its hosts."""

    @abstractmethod
    def _begin_trials(self) -> threading.Event:
        """Return what `cancel()` sets."""

    def run_trials(
        self,
        trials: Iterable[Mapping[str, Any]],
        *,
        hosts: Sequence[str] | None = None,
        hosts_per_trial: int = 1,
        repeat: int = 1,
        seed: int | None = None,
        artifacts: Path | None = None,
        on_result: Callable[[TrialResult], None] | None = None,
    ) -> Iterator[TrialResult]:
        """Run trials on many hosts at once, each on hosts of its own, and yield the results as they come.

        A host that is free takes the next trial. One whose host is lost is begun again on another. `cancel()` ends
        the trials under way; so does leaving the loop.

        Args:
            trials: the values of tunables of each.
            hosts: which hosts of the environment; all of them otherwise.
            hosts_per_trial: how many each trial is run on.
            repeat: how often each set of values is tried.
            seed: of the order; the given one without it.
            artifacts: a directory for the logs and the journal of each trial.
            on_result: is called with each result as well.

        Raises:
            LifecycleError: outside the context.
            ConfigError: there are too few hosts, or nothing to be run.
            ParameterError: a value cannot be used; no host has been touched.
        """
        requests = plan([dict(values) for values in trials], repeat=repeat, seed=seed)
        if not requests:
            raise ConfigError(f"{self.name}: there are no trials to be run")
        for request in requests:
            self.check_values(request.values, request.globals)
        prepare = kept_in(artifacts) if artifacts is not None else None
        pool = self.pool(hosts, hosts_per_trial=hosts_per_trial, prepare=prepare)
        return observed(pool.run(Planned(numbered(requests))), on_result)

    def pool(
        self,
        hosts: Sequence[str] | None = None,
        *,
        hosts_per_trial: int = 1,
        prepare: Prepare | None = None,
        on_lost: Callable[[TrialResult], object] | None = None,
        measured: Measured | None = None,
    ) -> Pool:
        """Return hosts that work through trials: for `run_trials`, and for `ansible_env.tuning`; see `Pool`.

        Raises:
            LifecycleError: outside the context.
            ConfigError: a host is none of the environment's, or there are too few.
        """
        cancel = self._begin_trials()
        wanted = tuple(hosts) if hosts is not None else self.hosts
        if unknown := [host for host in wanted if host not in self.hosts]:
            raise ConfigError(f"{self.name}: {unknown[0]!r} is none of its hosts: {', '.join(self.hosts)}")
        if not 1 <= hosts_per_trial <= len(wanted):
            raise ConfigError(f"{self.name}: {hosts_per_trial} hosts for each trial, and there are {len(wanted)}")
        return Pool(
            lambda chosen: self.on(chosen, cancel=cancel),
            wanted,
            hosts_per_trial=hosts_per_trial,
            cancel=cancel,
            prepare=prepare,
            on_lost=on_lost,
            measured=measured,
        )
