"""One trial of many, on some of the hosts: how it is run, and what comes of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import AnsibleEnvError, ParameterError
from ansible_env.results.metrics.parse import Value
from ansible_env.results.phase_result import PhaseResult, deciding_phase
from ansible_env.results.status import Status
from ansible_env.storage.journal import Journal
from ansible_env.trials.schedule import Request

__all__ = ["Measured", "Prepare", "TrialResult", "attempt_name", "kept_in", "run_trial"]


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What came of one trial."""

    request: Request
    hosts: tuple[str, ...]
    """Where it was run."""
    status: Status
    """That of setup, if it failed, and else of run. A teardown changes nothing of it."""
    phases: Mapping[str, PhaseResult] = field(default_factory=dict)
    """In the order in which they were run."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """All parameters, secrets masked."""
    started: datetime | None = None
    """By the controller's clock, in UTC."""
    finished: datetime | None = None
    attempts: int = 1
    """How often it was begun: a trial whose host is lost is begun again on another."""
    error: str = ""
    """Why a phase could not even be tried."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The values of tunables that were asked for."""
        return self.request.values

    @property
    def asked(self) -> Any:
        """What an optimizer gave, where one was asked."""
        return self.request.asked

    @property
    def deciding(self) -> PhaseResult | None:
        """The phase that decides status and metrics."""
        return deciding_phase(self.phases)

    @property
    def metrics(self) -> Mapping[str, Value]:
        """Those of the group; none unless the trial succeeded."""
        return self.deciding.metrics if self.deciding and self.status.is_succeeded() else {}

    @property
    def broken_hosts(self) -> tuple[str, ...]:
        """The hosts on which the machinery failed, and not the benchmark."""
        found = [result for phase, result in self.phases.items() if phase != "teardown"]
        return tuple(
            dict.fromkeys(h.host for result in found for h in result.hosts.values() if h.is_infrastructure_failure)
        )

    @property
    def is_lost(self) -> bool:
        """Whether it says nothing of its parameters, because the machinery failed."""
        return not self.status.is_succeeded() and not self.status.is_canceled() and bool(self.broken_hosts)


Prepare = Callable[[RemoteEnv, Request, Sequence[str]], None]
"""Gets the environment of a trial, and on which hosts it is to be run."""
Measured = Callable[[RemoteEnv, Sequence[str]], None]
"""Gets the environment of a trial whose run has succeeded, and its hosts, before the teardown."""


def kept_in(directory: Path) -> Prepare:
    """Return what has each trial keep its logs and its journal in a directory of its own."""

    def prepare(env: RemoteEnv, request: Request, _hosts: Sequence[str]) -> None:
        place = directory / attempt_name(request)
        env.logs, env.journal = place / "logs", Journal(place)

    return prepare


def attempt_name(request: Request) -> str:
    """Return the name of a directory for one attempt at a trial."""
    return f"trial-{request.number}" + (f"-attempt-{request.attempt}" if request.attempt > 1 else "")


def run_trial(
    env: RemoteEnv,
    request: Request,
    hosts: Sequence[str],
    prepare: Callable[[RemoteEnv], None] | None = None,
    measured: Measured | None = None,
) -> TrialResult:
    """Run setup, run and teardown of an environment that is entered; teardown always.

    `prepare` is called when the parameters are known and no host has been touched.
    """
    begun = datetime.now(UTC)
    status, errors = Status.FAILED, []

    @contextlib.contextmanager
    def kept() -> Iterator[None]:
        try:
            yield
        except AnsibleEnvError as error:
            errors.append(str(error))

    try:
        with kept():
            env.assign(request.values, request.globals)
            if prepare is not None:
                prepare(env)
            if env.setup(request.values, request.globals):
                status = env.run()[0]
                if measured is not None and status.is_succeeded():
                    measured(env, hosts)
            elif (decisive := deciding_phase(env.results)) is not None:
                status = decisive.status
    finally:
        with kept():
            env.teardown()
    phases = dict(env.results)
    if errors and not all(phase == "teardown" for phase in phases):
        status = Status.FAILED
    finished = datetime.now(UTC)
    return TrialResult(
        request, tuple(hosts), status, phases, _params(env), begun, finished, error=errors[0] if errors else ""
    )


def _params(env: RemoteEnv) -> dict[str, Any]:
    try:
        return env.params
    except ParameterError:
        return {}
