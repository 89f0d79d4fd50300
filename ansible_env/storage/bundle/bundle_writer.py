"""`BundleWriter`: writes the bundle of each trial while it is run."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_env.results.observer import TrialObserver
from ansible_env.results.trial import Trial
from ansible_env.storage.bundle.bundle import MANIFEST, Bundle
from ansible_env.storage.bundle.files import make_private, to_json, write_private
from ansible_env.storage.bundle.origin import Origin


class BundleWriter(TrialObserver):
    """Writes the bundle of each trial of one environment that has a directory."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin

    def on_trial_started(self, trial: Trial) -> None:
        """Begin the bundle; a trial that is resumed has one."""
        if trial.directory is not None and not (trial.directory / MANIFEST).exists():
            make_private(trial.directory)
            Bundle.create(self._origin, trial)

    def on_phase_started(self, trial: Trial, phase: str, playbook: str, hosts: Sequence[str]) -> None:
        """Write the playbook. A phase that is resumed keeps the one that started it."""
        if trial.directory is not None and not (path := trial.directory / f"{phase}.yml").exists():
            write_private(path, playbook)

    def on_trial_finished(self, trial: Trial) -> None:
        """Write the result, and the facts about the hosts."""
        if trial.directory is None:
            return
        if trial.fingerprints:
            write_private(trial.directory / "fingerprints.json", to_json(trial.fingerprints, indent=2) + "\n")
        Bundle.open(trial.directory).write_result(trial.to_dict(output=True))
