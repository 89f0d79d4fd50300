"""`run_trials`: runs many trials of one environment at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError
from ansible_env.results.trial import Trial
from ansible_env.trials.pool import Pool, with_callback
from ansible_env.trials.run_trial import run_in
from ansible_env.trials.schedule import PlannedTrials, numbered, plan


def run_trials(  # noqa: PLR0913 - the public arguments, by keyword only
    env: RemoteEnv,
    trials: Iterable[Mapping[str, Any]],
    *,
    hosts: Sequence[str] | None = None,
    hosts_per_trial: int = 1,
    repeat: int = 1,
    seed: int | None = None,
    artifacts: Path | None = None,
    on_result: Callable[[Trial], None] | None = None,
) -> Iterator[Trial]:
    """Run trials on many hosts at once, each on hosts of its own, and yield them as they end.

    An idle host gets the next trial. A trial whose host is lost is started again on another host. `env.cancel()` ends
    the running trials, and so does leaving the loop. The observers of the environment follow every attempt, from
    several threads.

    Args:
        env: the environment, which must be entered.
        trials: the values of tunables of each trial.
        hosts: some of the hosts; by default all.
        hosts_per_trial: the number of hosts of each trial.
        repeat: how often each set of values runs.
        seed: shuffles the order; without it, the order is that of `trials`.
        artifacts: a directory for the logs and the journal of each trial.
        on_result: is called with each trial before it is yielded.

    Raises:
        LifecycleError: outside the context.
        ConfigError: there are too few hosts, or no trials.
        ParameterError: a value cannot be used; no host has been touched.
    """
    requests = plan([dict(values) for values in trials], repeat=repeat, seed=seed)
    if not requests:
        raise ConfigError(f"{env.name}: there are no trials to run")
    for request in requests:
        env.check_values(request.values, request.globals)
    pool = Pool(env, hosts, hosts_per_trial=hosts_per_trial, run=run_in(artifacts))
    return with_callback(pool.run(PlannedTrials(numbered(requests))), on_result)
