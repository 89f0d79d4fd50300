"""`OnceProgress`: shows what runs once on each host."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_env.cli.progress.lines import Progress
from ansible_env.config.fields import ONCE
from ansible_env.report.formatting import duration, some
from ansible_env.results.observer import TrialObserver
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.trial import Trial

_NAMES = {phase: part for part, phase in ONCE.items()}


class OnceProgress(TrialObserver):
    """Shows the start and the end of `setup_once` and of `teardown_once`. Called from several threads."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_phase_started(self, trial: Trial, phase: str, playbook: str, hosts: Sequence[str]) -> None:
        """Show that it starts."""
        self._progress.note(f"{_NAMES.get(phase, phase)} on {some(hosts)}")

    def on_phase_finished(self, trial: Trial, result: PhaseResult) -> None:
        """Show how it ended."""
        name = _NAMES.get(result.phase, result.phase)
        took = duration(max((host.elapsed or 0 for host in result.hosts.values()), default=None))
        self._progress.note(f"{name} on {some(trial.hosts)}: {result.status.name} in {took}")
