"""Files for other programs that are rewritten after each trial: `TrialFile`, and JUnit XML as one of them."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ansible_env.common import get_logger
from ansible_env.errors import ConfigError, Problem
from ansible_env.report.junit import Check, Suite, junit
from ansible_env.results.assertions import AssertionResult
from ansible_env.results.observer import TrialObserver
from ansible_env.results.trial import Trial
from ansible_env.storage.bundle.files import write_whole

logger = get_logger(__name__)


class TrialFile(TrialObserver):
    """A file that is rewritten after each trial. If it cannot be written, that is reported, and ends no trial."""

    def __init__(self, path: Path, report: Callable[[str], object], option: str) -> None:
        """Use a path; a function receives a message if the file cannot be written.

        Raises:
            ConfigError: there is no such directory.
        """
        self._path = path.expanduser().absolute()
        self._report = report
        if not self._path.parent.is_dir():
            raise ConfigError(Problem("there is no such directory", option, self._path.parent))
        self._lock = threading.Lock()

    @abstractmethod
    def write(self, trial: Trial) -> None:
        """Write the file with another finished trial. Raise ConfigError if it cannot be written."""

    def write_assertions(self, trial: Trial, results: Sequence[AssertionResult]) -> None:
        """Write the file with the results of assertions that were checked after this trial; errors as in `write`."""

    def on_trial_finished(self, trial: Trial) -> None:
        """Write a trial, unless another attempt follows."""
        if not trial.repeated:
            self._attempt(lambda: self.write(trial))

    def on_assertions(self, trial: Trial, results: Sequence[AssertionResult]) -> None:
        """Write the results of assertions."""
        self._attempt(lambda: self.write_assertions(trial, results))

    def _attempt(self, write: Callable[[], None]) -> None:
        try:
            with self._lock:
                write()
        except ConfigError as error:
            self._report(str(error))


class JUnitFile(TrialFile):
    """All trials of a call as JUnit XML."""

    def __init__(self, path: Path, report: Callable[[str], object] = logger.warning) -> None:
        """Open the file, see `TrialFile`."""
        super().__init__(path, report, "--junit")
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
