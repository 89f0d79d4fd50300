"""Trials on their way into the store. What goes wrong with that is told, and ends no trial: its bundle has it all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from ansible_env.cli import console
from ansible_env.cli.options import Running
from ansible_env.errors import ConfigError, StoreError
from ansible_env.results.assertions import AssertionResult
from ansible_env.storage.bundle.bundle import Bundle
from ansible_env.storage.store import Store
from ansible_env.trials.record import Trial, trial_info


def open_keeper(options: Running, phases: tuple[str, ...], stack: ExitStack) -> Keeper:
    """Open the store, unless nothing is to be kept. A setup or a teardown alone has no result.

    Raises:
        ConfigError, StoreError: it cannot be opened; no host has been touched.
    """
    if options.no_store or "run" not in phases:
        return Keeper(None)
    return Keeper(stack.enter_context(Store(options.store)))


class Keeper:
    """Writes trials into a store, or nowhere."""

    def __init__(self, store: Store | None) -> None:
        self._store = store

    def begin(self, trial: Trial) -> None:
        """Write down that a trial begins."""
        store, bundle = self._store, trial.bundle
        if store is not None and bundle is not None:
            self._keep(bundle, lambda: store.begin_trial(bundle.experiment, trial_info(trial, bundle)))

    def finish(self, trial: Trial) -> None:
        """Write down what came of a trial."""
        store, bundle = self._store, trial.bundle
        if store is not None and bundle is not None:
            self._keep(bundle, lambda: _add(store, trial, bundle))

    def judged(self, trial: Trial, verdicts: Sequence[AssertionResult]) -> None:
        """Write down what was asserted of trials, with the last one of them."""
        store, bundle = self._store, trial.bundle
        if store is not None and bundle is not None:
            self._keep(bundle, lambda: store.add_assertions(bundle.uid, verdicts))

    def _keep(self, bundle: Bundle, write: Callable[[], object]) -> None:
        try:
            write()
        except (StoreError, ConfigError) as error:
            console.say_error(f"warning: not in the store: {error}; the results are in {bundle.directory}")


def _add(store: Store, trial: Trial, bundle: Bundle) -> None:
    store.add_trial(
        bundle.experiment,
        trial,
        trial_info(trial, bundle),
        error=trial.error,
        finished=trial.end,
        fingerprints=trial.fingerprints,
    )
