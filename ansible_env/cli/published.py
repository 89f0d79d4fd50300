"""Files that others read while trials are run: for Prometheus, and for CI."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

from ansible_env.cli import console
from ansible_env.cli.options import Running
from ansible_env.errors import ConfigError, Problem
from ansible_env.results.assertions import AssertionResult
from ansible_env.results.observer import TrialObserver
from ansible_env.results.trial import Trial


class Published(TrialObserver):
    """A file that is rewritten after each trial. If it cannot be written, that is reported, and ends no trial."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @abstractmethod
    def write(self, trial: Trial) -> None:
        """Write the file with another finished trial.

        Raises:
            ConfigError: the file cannot be written.
        """

    def write_assertions(self, trial: Trial, results: Sequence[AssertionResult]) -> None:
        """Write the file with the results of assertions that were checked after this trial.

        Raises:
            ConfigError: the file cannot be written.
        """

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
            console.say_warning(str(error))


def published(options: Running) -> Iterator[Published]:
    """Yield the files that were asked for.

    Raises:
        ConfigError: one cannot be made, or needs a package that is not installed.
    """
    if options.prometheus is not None:
        yield _textfile(options.prometheus)
    if options.junit is not None:
        made: Published = import_module("ansible_env.cli.junit").JUnitFile(
            options.junit
        )  # the room of reports is large
        yield made


def _textfile(path: Path) -> Published:
    try:
        made: Published = import_module("ansible_env.cli.prometheus").Textfile(path)
    except ImportError as error:
        hint = "pip install 'ansible-env[prometheus]'"
        raise ConfigError(Problem("needs a package that is not installed", "--prometheus", hint=hint)) from error
    return made
