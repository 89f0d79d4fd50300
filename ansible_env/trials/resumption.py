"""Resuming the trials of a call that was interrupted: which have a result, which run on, and which begin again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, Problem
from ansible_env.results.status import Status
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.storage.bundle.bundle import RESULT, Bundle
from ansible_env.storage.bundle.reading import read_phases, read_result, read_trial
from ansible_env.storage.journal import Journal
from ansible_env.supervisor.verdict import NEVER_STARTED
from ansible_env.trials.pool import MAX_ATTEMPTS
from ansible_env.trials.run_trial import Complete, HostFacts, attempt_name, resume_trial

_ATTEMPT = re.compile(r"trial-(\d+)(?:-attempt-(\d+))?")


@dataclass(frozen=True, slots=True)
class Resumption:
    """What is left of a plan."""

    finished: tuple[Trial, ...] = ()
    """The trials that have a result, in the order in which they ended."""
    requests: tuple[TrialRequest, ...] = ()
    """The other trials: first those that run on, each on its hosts, then the rest of the plan in its order."""
    journals: Mapping[int, Journal] = field(default_factory=dict)
    """The journals of the trials that run on, by the number of the trial."""
    planned: Mapping[int, TrialRequest] = field(default_factory=dict)
    """Their requests as planned."""

    def run(
        self, env: RemoteEnv, request: TrialRequest, *, facts: HostFacts | None = None, complete: Complete
    ) -> Trial | None:
        """Attach to a trial that runs on, and finish it; None for another trial, or another attempt."""
        planned = self.planned.get(request.number)
        if planned is None or planned.attempt != request.attempt:
            return None

        def completed(trial: Trial) -> Trial:
            trial = complete(trial)
            return replace(trial, repeated=trial.repeated or _never_ran(trial))

        # If the attempt is lost, the next one may run on any host of the plan.
        trial = resume_trial(env, self.journals[request.number], request=planned, facts=facts, complete=completed)
        return replace(trial, request=planned)


def resumption(directory: Path, requests: Sequence[TrialRequest], hosts: Sequence[str]) -> Resumption:
    """Return what is left of a plan whose trials have their directories in a directory. No host is touched.

    A trial that was canceled has no result: it begins again.

    Raises:
        ConfigError: a record cannot be read, or a trial runs on a host that is not one of `hosts`.
        LifecycleError: another process runs one of the trials.
    """
    attempts = _attempts(directory)
    finished: list[Trial] = []
    going_on: list[TrialRequest] = []
    rest: list[TrialRequest] = []
    journals: dict[int, Journal] = {}
    planned: dict[int, TrialRequest] = {}
    for request in requests:
        attempt = replace(request, attempt=attempts.get(request.number, 1))
        path = directory / attempt_name(attempt)
        if (path / RESULT).exists():
            trial = _finished(path, attempt)
            if _has_result(trial):
                finished.append(trial)
            else:
                rest.append(replace(attempt, attempt=attempt.attempt + 1))
        elif (journal := _begun(path)) is not None:
            journals[request.number], planned[request.number] = journal, attempt
            going_on.append(replace(attempt, hosts=_hosts(journal, hosts)))
        else:  # its directory may exist, but no host has been touched
            rest.append(replace(attempt, attempt=attempt.attempt + path.exists()))
    finished.sort(key=lambda trial: trial.finished or trial.started)
    return Resumption(tuple(finished), (*going_on, *rest), journals, planned)


def _attempts(directory: Path) -> dict[int, int]:
    """Return the last attempt of each trial that has a directory."""
    last: dict[int, int] = {}
    for path in directory.iterdir():
        if match := _ATTEMPT.fullmatch(path.name):
            number = int(match[1])
            last[number] = max(last.get(number, 0), int(match[2] or 1))
    return last


def _finished(path: Path, request: TrialRequest) -> Trial:
    data = read_result(path / RESULT)
    trial = read_trial(Bundle.open(path), data, read_phases(data, path / RESULT))
    return replace(trial, request=request, hosts=tuple(data.get("ran_on") or ()))


def _has_result(trial: Trial) -> bool:
    again = _never_ran(trial) or (trial.is_lost and trial.attempts < MAX_ATTEMPTS)
    return trial.status is not Status.CANCELED and not again


def _never_ran(trial: Trial) -> bool:
    """Whether the controller was killed before the trial's script was started on any of its hosts."""
    hosts = trial.deciding.hosts.values() if trial.deciding is not None else ()
    return bool(hosts) and all(host.message == NEVER_STARTED for host in hosts) and trial.attempts < MAX_ATTEMPTS


def _begun(path: Path) -> Journal | None:
    """Return the journal of a trial that may have touched a host."""
    if not (path / "state.json").exists():
        return None
    journal = Journal.open(path)
    return journal if journal.has_begun else None


def _hosts(journal: Journal, hosts: Sequence[str]) -> frozenset[str]:
    of_trial = frozenset(journal.recall("hosts") or ())
    if missing := sorted(of_trial.difference(hosts)):
        what = f"the trial runs on {', '.join(missing)}, which the inventory or --limit leaves out"
        raise ConfigError(Problem(what, file=journal.directory))
    return of_trial
