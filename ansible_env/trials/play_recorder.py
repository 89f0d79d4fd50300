"""`PlayRecorder`: records a trial that plain ansible-playbook runs, in a bundle and in the store."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_env.config.fields import PHASES
from ansible_env.config.model import EnvironmentConfig
from ansible_env.errors import ConfigError, StoreError
from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.fold.fold_hosts import fold_hosts
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.results.policies import EVERY_HOST
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.storage.bundle.bundle import BundleWriter
from ansible_env.storage.bundle.directories import experiment_name, new_call
from ansible_env.storage.bundle.files import make_private
from ansible_env.storage.bundle.origin import Origin, versions
from ansible_env.storage.bundle.reading import read_host
from ansible_env.storage.store import Store

_FACT = "environment_results"


@dataclass
class PlayRecorder:
    """Records one trial of a play: of the role `environment`, or of phase tasks in any play."""

    name: str
    """The name of the environment, or of the play."""
    source: Path | None
    """The environment file, or the playbook."""
    params: Mapping[str, Any] = field(default_factory=dict)
    is_environment: bool = False
    roles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The roles of the phases of an environment, as `RoleEnvironment.roles` returns them."""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    begun: float = field(default_factory=time.monotonic)
    _events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _role_results: dict[str, dict[str, HostResult]] = field(default_factory=dict)
    """The results that the role reports, by phase and host."""
    _begun: tuple[Trial, BundleWriter, Path] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to record."""
        return bool(self._role_results) or any(map(_of_phase_task, itertools.chain(*self._events.values())))

    def logs(self, phase: str) -> Path:
        """Create and return the directory for the logs of a phase. The first call begins the trial.

        Raise ConfigError if the environment file is gone, OSError if a directory cannot be made.
        """
        self._events.setdefault(phase, [])
        *_, directory = self._begin()
        path = directory / "logs" / phase
        make_private(path)
        return path

    def take(self, phase: str, event: dict[str, Any]) -> None:
        """Record the result of a task, in the form of an event of ansible-runner."""
        facts = event["event_data"]["res"].get("ansible_facts")
        if isinstance(facts, Mapping) and isinstance(results := facts.get(_FACT), Mapping):
            for name, host in results.items():
                self._role_results.setdefault(name, {})[host["host"]] = read_host(host["host"], host)
        elif phase in self._events:
            self._events[phase].append({**event, "counter": len(self._events[phase]) + 1})

    def discard(self) -> None:
        """Remove the directory of a trial of which nothing was recorded."""
        if self._begun is not None:
            *_, directory = self._begun
            shutil.rmtree(directory.parent, ignore_errors=True)

    def finish(self) -> tuple[Path, str]:
        """Write the bundle and the store; return the bundle's directory, and why the store was not written.

        Raise ConfigError if the environment file is gone, OSError if the bundle cannot be written.
        """
        config = EnvironmentConfig.load(self.source) if self.is_environment and self.source else None
        policy = config.group_policy if config else EVERY_HOST
        phases = {
            phase: phase_result(phase, self._hosts(phase), policy=policy) for phase in PHASES if phase in self._events
        }
        trial, writer, directory = self._begin()
        trial = replace(trial, phases=phases).finish()
        writer.on_trial_finished(trial)
        if "run" in phases:
            try:
                with Store() as store:
                    store.add_trial(trial)
            except (StoreError, ConfigError) as error:
                return directory, str(error)
        return directory, ""

    def _hosts(self, phase: str) -> Iterator[HostResult]:
        """Yield the result of each host: the role's, or else that of the events."""
        by_role = self._role_results.get(phase, {})
        yield from by_role.values()
        events = self._events[phase]
        ours = {event["event_data"]["host"] for event in events if _of_phase_task(event)}
        # The play decides whether a phase task runs on a host: one that was skipped there was not due.
        for result in fold_hosts(events, [host for host in sorted(ours) if host not in by_role]):
            if result.kind is not Kind.NOT_RUN:
                yield result

    def _begin(self) -> tuple[Trial, BundleWriter, Path]:
        if self._begun is None:
            experiment = experiment_name(str(self.params.get("experiment_id") or self.name), self.name)
            directory = new_call(experiment).absolute() / "trial-1"
            make_private(directory)
            trial = Trial(
                self.name,
                TrialRequest(_number(self.params.get("trial_id"))),
                experiment,
                params=self.params,
                started=self.started,
                begun=self.begun,
                directory=directory,
                versions=versions(),
            )
            writer = BundleWriter(self._origin(), _refuse)
            self._begun = trial, writer, directory
            writer.on_trial_started(trial)
            for phase, role in self.roles.items():
                tasks = Path(str(role["role"]), "tasks/main.yml")
                if tasks.is_file():
                    writer.on_phase_started(trial, phase, tasks.read_text(encoding="utf-8"), ())
        return self._begun

    def _origin(self) -> Origin:
        if self.is_environment and self.source is not None:
            return Origin.of(EnvironmentConfig.load(self.source))
        text = self.source.read_text(encoding="utf-8", errors="replace") if self.source else ""
        return Origin(self.name, self.source, "playbook.yml", text, versions(), None)


def _of_phase_task(event: Mapping[str, Any]) -> bool:
    return bool(event["event_data"]["task_action"] == PHASE_TASK)


def _refuse(message: str) -> None:
    raise OSError(message)


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 1
