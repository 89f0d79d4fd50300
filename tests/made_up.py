"""Trials that nobody ran, for tests and measurements of the store."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.storage.database.records import Sample
from ansible_env.storage.store import Store

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def add(store: Store, experiment: str, trial: Trial, *, telemetry: Iterable[Sample] = (), **fields: Any) -> str:
    """Write a trial as another one of an experiment, with these fields, and return its uid."""
    return store.add_trial(_another(experiment, trial, fields), telemetry=telemetry)


def begin(store: Store, experiment: str, **fields: Any) -> str:
    """Write that a trial begins, and return its uid."""
    return store.begin_trial(_another(experiment, Trial(experiment), fields))


def _another(experiment: str, trial: Trial, fields: Mapping[str, Any]) -> Trial:
    own = {"environment": experiment, "experiment": experiment, "uid": uuid.uuid4().hex}
    return replace(trial, **{**own, **fields})


def scored(scores: Iterable[float], *, kind: Kind = Kind.OK, **metrics: Any) -> Trial:
    """Return a trial with a host for each score; further metrics are the same on all hosts."""
    hosts = [HostResult(f"h{n}", kind, metrics={"score": s, **metrics}) for n, s in enumerate(scores, 1)]
    run = phase_result("run", hosts)
    return Trial("x", status=run.status, phases={"run": run})


def made_up(number: int, hosts: int, metrics: int) -> Trial:
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
    return Trial(
        "made-up",
        TrialRequest(number + 1),
        params={"cache": cache, "mode": mode, "rows": 50_000},
        status=phases["run"].status,
        phases=phases,
        started=started,
        finished=started + timedelta(seconds=40),
    )


def fill(store: Store, experiment: str, trials: int, hosts: int, metrics: int) -> list[float]:
    """Write trials; return the seconds that each took."""
    took = []
    for number in range(trials):
        trial = made_up(number, hosts, metrics)
        begun = time.perf_counter()
        add(store, experiment, trial)
        took.append(time.perf_counter() - begun)
    return took
