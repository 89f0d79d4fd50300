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

    Trials that run at the same time call their observers from several threads. `on_event`, `on_output` and
    `on_host_result` are called from the engine's thread, which waits for them, so they must return quickly. An
    exception is logged and does not change the trial.
    """

    def on_trial_started(self, trial: Trial) -> None:
        """Receive a trial whose parameters are known, before any host is touched."""

    def on_phase_started(self, trial: Trial, phase: str, playbook: str, hosts: Sequence[str]) -> None:
        """Receive the playbook of a phase, as YAML, just before the engine runs it on these hosts.

        If the phase is resumed after its controller was killed, this is the playbook that resumes it.
        """

    def on_event(self, trial: Trial, event: Mapping[str, Any]) -> None:
        """Receive a genuine event of ansible-runner."""

    def on_output(self, trial: Trial, host: str, stream: str, text: str) -> None:
        """Receive new output of a host's script, unchanged; `stream` is `stdout` or `stderr`."""

    def on_host_result(self, trial: Trial, phase: str, result: HostResult) -> None:
        """Receive the result of a host as soon as it is known.

        A retry gives another result. The last one is in the result of the phase.
        """

    def on_phase_finished(self, trial: Trial, result: PhaseResult) -> None:
        """Receive the result of a phase. `trial.phases` contains it as well."""

    def on_trial_finished(self, trial: Trial) -> None:
        """Receive a trial that has ended. If `trial.repeated` is true, another attempt follows."""

    def on_assertions(self, trial: Trial, results: Sequence[AssertionResult]) -> None:
        """Receive the results of assertions about several finished trials. `trial` is the last one that succeeded."""


def notify(observers: Iterable[TrialObserver], call: Callable[[TrialObserver], object]) -> None:
    """Call each observer; log what it raises."""
    for observer in observers:
        try:
            call(observer)
        except Exception:
            logger.exception("%s raised an exception; the trial continues", type(observer).__name__)
