"""`prune`: removes old trials, their bundles and their rows in the store."""

from __future__ import annotations

import socket
from dataclasses import MISSING, dataclass
from datetime import UTC, datetime

from rich.filesize import decimal

from ansible_env.cli import console
from ansible_env.cli.options import STORE, Common, argument, option
from ansible_env.cli.results import check_experiment, since, with_status
from ansible_env.report.formatting import plural, visible
from ansible_env.results.status import Status
from ansible_env.storage.database.records import StoredTrial
from ansible_env.storage.removal import remove_trials
from ansible_env.storage.store import Store
from ansible_env.storage.store_writer import recover


@dataclass(kw_only=True)
class PruneOptions(Common):
    """Options of `prune`."""

    experiment: str | None = argument("[EXPERIMENT]", "Only trials of this experiment. Default: of all.", None)
    older_than: str = option("--older-than TIME", "Started before: 30d, 36h, or 2026-05-01.", default=MISSING)
    status: list[str] | None = option("--status STATUS", "Only with this status, or INTERRUPTED. Repeatable.")
    keep_best: str | None = option("--keep-best METRIC:max|min", "Keep the best of each experiment.")
    keep_last: int = option("--keep-last N", "Keep the newest N of each experiment.", default=0, min=0)
    keep: int = option("--keep N", "Number of trials that --keep-best keeps.", default=10, min=1)
    dry_run: bool = option("-n, --dry-run", "Only show what would be removed.", default=False)
    store: str | None = option("--store URL", STORE)


def prune(options: PruneOptions) -> str:
    """Remove old trials: their bundles and their rows in the store. A running trial is never removed."""
    before = since(options.older_than, datetime.now(UTC), "--older-than")
    with Store(options.store) as store:
        recover(store, console.say_warning)
        if options.experiment:
            check_experiment(store, options.experiment)
        names = [options.experiment] if options.experiment else [e.name for e in store.experiments()]
        lines, total, freed = [], 0, 0
        for name in names:
            chosen = _chosen(store, name, before, options)
            size = remove_trials(store, chosen, dry_run=options.dry_run, warn=console.say_warning)
            if chosen:
                lines.append(f"{visible(name)}: {plural(len(chosen), 'trial')}, {decimal(size)}\n")
            total, freed = total + len(chosen), freed + size
    verb = "would be removed" if options.dry_run else "removed"
    return "".join(lines) + f"{plural(total, 'trial')} {verb}, {decimal(freed)} of bundles\n"


def _chosen(store: Store, experiment: str, before: datetime, options: PruneOptions) -> list[StoredTrial]:
    """Return the trials of an experiment that the options select."""
    every = store.trials(experiment, newest=True)
    kept = {trial.id for trial in every[: options.keep_last]}
    if options.keep_best:
        kept |= {trial.id for trial in store.trials(experiment, best=options.keep_best, limit=options.keep)}
    old = [trial for trial in every if trial.started < before and trial.id not in kept]
    old = [
        trial
        for trial in with_status(old, options.status or [])
        if trial.status is not Status.RUNNING or trial.interrupted
    ]
    here = socket.gethostname()
    chosen = [trial for trial in old if trial.controller == here or not trial.artifacts]
    if len(chosen) < len(old):
        elsewhere = sorted({visible(trial.controller) for trial in old if trial not in chosen})
        console.say_error(
            f"{visible(experiment)}: {plural(len(old) - len(chosen), 'trial')} kept, because their bundles are on "
            f"{', '.join(elsewhere)}: prune there"
        )
    return chosen
