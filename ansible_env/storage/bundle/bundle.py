"""The bundle: all that a trial leaves behind, in one directory that nobody else can read.

bundle.json         what it is: uid, experiment, parameters (secrets masked), versions, git state
environment.yml     the environment file as it was used
boot.yml setup.yml run.yml teardown.yml     the playbooks that were run
fingerprints.json   what the hosts are: kernel, CPU, memory, governor, machine id (hashed)
events/PHASE.jsonl  Ansible's events
logs/PHASE/         all that the scripts printed, for each host
result.json         what came of it
result.first.json   what came of it first, where `replay --save` has put another result in its place
state.json results/ what another controller needs to take it up, see `ansible_env.storage.journal`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from ansible_env.errors import ConfigError, Problem
from ansible_env.results.trial import Trial
from ansible_env.storage.bundle.files import to_json, write_private
from ansible_env.storage.bundle.origin import Origin
from ansible_env.storage.bundle.place import ROOT_VARIABLE, new_call, root

__all__ = ["MANIFEST", "RESULT", "ROOT_VARIABLE", "Bundle", "Origin", "new_call", "root", "to_json", "write_private"]

FORMAT = 1
MANIFEST = "bundle.json"
RESULT = "result.json"
FIRST_RESULT = "result.first.json"
"""What was measured when the trial ran, where a replay has put another result in its place."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The directory of one trial."""

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
        """Read the bundle in a directory.

        Raises:
            ConfigError: there is none, or it cannot be read.
        """
        path = directory / MANIFEST
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            if manifest["format"] != FORMAT:
                raise ValueError(f"its format is {manifest['format']}, not {FORMAT}")
            _ = manifest["uid"], manifest["experiment"], manifest["trial"], manifest["params"], manifest["versions"]
            _ = manifest["rules"].keys()
            datetime.fromisoformat(manifest["created"])
        except FileNotFoundError as error:
            hint = "name the directory of a trial, as the last line of `trial` says it, with /trial-1 and so on"
            raise ConfigError(Problem("there is no bundle of a trial here", file=directory, hint=hint)) from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ConfigError(Problem(f"the bundle cannot be read: {error}", file=path)) from error
        return cls(directory, manifest)

    @property
    def uid(self) -> str:
        """The trial's name, which no other trial has."""
        return str(self.manifest["uid"])

    @property
    def experiment(self) -> str:
        """The experiment that it belongs to."""
        return str(self.manifest["experiment"])

    @property
    def created(self) -> datetime:
        """When the trial began, by the controller's clock."""
        return datetime.fromisoformat(self.manifest["created"])

    @property
    def logs(self) -> Path:
        """Where the output of the phases is."""
        return self.directory / "logs"

    def write_result(self, data: Mapping[str, Any]) -> None:
        """Write the result of the trial."""
        write_private(self.directory / RESULT, to_json(data, indent=2) + "\n")

    def replace_result(self, data: Mapping[str, Any], rules: Mapping[str, Any]) -> Self:
        """Put another result in the place of the first one, which is kept, and return the bundle with the new rules."""
        first = self.directory / FIRST_RESULT
        if not first.exists():
            write_private(first, (self.directory / RESULT).read_text(encoding="utf-8"))
        self.write_result(data)
        bundle = replace(self, manifest={**self.manifest, "rules": dict(rules)})
        bundle._save()
        return bundle

    def _save(self) -> None:
        write_private(self.directory / MANIFEST, to_json(self.manifest, indent=2) + "\n")
