"""The trials of a call as JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ansible_env.cli.published import Published
from ansible_env.errors import ConfigError, Problem
from ansible_env.report.junit import Check, Suite, junit
from ansible_env.results.assertions import AssertionResult
from ansible_env.results.trial import Trial
from ansible_env.storage.bundle.files import write_whole


class JUnitFile(Published):
    """All trials of a call as JUnit XML."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path.expanduser().absolute()
        if not self._path.parent.is_dir():
            raise ConfigError(Problem("there is no such directory", "--junit", self._path.parent))
        self._suites: dict[str, Suite] = {}

    def write(self, trial: Trial) -> None:
        """Write the trials so far."""
        self._suites[trial.uid] = Suite(
            trial.environment,
            trial.number,
            trial.started,
            trial.elapsed,
            list(trial.host_results.values()),
            dict(trial.deciding.metrics) if trial.deciding else {},
            checks=_checks(trial.assertions),
            error=trial.error or ("" if trial.host_results else "no phase has a result"),
        )
        self._save()

    def write_assertions(self, trial: Trial, results: Sequence[AssertionResult]) -> None:
        """Add the results of assertions to a trial, as the store does."""
        self._suites[trial.uid] = replace(self._suites[trial.uid], checks=_checks(results))
        self._save()

    def _save(self) -> None:
        write_whole(self._path, junit(list(self._suites.values())), "--junit")


def _checks(results: Sequence[AssertionResult]) -> list[Check]:
    return [Check(str(result.assertion), "" if result.passed else result.message) for result in results]
