"""Ask and tell: any optimizer drives an environment, with a trial on every host at once.

    with RemoteEnv.from_file("environment.yml", inventory="inventories/lab") as env:
        for trial in Runner(env).asked(study.ask, trials=50):
            study.tell(trial.asked, trial.metrics["score"])

`ask` is called when a host is free, and never while a result is being told: an optimizer needs no locks. As many
trials are under way as there are hosts, so the first few are asked for before anything is known, as always when trials
run in parallel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_env.config.text import kind_of
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ParameterError, Problem
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.trials.pool import Pool, observed
from ansible_env.trials.run_trial import run_in
from ansible_env.trials.schedule import Asked

__all__ = ["Runner", "values_of"]


class Runner:
    """Runs what an optimizer asks for on the hosts of an environment."""

    def __init__(
        self,
        env: RemoteEnv,
        *,
        hosts: Sequence[str] | None = None,
        hosts_per_trial: int = 1,
        artifacts: Path | None = None,
        on_result: Callable[[Trial], None] | None = None,
    ) -> None:
        """Take an environment that is entered.

        Args:
            env: a RemoteEnv.
            hosts: which of its hosts; all of them otherwise.
            hosts_per_trial: how many each trial is run on.
            artifacts: a directory for the logs and the journal of each trial.
            on_result: is called with each result as well.
        """
        self._env = env
        self._hosts = hosts
        self._per_trial = hosts_per_trial
        self._artifacts = artifacts
        self._on_result = on_result

    def asked(
        self,
        ask: Callable[[], Any],
        *,
        trials: int | None = None,
        values: Callable[[Any], Mapping[str, Any]] | None = None,
    ) -> Iterator[Trial]:
        """Yield the results of what is asked for, as they come; `result.asked` is what `ask` returned.

        Leaving the loop cancels the trials under way. A trial whose host got lost is run again on another one, and
        the optimizer hears of it once.

        Args:
            ask: returns the next trial, of any kind; None, or StopIteration, ends the trials.
            trials: how many there are at the most.
            values: makes the values of tunables out of what `ask` returned; see `values_of` for what is known.

        Raises:
            LifecycleError: the environment is not entered.
            ConfigError: there are too few hosts.
            ParameterError: what was asked for cannot be used; raised when it is asked for.
        """
        read = values or values_of

        def make(number: int, answer: Any) -> TrialRequest:
            request = TrialRequest(number, dict(read(answer)), {"trial_id": number}, configuration=number, asked=answer)
            self._env.check_values(request.values, request.globals)
            return request

        pool = Pool(self._env, self._hosts, hosts_per_trial=self._per_trial, run=run_in(self._artifacts))
        return observed(pool.run(Asked(ask, make, trials)), self._on_result)


def values_of(answer: Any) -> Mapping[str, Any]:
    """Return the values of tunables in what an optimizer asks for.

    A mapping is taken as it is; else the attribute `params` (Optuna, Nevergrad's `kwargs`) or `config` (SMAC).

    Raises:
        ParameterError: it is none of these.
    """
    for found in (answer, *(getattr(answer, name, None) for name in ("params", "kwargs", "config"))):
        if isinstance(found, Mapping):
            return found
    hint = "say how its values are found: asked(ask, values=lambda answer: {…})"
    raise ParameterError(Problem(f"there are no values of tunables in {kind_of(answer)}", hint=hint))
