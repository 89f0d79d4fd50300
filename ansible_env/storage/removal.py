"""Removal of trials: their bundles, and their rows in the store.

A bundle is renamed before its files are deleted, so that no incomplete bundle has the name of a trial. The rows are
deleted last: if the process is killed, the next call finds the rest by the rows.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ansible_env.errors import ConfigError
from ansible_env.storage.bundle.bundle import Bundle
from ansible_env.storage.bundle.directories import CALL_FILE, root
from ansible_env.storage.database.records import StoredTrial
from ansible_env.storage.store import Store

AT_ONCE = 100
"""Most trials whose rows one transaction deletes."""


def remove_trials(
    store: Store, trials: Sequence[StoredTrial], *, dry_run: bool = False, warn: Callable[[str], None]
) -> int:
    """Remove trials and return the bytes of their bundles. `dry_run` removes nothing.

    A trial whose bundle cannot be removed stays in the store, and `warn` gets a message.
    """
    size = 0
    for start in range(0, len(trials), AT_ONCE):
        part = trials[start : start + AT_ONCE]
        gone = []
        for trial in part:
            directories = list(_directories(trial))
            size += sum(map(_size, directories))
            if dry_run or _remove(trial, directories, warn):
                gone.append(trial)
        if not dry_run:
            store.delete(gone)
    return size


def _directories(trial: StoredTrial) -> Iterator[Path]:
    """Yield the bundle of a trial, if its directory still holds this trial, and the rest that a killed call left."""
    if not trial.artifacts:
        return
    directory = Path(trial.artifacts)
    with contextlib.suppress(ConfigError):  # there is none
        if not directory.is_symlink() and Bundle.open(directory).uid == trial.uid:
            yield directory
    if (rest := _renamed(trial)).is_dir() and not rest.is_symlink():
        yield rest


def _renamed(trial: StoredTrial) -> Path:
    return Path(trial.artifacts or "").parent / f".pruned-{trial.uid}"


def _remove(trial: StoredTrial, directories: Iterable[Path], warn: Callable[[str], None]) -> bool:
    """Remove the directories of a trial; return False if that fails."""
    renamed = _renamed(trial)
    try:
        for directory in reversed(list(directories)):  # the rest comes first: its name is needed again
            if directory != renamed:
                directory.rename(renamed)
            shutil.rmtree(renamed)
            _remove_call(directory.parent)
    except OSError as error:
        warn(f"{error.filename or renamed} cannot be removed: {error.strerror}")
        return False
    return True


def _remove_call(call: Path) -> None:
    """Remove the directory of a call without trials, and that of its experiment if it is empty."""
    if {path.name for path in call.iterdir()} <= {CALL_FILE}:
        (call / CALL_FILE).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a new trial, or other calls
            call.rmdir()
            if call.parent.parent == root():  # otherwise the user created it
                call.parent.rmdir()


def _size(directory: Path) -> int:
    """Return the bytes in a directory."""
    size = 0
    for place, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                size += (Path(place) / name).lstat().st_size
    return size
