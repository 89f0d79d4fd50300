"""Many trials of one environment at once: `run_trials`, and the pool of hosts behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError
from ansible_env.trials.pool import Pool, observed
from ansible_env.trials.schedule import Planned, numbered, plan
from ansible_env.trials.trial import Measured, Prepare, TrialResult, kept_in

__all__ = ["open_pool", "run_trials"]


def run_trials(
    env: RemoteEnv,
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
        env: the environment; it is entered.
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
        raise ConfigError(f"{env.name}: there are no trials to be run")
    for request in requests:
        env.check_values(request.values, request.globals)
    prepare = kept_in(artifacts) if artifacts is not None else None
    pool = open_pool(env, hosts, hosts_per_trial=hosts_per_trial, prepare=prepare)
    return observed(pool.run(Planned(numbered(requests))), on_result)


def open_pool(
    env: RemoteEnv,
    hosts: Sequence[str] | None = None,
    *,
    hosts_per_trial: int = 1,
    prepare: Prepare | None = None,
    on_lost: Callable[[TrialResult], object] | None = None,
    measured: Measured | None = None,
) -> Pool:
    """Return hosts that work through trials: for `run_trials`, and for `ansible_env.trials.tuning`; see `Pool`.

    Raises:
        LifecycleError: outside the context.
        ConfigError: a host is none of the environment's, or there are too few.
    """
    cancel = env.begin_trials()
    wanted = tuple(hosts) if hosts is not None else env.hosts
    if unknown := [host for host in wanted if host not in env.hosts]:
        raise ConfigError(f"{env.name}: {unknown[0]!r} is none of its hosts: {', '.join(env.hosts)}")
    if not 1 <= hosts_per_trial <= len(wanted):
        raise ConfigError(f"{env.name}: {hosts_per_trial} hosts for each trial, and there are {len(wanted)}")
    return Pool(
        lambda chosen: env.on(chosen, cancel=cancel),
        wanted,
        hosts_per_trial=hosts_per_trial,
        cancel=cancel,
        prepare=prepare,
        on_lost=on_lost,
        measured=measured,
    )
