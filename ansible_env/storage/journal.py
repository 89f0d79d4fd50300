"""The journal: what a controller writes about a trial so that another one can resume it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_env.common import Owner, get_logger
from ansible_env.errors import ConfigError, LifecycleError, Problem
from ansible_env.results.phase_result import PhaseResult
from ansible_env.storage.bundle.files import Tolerant, make_private, to_json, write_private
from ansible_env.storage.bundle.reading import read_phase
from ansible_env.supervisor.record import COMPLETE

VERSION = 1

logger = get_logger(__name__)


class Journal:
    """The state of one trial in its own directory: `state.json`, and the results of its scripts and phases.

    The phase task writes to `results/<phase>/` as soon as a script has ended, so that no script runs twice. The results
    of a phase that has ended are in `phases/<phase>.json`, for the controller that finishes the trial.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._file = self.directory / "state.json"
        self._tolerant = Tolerant(
            "the state of the trial cannot be written, and `attach` cannot use it", logger.warning
        )
        self._data: dict[str, Any] = {"version": VERSION, "owner": Owner.this().to_text(), "phases": {}}

    @classmethod
    def open(cls, directory: Path) -> Journal:
        """Take over the journal of a controller that has ended.

        Raises:
            ConfigError: there is none, or it cannot be read.
            LifecycleError: its controller is still alive.
        """
        journal = cls(directory)
        with _locked(journal.directory):
            journal._take_over()
        return journal

    def _take_over(self) -> None:
        try:
            data = json.loads(self._file.read_text(encoding="utf-8"))
            if data["version"] != VERSION:
                raise ValueError(f"version {data['version']}")
            owner = Owner.of_text(data["owner"])
            _check(data["phases"])
        except FileNotFoundError as error:
            raise ConfigError(Problem("there is no trial to attach to", file=self._file)) from error
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ConfigError(Problem(f"the trial's state cannot be read: {error}", file=self._file)) from error
        if owner.lives() and owner != Owner.this():
            raise LifecycleError(f"the trial's own controller (pid {owner.pid}) is still running")
        self._data = {**data, "owner": Owner.this().to_text()}
        self._save()

    def begin_trial(self, tunables: Mapping[str, Any], global_config: Mapping[str, Any], **notes: Any) -> None:
        """Record the parameters of a new trial, without secrets, and what its phases need."""
        values = {"tunables": dict(tunables), "global_config": dict(global_config)}
        self._data |= {**values, "phases": {}, "notes": notes, "key": secrets.token_hex(16)}
        with self.tolerant():
            self._begin_records()
        self._save()

    @property
    def trial(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The tunable values and the parameters from outside that setup got."""
        return self._data.get("tunables", {}), self._data.get("global_config", {})

    def begin_phase(self, phase: str) -> str:
        """Record the start of a phase. Return the key for the names of its runs on the targets.

        A controller that finds no record of the start, because the disk was full, derives the key and ends what runs.
        """
        key = self.next_key(phase)
        self._data["phases"][phase] = {"key": key, "status": None, "times": self._times(phase) + 1}
        with self.tolerant():
            if not self._complete.parent.exists():  # a phase alone is a trial, too
                self._begin_records()
            make_private(self.results(phase))
            (self._phases / f"{phase}.json").unlink(missing_ok=True)
        self._save()
        return key

    def end_phase(self, result: PhaseResult) -> None:
        """Record how a phase ended."""
        with self.tolerant():
            make_private(self._phases)
            text = to_json(result.to_dict())
            write_private(self._phases / f"{result.phase}.json", text, sync=True)
        self._data["phases"][result.phase]["status"] = result.status.name
        self._save()

    def ended(self) -> dict[str, PhaseResult]:
        """Return the results of the phases that have ended.

        Raises:
            ConfigError: a result cannot be read.
        """
        paths = {phase: self._phases / f"{phase}.json" for phase in self._data["phases"] if self.status(phase)}
        return {phase: read_phase(path) for phase, path in paths.items() if path.exists()}

    def next_key(self, phase: str) -> str:
        """Return the key that the next start of a phase has."""
        trial_key = self._data.setdefault("key", secrets.token_hex(16))
        return hashlib.sha256(f"{trial_key} {phase} {self._times(phase)}".encode()).hexdigest()[:32]

    def _times(self, phase: str) -> int:
        return int(self._data["phases"].get(phase, {}).get("times", 0))

    def remember(self, name: str, value: Any) -> None:
        """Record something that a later phase needs, as plain data. It is saved when the phase ends."""
        self._data.setdefault("notes", {})[name] = value

    def recall(self, name: str) -> Any:
        """Return what was recorded under a name, or None."""
        return self._data.get("notes", {}).get(name)

    def interrupted(self) -> tuple[str, str] | None:
        """Return the phase that was begun and not ended, and its key; None if there is none."""
        for phase, state in self._data["phases"].items():
            if state["status"] is None:
                return phase, state["key"]
        return None

    def status(self, phase: str) -> str | None:
        """Return how a phase ended, or None if it has not."""
        status: str | None = self._data["phases"].get(phase, {}).get("status")
        return status

    @property
    def has_begun(self) -> bool:
        """Whether a phase may have been started on a host."""
        return bool(self._data["phases"]) or not self.is_complete

    @property
    def is_complete(self) -> bool:
        """Whether everything could be written, so that what is not recorded did not happen."""
        return self._complete.exists()

    @contextlib.contextmanager
    def tolerant(self) -> Iterator[None]:
        """Let the trial go on if a block cannot write, and note that the record is not complete."""
        with self._tolerant():
            try:
                yield
            except OSError:
                with contextlib.suppress(OSError):
                    self._complete.unlink()
                raise

    def _begin_records(self) -> None:
        make_private(self._complete.parent)
        self._complete.touch(mode=0o600)

    @property
    def _complete(self) -> Path:
        return self.directory / "results" / COMPLETE

    @property
    def _phases(self) -> Path:
        return self.directory / "phases"

    def results(self, phase: str) -> Path:
        """Return the directory for the results of a phase's scripts."""
        return self.directory / "results" / phase

    def _save(self) -> None:
        with self.tolerant():
            make_private(self.directory)
            write_private(self._file, json.dumps(self._data, indent=1, default=_plain), sync=True)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Let one process at a time take over the journal in a directory."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:  # the reader of the journal reports it
        yield
        return
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _check(phases: Mapping[str, Mapping[str, str | None]]) -> None:
    """Raise the errors of a wrong format now; a later one would have no clear message."""
    for state in phases.values():
        _ = state["key"], state["status"]


def _plain(value: Any) -> Any:
    """Convert numpy's numbers to Python's, which are JSON."""
    return value.item() if hasattr(value, "item") else str(value)
