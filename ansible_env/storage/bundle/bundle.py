"""The bundle: the directory of one trial, which only its owner can read.

bundle.json         uid, experiment, parameters (secrets masked), versions, git state
environment.yml     the environment file as it was used
boot.yml setup.yml run.yml teardown.yml     the playbooks that were run
fingerprints.json   properties of the hosts: kernel, CPU, memory, governor, machine id (hashed)
events/PHASE.jsonl  Ansible's events
logs/PHASE/         the complete output of the scripts on each host
result.json         the result
result.first.json   the first result, if `replay --save` has replaced it
state.json phases/ results/     what another controller needs to resume the trial, see `storage.journal`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from ansible_env.common import get_logger
from ansible_env.errors import ConfigError, Problem
from ansible_env.results.observer import TrialObserver
from ansible_env.results.trial import Trial
from ansible_env.storage.bundle.files import Tolerant, make_private, to_json, write_private
from ansible_env.storage.bundle.origin import Origin

logger = get_logger(__name__)

FORMAT = 1
MANIFEST = "bundle.json"
RESULT = "result.json"
FIRST_RESULT = "result.first.json"
"""The result of the trial itself, if a replay has replaced it."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The directory of one trial and its manifest."""

    directory: Path
    manifest: Mapping[str, Any]

    @classmethod
    def create(cls, origin: Origin, trial: Trial) -> Self:
        """Begin the bundle of a trial in its directory, which exists."""
        assert trial.directory is not None  # noqa: S101 - for mypy
        manifest = {
            "format": FORMAT,
            "uid": trial.uid,
            "experiment": trial.experiment or trial.environment,
            "environment": origin.environment,
            "trial": trial.number,
            "created": trial.started.isoformat(),
            "params": dict(trial.params),
            "environment_file": origin.file,
            "source": str(origin.source.absolute()) if origin.source else None,
            "rules": dict(origin.rules),
            "versions": dict(origin.versions),
            "git": origin.git,
            "controller": dict(origin.controller),
        }
        bundle = cls(trial.directory, manifest)
        write_private(trial.directory / origin.file, origin.text)
        bundle._save()
        return bundle

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Read the bundle in a directory. Raise ConfigError if there is none, or it cannot be read."""
        path = directory / MANIFEST
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            if manifest["format"] != FORMAT:
                raise ValueError(f"its format is {manifest['format']}, not {FORMAT}")
            _ = manifest["uid"], manifest["experiment"], manifest["trial"], manifest["params"], manifest["versions"]
            _ = manifest["rules"].keys()
            datetime.fromisoformat(manifest["created"])
        except FileNotFoundError as error:
            hint = "name the directory of a trial: the last line of `trial`, followed by /trial-1 and so on"
            raise ConfigError(Problem("there is no bundle of a trial here", file=directory, hint=hint)) from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ConfigError(Problem(f"the bundle cannot be read: {error}", file=path)) from error
        return cls(directory, manifest)

    @property
    def uid(self) -> str:
        """The unique name of the trial."""
        return str(self.manifest["uid"])

    @property
    def experiment(self) -> str:
        """The experiment of the trial."""
        return str(self.manifest["experiment"])

    @property
    def created(self) -> datetime:
        """When the trial began, by the controller's clock."""
        return datetime.fromisoformat(self.manifest["created"])

    @property
    def logs(self) -> Path:
        """The directory for the output of the phases."""
        return self.directory / "logs"

    def write_result(self, data: Mapping[str, Any]) -> None:
        """Write the result of the trial."""
        write_private(self.directory / RESULT, to_json(data, indent=2) + "\n")

    def replace_result(self, data: Mapping[str, Any], rules: Mapping[str, Any]) -> Self:
        """Replace the result, keep the first one, and return the bundle with the new rules."""
        first = self.directory / FIRST_RESULT
        if not first.exists():
            write_private(first, (self.directory / RESULT).read_text(encoding="utf-8"))
        self.write_result(data)
        bundle = replace(self, manifest={**self.manifest, "rules": dict(rules)})
        bundle._save()
        return bundle

    def _save(self) -> None:
        write_private(self.directory / MANIFEST, to_json(self.manifest, indent=2) + "\n")


class BundleWriter(TrialObserver):
    """Writes the bundle of each trial of one environment that has a directory."""

    def __init__(self, origin: Origin, report: Callable[[str], object] = logger.warning) -> None:
        """Take what the bundles are about, and a function that is called once if they cannot be written."""
        self._origin = origin
        self._tolerant = Tolerant("the bundle of a trial cannot be written", report)

    def on_trial_started(self, trial: Trial) -> None:
        """Begin the bundle; a trial that is resumed has one."""
        with self._tolerant():
            self._begin(trial)

    def on_phase_started(self, trial: Trial, phase: str, playbook: str, hosts: Sequence[str]) -> None:
        """Write the playbook. A phase that is resumed keeps the one that started it."""
        if trial.directory is not None and not (path := trial.directory / f"{phase}.yml").exists():
            with self._tolerant():
                write_private(path, playbook)

    def on_trial_finished(self, trial: Trial) -> None:
        """Write the result, and the facts about the hosts."""
        if trial.directory is None:
            return
        with self._tolerant():
            self._begin(trial)  # there may have been no room then
            if trial.fingerprints:
                write_private(trial.directory / "fingerprints.json", to_json(trial.fingerprints, indent=2) + "\n")
            Bundle.open(trial.directory).write_result(trial.to_dict(output=True))

    def _begin(self, trial: Trial) -> None:
        if trial.directory is not None and not (trial.directory / MANIFEST).exists():
            make_private(trial.directory)
            Bundle.create(self._origin, trial)
