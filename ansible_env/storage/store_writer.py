"""`StoreWriter`: writes trials into the store while they are run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from ansible_env.common import get_logger
from ansible_env.errors import ConfigError, StoreError
from ansible_env.results.assertions import AssertionResult
from ansible_env.results.observer import TrialObserver
from ansible_env.results.status import Status
from ansible_env.results.trial import Trial
from ansible_env.storage.bundle.bundle import RESULT, Bundle
from ansible_env.storage.bundle.reading import read_phases, read_result, read_trial
from ansible_env.storage.store import Store

logger = get_logger(__name__)


class StoreWriter(TrialObserver):
    """Writes each trial when it starts and when it ends. What cannot be written is reported and ends no trial."""

    def __init__(self, store: Store, report: Callable[[str], object] = logger.warning) -> None:
        """Take the store, and a function that is called with a message for trials that cannot be written.

        The same error is reported once.
        """
        self._reported: set[str] = set()
        self._store = store
        self._report = report

    def on_trial_started(self, trial: Trial) -> None:
        """Write that the trial runs."""
        self._write(trial, lambda: self._store.begin_trial(trial))

    def on_trial_finished(self, trial: Trial) -> None:
        """Write the trial with its results."""
        self._write(trial, lambda: self._store.add_trial(trial))

    def on_assertions(self, trial: Trial, results: Sequence[AssertionResult]) -> None:
        """Write the results of assertions with the last trial that they are about."""
        self._write(trial, lambda: self._store.add_assertions(trial.uid, results))

    def _write(self, trial: Trial, write: Callable[[], object]) -> None:
        try:
            write()
        except (StoreError, ConfigError) as error:
            if str(error) in self._reported:
                return
            self._reported.add(str(error))
            where = f"; the results are in {trial.directory}" if trial.directory else ""
            self._report(f"not in the store: {error}{where}")


def recover(store: Store, report: Callable[[str], object] = logger.warning) -> None:
    """Write the trials into the store whose controller was killed after it wrote the result into the bundle."""
    for stored in store.trials(status=[Status.RUNNING]):
        path = Path(stored.artifacts or "") / RESULT
        if not stored.interrupted or not stored.artifacts or not path.is_file():
            continue
        with contextlib.suppress(ConfigError):  # what cannot be read stays interrupted
            bundle = Bundle.open(path.parent)
            data = read_result(path)
            if bundle.uid == stored.uid:
                StoreWriter(store, report).on_trial_finished(read_trial(bundle, data, read_phases(data, path)))
