"""Files that others read while trials are run: for Prometheus, and for CI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

from ansible_env.cli.options import Running
from ansible_env.errors import ConfigError, Problem
from ansible_env.results.assertions import AssertionResult
from ansible_env.trials.record import Trial


class Published(Protocol):
    """A file that is written anew after each trial."""

    def write(self, trial: Trial) -> None:
        """Take a finished trial.

        Raises:
            ConfigError: the file cannot be written.
        """

    def judged(self, verdicts: Sequence[AssertionResult]) -> None:
        """Take what the trials so far were held against, all together.

        Raises:
            ConfigError: the file cannot be written.
        """


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
