"""`run_trials` and `Runner`: run many trials of one environment at once, planned ones or those of an optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from ansible_env.config.text import kind_of
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, ParameterError, Problem
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.trials.pool import Pool, with_callback
from ansible_env.trials.run_trial import run_in
from ansible_env.trials.schedule import AskedTrials, PlannedTrials, numbered, plan


def run_trials(  # noqa: PLR0913 - the public arguments, by keyword only
    env: RemoteEnv,
    trials: Iterable[Mapping[str, Any]],
    *,
    hosts: Sequence[str] | None = None,
    hosts_per_trial: int | Mapping[str, int] = 1,
    repeat: int = 1,
    seed: int | None = None,
    artifacts: Path | None = None,
    on_result: Callable[[Trial], None] | None = None,
) -> Iterator[Trial]:
    """Run trials on many hosts at once, each on its own hosts, and yield them as they end.

    An idle host gets the next trial. A trial whose host is lost is started again on another host. `env.cancel()` ends
    the running trials, and so does leaving the loop. The observers of the environment follow every attempt, from
    several threads.

    Args:
        env: the environment, which must be entered.
        trials: the values of tunables of each trial.
        hosts: some of the hosts; by default all.
        hosts_per_trial: the number of hosts of each trial, or that of each host pattern: `{"db": 1, "load": 2}`.
        repeat: how often each set of values runs.
        seed: shuffles the order; without it, the order is that of `trials`.
        artifacts: a directory for the logs and the journal of each trial.
        on_result: is called with each trial before it is yielded.

    Raises:
        LifecycleError: outside the context.
        ConfigError: there are too few hosts, or no trials; or a step might have no host.
        ParameterError: a value cannot be used; no host has been touched.
    """
    requests = plan([dict(values) for values in trials], repeat=repeat, seed=seed)
    if not requests:
        raise ConfigError(f"{env.name}: there are no trials to run")
    for request in requests:
        env.check_values(request.values, request.globals)
    pool = Pool(env, hosts, hosts_per_trial=hosts_per_trial, run=run_in(artifacts))
    first, *others = [request.values for request in requests]
    env.once.values = {k: v for k, v in first.items() if all(k in other and other[k] == v for other in others)}
    return with_callback(pool.run(PlannedTrials(numbered(requests))), on_result)


@dataclass(frozen=True)
class Runner:
    """Runs an optimizer's trials on the hosts of an environment, which must be entered before `asked` is called.

        with RemoteEnv.from_file("environment.yml", inventory="inventories/lab") as env:
            for trial in Runner(env).asked(study.ask, trials=50):
                study.tell(trial.asked, trial.metrics["score"])

    `ask` is called when a host is idle, and never while the loop handles a result, so an optimizer needs no locks. As
    many trials run at once as there are hosts, so the first ones are requested before any result is known.
    """

    env: RemoteEnv
    """The environment; its observers follow every attempt, from several threads."""
    _: KW_ONLY
    hosts: Sequence[str] | None = None
    """Some of the hosts; by default all."""
    hosts_per_trial: int | Mapping[str, int] = 1
    """The number of hosts of each trial, or that of each host pattern."""
    artifacts: Path | None = None
    """A directory for the logs and the journal of each trial."""
    on_result: Callable[[Trial], None] | None = None
    """Is called with each trial before it is yielded."""

    def asked(
        self,
        ask: Callable[[], Any],
        *,
        trials: int | None = None,
        values: Callable[[Any], Mapping[str, Any]] | None = None,
    ) -> Iterator[Trial]:
        """Yield trials as they end. `trial.asked` is the object that `ask` returned.

        Leaving the loop cancels the running trials. A trial whose host is lost runs again on another host, and is
        yielded once.

        Args:
            ask: returns the next trial, as any object; None or StopIteration ends the trials.
            trials: the largest number of trials.
            values: returns the values of tunables from the object that `ask` returned; by default `values_of`.

        Raises:
            LifecycleError: the environment is not entered.
            ConfigError: there are too few hosts.
            ParameterError: an object that `ask` returned cannot be used.
        """
        read = values or values_of

        def make(number: int, answer: Any) -> TrialRequest:
            request = TrialRequest(number, dict(read(answer)), {"trial_id": number}, configuration=number, asked=answer)
            self.env.check_values(request.values, request.globals)
            return request

        pool = Pool(self.env, self.hosts, hosts_per_trial=self.hosts_per_trial, run=run_in(self.artifacts))
        return with_callback(pool.run(AskedTrials(ask, make, trials)), self.on_result)


def values_of(answer: Any) -> Mapping[str, Any]:
    """Return the values of tunables in the object that an optimizer returned.

    They are the object itself if it is a mapping, or else its attribute `params` (Optuna), `kwargs` (Nevergrad) or
    `config` (SMAC).

    Raises:
        ParameterError: the object has none of these.
    """
    for values in (answer, *(getattr(answer, name, None) for name in ("params", "kwargs", "config"))):
        if isinstance(values, Mapping):
            return values
    hint = "give a function that returns them: asked(ask, values=lambda answer: {…})"
    raise ParameterError(Problem(f"there are no values of tunables in {kind_of(answer)}", hint=hint))
