"""Trials that plain ansible-playbook ran: kept as the command keeps its own, in a bundle and in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_env.config.model import PHASES, EnvironmentConfig
from ansible_env.errors import ConfigError, StoreError
from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.fold.fold_hosts import fold_hosts
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.results.policies import EVERY_HOST
from ansible_env.storage.bundle.bundle import Bundle
from ansible_env.storage.bundle.origin import Origin, versions
from ansible_env.storage.bundle.place import new_call
from ansible_env.storage.store import Store
from ansible_env.trials.record import Trial, trial_info

__all__ = ["PlayedTrial"]

_FACT = "environment_results"


@dataclass
class PlayedTrial:
    """One trial of a play: of the role `environment`, or of phase tasks in a play of somebody's own."""

    name: str
    """Of the environment, or of the play."""
    source: Path | None
    """The environment file, or the playbook."""
    params: Mapping[str, Any] = field(default_factory=dict)
    is_environment: bool = False
    roles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Where the phases of an environment are, as `PlayEnvironment.roles` says."""
    begin: datetime = field(default_factory=lambda: datetime.now(UTC))
    _events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _judged: dict[str, dict[str, HostResult]] = field(default_factory=dict)
    _bundle: Bundle | None = None

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to keep."""
        return bool(self._events)

    def logs(self, phase: str) -> Path:
        """Return the directory for the logs of a phase, which is made; with it, the trial has begun.

        Raises:
            ConfigError: the environment file has gone.
            OSError: no directory can be made.
        """
        self._events.setdefault(phase, [])
        path = self._opened().logs / phase
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def take(self, phase: str, event: dict[str, Any]) -> None:
        """Take the result of a task, in the form of an event of ansible-runner."""
        facts = event["event_data"]["res"].get("ansible_facts")
        if isinstance(facts, Mapping) and isinstance(found := facts.get(_FACT), Mapping):
            for name, host in found.items():
                result = _host_result(host)
                self._judged.setdefault(name, {})[result.host] = result
        elif phase in self._events:
            numbered = {**event, "counter": len(self._events[phase]) + 1}
            self._events[phase].append(numbered)

    def keep(self) -> tuple[Path, str]:
        """Write the bundle and the store; return the bundle's directory, and what went wrong with the store.

        Raises:
            ConfigError: the environment file has gone.
            OSError: the bundle cannot be written.
        """
        config = EnvironmentConfig.load(self.source) if self.is_environment and self.source else None
        policy = config.group_policy if config else EVERY_HOST
        bundle = self._opened()
        phases = {
            phase: phase_result(phase, self._hosts(phase), policy=policy) for phase in PHASES if phase in self._events
        }
        trial = Trial(
            self.name, int(bundle.manifest["trial"]), self.params, begin=self.begin, end=datetime.now(UTC),
            phases=phases, artifacts=bundle.directory, bundle=bundle,
        )  # fmt: skip
        bundle.write_result(trial.to_dict(output=True))
        if "run" not in phases:
            return bundle.directory, ""
        try:
            with Store() as store:
                info = trial_info(trial, bundle)
                store.add_trial(bundle.experiment, trial, info, finished=trial.end)
        except (StoreError, ConfigError) as error:
            return bundle.directory, str(error)
        return bundle.directory, ""

    def _hosts(self, phase: str) -> Iterator[HostResult]:
        """Yield what is known of each host: what the role says, or else what the events say."""
        judged = self._judged.get(phase, {})
        yield from judged.values()
        events = self._events[phase]
        ours = {e["event_data"]["host"] for e in events if e["event_data"]["task_action"] == PHASE_TASK}
        # Whether a phase task was due on a host is the play's affair: one that was skipped there was not.
        for result in fold_hosts(events, [host for host in sorted(ours) if host not in judged]):
            if result.kind is not Kind.NOT_RUN:
                yield result

    def _opened(self) -> Bundle:
        if self._bundle is None:
            directory = new_call(str(self.params.get("experiment_id") or self.name)).absolute() / "trial-1"
            directory.mkdir(mode=0o700, parents=True)
            self._bundle = Bundle.create(
                directory,
                self._origin(),
                experiment=str(self.params.get("experiment_id") or self.name),
                number=_number(self.params.get("trial_id")),
                params=self.params,
            )
            for phase, role in self.roles.items():
                tasks = Path(str(role["role"]), "tasks/main.yml")
                if tasks.is_file():
                    self._bundle.write_playbook(phase, tasks.read_text(encoding="utf-8"))
        return self._bundle

    def _origin(self) -> Origin:
        if self.is_environment and self.source is not None:
            return Origin.of(EnvironmentConfig.load(self.source))
        text = self.source.read_text(encoding="utf-8", errors="replace") if self.source else ""
        return Origin(self.name, self.source, "playbook.yml", text, versions(), None)


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 1


def _host_result(data: Mapping[str, Any]) -> HostResult:
    """Return what `HostResult.to_dict` was made of."""
    known = {name.name for name in fields(HostResult)}
    values = {name: value for name, value in data.items() if name in known}
    times = {n: datetime.fromisoformat(values[n]) if values.get(n) else None for n in ("started", "finished")}
    rest = {"kind": Kind(values["kind"]), "left_running": tuple(values.get("left_running") or ())}
    return HostResult(**{**values, **times, **rest})
