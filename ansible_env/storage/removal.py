"""Removes trials: their bundles, and their rows in the store.

A bundle is whole or gone: first it gets a name that no trial has. The rows are deleted only when the bundle is gone, so
that the next call finds by the rows what a killed one has left.
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

__all__ = ["remove_trials"]

AT_ONCE = 100
"""Trials whose rows one transaction deletes."""


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
    """Yield the bundle of a trial, if its directory still holds that one, and what a killed call has left of it."""
    if not trial.artifacts:
        return
    directory = Path(trial.artifacts)
    with contextlib.suppress(ConfigError):  # there is none
        if not directory.is_symlink() and Bundle.open(directory).uid == trial.uid:
            yield directory
    if (left := _doomed(trial)).is_dir() and not left.is_symlink():
        yield left


def _doomed(trial: StoredTrial) -> Path:
    return Path(trial.artifacts or "").parent / f".pruned-{trial.uid}"


def _remove(trial: StoredTrial, directories: Iterable[Path], warn: Callable[[str], None]) -> bool:
    """Remove the directories of a trial; return False if that fails."""
    doomed = _doomed(trial)
    try:
        for directory in reversed(list(directories)):  # what was left first: its name is needed again
            if directory != doomed:
                directory.rename(doomed)
            shutil.rmtree(doomed)
            _remove_call(directory.parent)
    except OSError as error:
        warn(f"{error.filename or doomed} cannot be removed: {error.strerror}")
        return False
    return True


def _remove_call(call: Path) -> None:
    """Remove the directory of a call of which nothing is left but how it was made, and that of its experiment."""
    if {path.name for path in call.iterdir()} <= {CALL_FILE}:
        (call / CALL_FILE).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another trial has come, or there are other calls
            call.rmdir()
            if call.parent.parent == root():  # else the user has made it
                call.parent.rmdir()


def _size(directory: Path) -> int:
    """Return the bytes in a directory."""
    size = 0
    for place, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                size += (Path(place) / name).lstat().st_size
    return size
