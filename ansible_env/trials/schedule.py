"""The order of trials: which one an idle host gets next."""

from __future__ import annotations

import itertools
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_env.errors import ConfigError
from ansible_env.results.trial import TrialRequest
from ansible_env.trials.needs import Need, choose


class Source(ABC):
    """A source of trials, by default a queue. Called from one thread."""

    eager: bool
    """Whether a trial may start before the last one has been yielded."""

    def __init__(self, requests: Iterable[TrialRequest] = ()) -> None:
        self._queue = list(requests)

    @abstractmethod
    def take(self, idle: Sequence[str], needs: Sequence[Need]) -> tuple[TrialRequest, tuple[str, ...]] | None:
        """Return a trial and the idle hosts that it gets, which fulfil the needs; None if there is none now."""

    def put_back(self, request: TrialRequest) -> None:
        """Put back a trial whose hosts were lost. It becomes the next one."""
        self._queue.insert(0, request)

    @property
    def waiting(self) -> bool:
        """Whether there is a trial to run, on any hosts."""
        return bool(self._queue)

    def rest(self) -> Iterable[TrialRequest]:
        """Return the trials that were not run."""
        return tuple(self._queue)


class PlannedTrials(Source):
    """Trials in a given order. Repetitions go to different hosts if these are idle."""

    eager = True

    def __init__(self, requests: Iterable[TrialRequest], seen: Iterable[tuple[int, str]] = ()) -> None:
        """Take the trials, and the configurations that have run on hosts before."""
        super().__init__(requests)
        self._seen: set[tuple[int, str]] = set(seen)

    def take(self, idle: Sequence[str], needs: Sequence[Need]) -> tuple[TrialRequest, tuple[str, ...]] | None:
        """Return the first trial whose configuration is new to these hosts, or else to most of them."""
        best: tuple[int, TrialRequest, tuple[str, ...]] | None = None
        for request in self._queue:
            usable = [host for host in idle if not request.hosts or host in request.hosts]
            usable.sort(key=lambda host: (request.configuration, host) in self._seen)
            if (hosts := choose(usable, needs)) is None:
                continue
            known = sum((request.configuration, host) in self._seen for host in hosts)
            if best is None or known < best[0]:
                best = known, request, hosts
            if known == 0:
                break
        if best is None:
            return None
        _, request, hosts = best
        self._queue.remove(request)
        self._seen.update((request.configuration, host) for host in hosts)
        return request, hosts


class AskedTrials(Source):
    """Trials that an optimizer returns, one at a time, when a host is idle."""

    eager = False

    def __init__(self, ask: Callable[[], Any], make: Callable[[int, Any], TrialRequest], most: int | None) -> None:
        """Use a function to ask, one that makes a numbered trial from its answer, and the largest number of trials.

        `ask` ends the trials with None or StopIteration.
        """
        super().__init__()
        self._ask = ask
        self._make = make
        self._most = most
        self._asked = 0
        self._over = False

    def take(self, idle: Sequence[str], needs: Sequence[Need]) -> tuple[TrialRequest, tuple[str, ...]] | None:
        """Return a trial that was put back, or ask for another."""
        if (hosts := choose(idle, needs)) is None:
            return None
        if self._queue:
            return self._queue.pop(0), hosts
        if not self.waiting:
            return None
        try:
            answer = self._ask()
        except StopIteration:
            answer = None
        if answer is None:
            self._over = True
            return None
        self._asked += 1
        return self._make(self._asked, answer), hosts

    @property
    def waiting(self) -> bool:
        """Whether a trial was put back, or another may be asked for."""
        return bool(self._queue) or not (self._over or self._asked == self._most)


def grid(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return every combination of the values of some parameters; one empty set for no parameters."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def plan(
    configurations: Sequence[Mapping[str, Any]], *, repeat: int = 1, seed: int | None = None
) -> list[TrialRequest]:
    """Return the trials of some configurations: each of them once in every pass, in an order that the seed decides.

    So a drift of the hosts does not look like an effect of the parameters. Without a seed the order is the given one.
    """
    chance = random.Random(seed) if seed is not None else None  # noqa: S311 - an order, not a secret
    order: list[tuple[int, int]] = []
    for number in range(1, repeat + 1):
        indices = list(range(len(configurations)))
        if chance is not None:
            chance.shuffle(indices)
        order += [(index, number) for index in indices]
    return [
        TrialRequest(number, dict(configurations[index]), configuration=index, repeat=time)
        for number, (index, time) in enumerate(order, 1)
    ]


def numbered(requests: Iterable[TrialRequest]) -> Iterator[TrialRequest]:
    """Give each trial its number as `trial_id`, unless it has one."""
    for request in requests:
        yield replace(request, globals={"trial_id": request.number, **request.globals})


def plan_calibration(hosts: Sequence[str], values: Mapping[str, Any], *, repeat: int = 1) -> Iterator[TrialRequest]:
    """Yield trials of one configuration, the same number for every host. Raise ConfigError for fewer than two hosts."""
    if len(hosts) < 2:
        raise ConfigError(f"a calibration compares hosts, and there is only {len(hosts)}")
    pairs = itertools.product(range(1, repeat + 1), hosts)
    for number, (time, host) in enumerate(pairs, 1):
        yield TrialRequest(number, dict(values), repeat=time, hosts=frozenset({host}))
