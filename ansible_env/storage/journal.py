"""What a controller writes down about a trial, so that another one can take it up where the first was killed."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_env.common import Owner
from ansible_env.errors import ConfigError, LifecycleError, Problem

VERSION = 1


class Journal:
    """The state of one trial, in a directory of its own: `state.json`, and what each script came to.

    `results/<phase>/` is written by the phase task as soon as a script has ended, so that nothing is asked twice.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._file = self.directory / "state.json"
        self._data: dict[str, Any] = {"version": VERSION, "owner": Owner.this().to_text(), "phases": {}}

    @classmethod
    def open(cls, directory: Path) -> Journal:
        """Take over the journal of a controller that is gone.

        Raises:
            ConfigError: there is none, or it cannot be read.
            LifecycleError: its controller still lives.
        """
        journal = cls(directory)
        try:
            data = json.loads(journal._file.read_text(encoding="utf-8"))
            if data["version"] != VERSION:
                raise ValueError(f"version {data['version']}")
            owner = Owner.of_text(data["owner"])
            _check(data["phases"])
        except FileNotFoundError as error:
            raise ConfigError(Problem("there is no trial to attach to", file=journal._file)) from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ConfigError(Problem(f"the trial's state cannot be read: {error}", file=journal._file)) from error
        if owner.lives() and owner != Owner.this():
            raise LifecycleError(f"the trial's own controller (pid {owner.pid}) still follows it")
        journal._data = {**data, "owner": Owner.this().to_text()}
        journal._save()
        return journal

    def begin_trial(self, tunables: Mapping[str, Any], global_config: Mapping[str, Any]) -> None:
        """Write down the parameters of a new trial; those that are secret must have been left out."""
        self._data |= {"tunables": dict(tunables), "global_config": dict(global_config), "phases": {}, "notes": {}}
        self._save()

    @property
    def trial(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The tunable values and the parameters from outside, as they were given to setup."""
        return self._data.get("tunables", {}), self._data.get("global_config", {})

    def begin_phase(self, phase: str) -> str:
        """Write down that a phase begins; return the key from which its runs on the targets get their names."""
        key = secrets.token_hex(16)
        self._data["phases"][phase] = {"key": key, "status": None}
        self.results(phase).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._save()
        return key

    def end_phase(self, phase: str, status: str) -> None:
        """Write down how a phase ended."""
        self._data["phases"][phase]["status"] = status
        self._save()

    def remember(self, name: str, value: Any) -> None:
        """Write down something of the trial that a later phase needs, as plain data; saved with the phase's end."""
        self._data.setdefault("notes", {})[name] = value

    def recall(self, name: str) -> Any:
        """Return what was written down under a name; None if nothing was."""
        return self._data.get("notes", {}).get(name)

    def interrupted(self) -> tuple[str, str] | None:
        """Return the phase that was begun and not ended, and its key."""
        for phase, state in self._data["phases"].items():
            if state["status"] is None:
                return phase, state["key"]
        return None

    def status(self, phase: str) -> str | None:
        """Return how a phase ended; None where it has not."""
        found: str | None = self._data["phases"].get(phase, {}).get("status")
        return found

    def results(self, phase: str) -> Path:
        """Return where the phase task writes what scripts came to."""
        return self.directory / "results" / phase

    def _save(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._file.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(self._data, file, indent=1, default=_plain)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._file)


def _check(phases: Mapping[str, Mapping[str, str | None]]) -> None:
    """Raise what the rest would raise later, where it is too late for a clear message."""
    for state in phases.values():
        _ = state["key"], state["status"]


def _plain(value: Any) -> Any:
    """Return a number of numpy's as one of Python's, which are JSON."""
    return value.item() if hasattr(value, "item") else str(value)
