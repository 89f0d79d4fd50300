"""`TrialObserver`: how progress, bundle, store, reports, tracing and user code follow trials."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_env.common import get_logger
from ansible_env.results.assertions import AssertionResult
from ansible_env.results.host_result import HostResult
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.trial import Trial

logger = get_logger(__name__)


class TrialObserver:
    """Follows trials. Every method does nothing; override those that you need.

    Trials that run side by side call their observers from several threads at once. `on_event`, `on_output` and
    `on_host_result` are called from the engine's thread, which waits for them: return quickly. An exception is logged
    and changes nothing of the trial.
    """

    def on_trial_started(self, trial: Trial) -> None:
        """Take a trial whose parameters are known; no host has been touched."""

    def on_phase_started(self, trial: Trial, phase: str, playbook: str, hosts: Sequence[str]) -> None:
        """Take the playbook of a phase, as YAML, just before the engine runs it on these hosts.

        A phase that is resumed after its controller was killed comes here, too, with the playbook that resumes it.
        """

    def on_event(self, trial: Trial, event: Mapping[str, Any]) -> None:
        """Take a genuine event of ansible-runner."""

    def on_output(self, trial: Trial, host: str, stream: str, text: str) -> None:
        """Take what a host's script printed to `stdout` or `stderr`, as it was printed."""

    def on_host_result(self, trial: Trial, phase: str, result: HostResult) -> None:
        """Take the result of a host as soon as it is known.

        A retry gives another one. The last one is that of the phase result.
        """

    def on_phase_finished(self, trial: Trial, result: PhaseResult) -> None:
        """Take the result of a phase; it is in `trial.phases`, too."""

    def on_trial_finished(self, trial: Trial) -> None:
        """Take a trial that has ended. Where `trial.repeated`, another attempt at it follows."""

    def on_assertions(self, trial: Trial, results: Sequence[AssertionResult]) -> None:
        """Take the results of assertions about several finished trials; `trial` is the last one that succeeded."""


def notify(observers: Iterable[TrialObserver], call: Callable[[TrialObserver], object]) -> None:
    """Call each observer; log what it raises."""
    for observer in observers:
        try:
            call(observer)
        except Exception:
            logger.exception("%s raised; the trial goes on", type(observer).__name__)
