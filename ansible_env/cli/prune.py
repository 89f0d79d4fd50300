"""`prune`: old trials go, their bundles and what the store knows of them.

A bundle is whole or gone: it gets a name that is no trial's first. The store forgets a trial only when its bundle is
gone, so that the next prune finds by the store what a killed one has left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from ansible_env.cli import console
from ansible_env.cli.artifacts import CALL_FILE
from ansible_env.cli.options import Common, Experiment, StoreUrl, option
from ansible_env.cli.replay import recover
from ansible_env.cli.results import check_experiment, since, with_status
from ansible_env.errors import ConfigError
from ansible_env.report.formatting import plural, visible
from ansible_env.results.status import Status
from ansible_env.storage.bundle.bundle import Bundle
from ansible_env.storage.bundle.place import root
from ansible_env.storage.database.records import StoredTrial
from ansible_env.storage.store import Store

AT_ONCE = 100
"""Trials that the store forgets in one transaction."""
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(kw_only=True)
class PruneOptions(Common):
    """Options of `prune`."""

    experiment: Experiment = None
    older_than: Annotated[str, option("--older-than", metavar="TIME", help="Started before: 30d, 36h, or 2026-05-01.")]
    status: Annotated[
        list[str] | None,
        option("--status", metavar="STATUS", help="Only with this status, or INTERRUPTED. Repeatable."),
    ] = None
    keep_best: Annotated[
        str | None, option("--keep-best", metavar="METRIC:max|min", help="Keep the best of each experiment.")
    ] = None
    keep_last: Annotated[
        int, option("--keep-last", metavar="N", min=0, show_default=True, help="Keep the newest N of each experiment.")
    ] = 0
    keep: Annotated[
        int, option("--keep", metavar="N", min=1, show_default=True, help="Number of trials that --keep-best keeps.")
    ] = 10
    dry_run: Annotated[bool, option("-n", "--dry-run", help="Only show what would be removed.")] = False
    store: StoreUrl = None


def prune(options: PruneOptions) -> str:
    """Remove old trials: their bundles and their rows in the store. A running trial is never removed.

    Raises:
        ConfigError: there is no such experiment, metric, status or time.
        StoreError: the store cannot be written.
    """
    before = since(options.older_than, datetime.now(UTC), "--older-than")
    with Store(options.store) as store:
        recover(store)
        if options.experiment:
            check_experiment(store, options.experiment)
        names = [options.experiment] if options.experiment else [found.name for found in store.experiments()]
        lines, total, freed = [], 0, 0
        for name in names:
            chosen = _chosen(store, name, before, options)
            size = _removed(store, chosen, dry_run=options.dry_run)
            if chosen:
                lines.append(f"{visible(name)}: {plural(len(chosen), 'trial')}, {_in_bytes(size)}\n")
            total, freed = total + len(chosen), freed + size
    verb = "would be removed" if options.dry_run else "removed"
    return "".join(lines) + f"{plural(total, 'trial')} {verb}, {_in_bytes(freed)} of bundles\n"


def _chosen(store: Store, experiment: str, before: datetime, options: PruneOptions) -> list[StoredTrial]:
    """Return the trials of an experiment that are to go."""
    every = store.trials(experiment, newest=True)
    kept = {trial.id for trial in every[: options.keep_last]}
    if options.keep_best:
        kept |= {trial.id for trial in store.trials(experiment, best=options.keep_best, limit=options.keep)}
    old = [trial for trial in every if trial.started < before and trial.id not in kept]
    old = [trial for trial in with_status(old, options.status or []) if _is_over(trial)]
    here = socket.gethostname()
    found = [trial for trial in old if trial.controller == here or not trial.artifacts]
    if len(found) < len(old):
        far = sorted({visible(trial.controller) for trial in old if trial not in found})
        console.say_error(
            f"{visible(experiment)}: {plural(len(old) - len(found), 'trial')} left alone, as their bundles are on "
            f"{', '.join(far)}: prune there"
        )
    return found


def _is_over(trial: StoredTrial) -> bool:
    return trial.status is not Status.RUNNING or trial.interrupted


def _removed(store: Store, trials: Sequence[StoredTrial], *, dry_run: bool) -> int:
    """Remove trials, unless it is only to be said, and return how large their bundles are."""
    size = 0
    for start in range(0, len(trials), AT_ONCE):
        part = trials[start : start + AT_ONCE]
        gone = []
        for trial in part:
            found = list(_directories(trial))
            size += sum(map(_size, found))
            if dry_run or _remove(trial, found):
                gone.append(trial)
        if not dry_run:
            store.delete(gone)
    return size


def _directories(trial: StoredTrial) -> Iterator[Path]:
    """Yield the bundle of a trial, if what is there is its bundle, and what a killed prune has left of it."""
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


def _remove(trial: StoredTrial, directories: Iterable[Path]) -> bool:
    """Remove directories of a trial; False, and it is told, where that cannot be done."""
    doomed = _doomed(trial)
    try:
        for directory in reversed(list(directories)):  # what was left first: its name is needed again
            if directory != doomed:
                directory.rename(doomed)
            shutil.rmtree(doomed)
            _remove_call(directory.parent)
    except OSError as error:
        console.say_error(f"warning: {error.filename or doomed} cannot be removed: {error.strerror}")
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
    found = 0
    for place, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                found += (Path(place) / name).lstat().st_size
    return found


def _in_bytes(size: float) -> str:
    for unit in _UNITS[:-1]:
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} {_UNITS[-1]}"
