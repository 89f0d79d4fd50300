"""The trials of a call as JUnit XML."""

from __future__ import annotations

from pathlib import Path

from ansible_env.cli.files import write_whole
from ansible_env.cli.record import Trial
from ansible_env.errors import ConfigError, Problem
from ansible_env.report.junit import Suite, junit


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
        write_whole(self._path, junit(self._suites), "--junit")
