"""Trials that nobody ran, for tests and measurements of the store."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import PhaseResult, phase_result
from ansible_env.results.status import Status
from ansible_env.storage.database.records import TrialInfo
from ansible_env.storage.store import Store

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class MadeUp:
    """A trial that nobody ran."""

    status: Status
    phases: Mapping[str, PhaseResult]


def made_up(number: int, hosts: int, metrics: int) -> tuple[MadeUp, TrialInfo]:
    """Return a trial with three phases; its metrics depend on its parameters, with some noise."""
    random = Random(number)
    cache, mode = random.randrange(1, 4096), random.choice(["wal", "delete", "memory"])
    started = BEGIN + timedelta(minutes=number)
    failed = number % 50 == 49

    def host(index: int, phase: str) -> HostResult:
        values = {f"metric_{n}": cache**0.5 * (n + 1) + random.gauss(0, 3) for n in range(metrics)}
        bad = failed and phase == "run" and index == 0
        kind = Kind.EXIT if bad else Kind.OK
        found = values if phase == "run" and not bad else {}
        end = started + timedelta(seconds=30)
        return HostResult(f"host{index}", kind, str(kind), int(bad), found, started=started, finished=end)

    phases = {
        phase: phase_result(phase, [host(index, phase) for index in range(hosts)])
        for phase in ("setup", "run", "teardown")
    }
    info = TrialInfo(number=number + 1, params={"cache": cache, "mode": mode, "rows": 50_000}, started=started)
    return MadeUp(phases["run"].status, phases), info


def fill(store: Store, experiment: str, trials: int, hosts: int, metrics: int) -> list[float]:
    """Write trials; return the seconds that each took."""
    took = []
    for number in range(trials):
        trial, info = made_up(number, hosts, metrics)
        begin = time.perf_counter()
        store.add_trial(experiment, trial, info, finished=(info.started or BEGIN) + timedelta(seconds=40))
        took.append(time.perf_counter() - begin)
    return took
