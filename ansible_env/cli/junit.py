"""The trials of a call as JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ansible_env.errors import ConfigError, Problem
from ansible_env.report.junit import Check, Suite, junit
from ansible_env.results.assertions import AssertionResult
from ansible_env.storage.bundle.files import write_whole
from ansible_env.trials.record import Trial


class JUnitFile:
    """All trials of a call as JUnit XML."""

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser().absolute()
        if not self._path.parent.is_dir():
            raise ConfigError(Problem("there is no such directory", "--junit", self._path.parent))
        self._suites: list[Suite] = []

    def write(self, trial: Trial) -> None:
        """Write the trials so far."""
        deciding = trial.deciding
        self._suites.append(
            Suite(
                trial.environment,
                trial.number,
                trial.begin,
                trial.elapsed,
                list(trial.hosts.values()),
                dict(deciding.metrics) if deciding else {},
                error=trial.error or ("" if trial.hosts else "no phase has a result"),
            )
        )
        self._save()

    def judged(self, verdicts: Sequence[AssertionResult]) -> None:
        """Add the budgets to the last trial, as the store does."""
        checks = [Check(str(verdict.assertion), "" if verdict.passed else verdict.message) for verdict in verdicts]
        self._suites[-1] = replace(self._suites[-1], checks=checks)
        self._save()

    def _save(self) -> None:
        write_whole(self._path, junit(self._suites), "--junit")
