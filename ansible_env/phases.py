"""One phase on its way: from a playbook through an engine to a result."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_env.config import EnvironmentConfig
from ansible_env.engine import Cancellation, Engine, Inventory, Job, Listener, Options
from ansible_env.engine.cold import MAX_FORKS
from ansible_env.fold import fold
from ansible_env.journal import Journal
from ansible_env.playbook import Playbook
from ansible_env.result import PhaseResult

logger = logging.getLogger(__name__)

SLACK = 15.0
"""Seconds beyond a script's own deadline and grace until a run is ended from here: connecting takes time, too."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a phase leaves what outlives it."""

    logs: Path | None = None
    journal: Journal | None = None


class PhaseRunner:
    """Runs the playbooks of one environment on its hosts."""

    def __init__(
        self,
        config: EnvironmentConfig,
        engine: Engine,
        inventory: Inventory,
        limit: str | None,
        options: Options,
        listener: Listener | None,
    ) -> None:
        self._config = config
        self._engine = engine
        self._inventory = inventory
        self._limit = limit
        self._options = options
        self._listener = listener
        self._hosts: tuple[str, ...] | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the environment stands for, in the inventory's order.

        Raises:
            InventoryError: the inventory cannot be read, or no host matches.
        """
        if self._hosts is None:
            self._hosts = tuple(self._engine.hosts(self._inventory, self._config.hosts, self._limit, self._options))
        return self._hosts

    def run(
        self,
        playbook: Playbook,
        *,
        secrets: Mapping[str, Any],
        place: Place,
        cancel: Cancellation,
        key: str | None = None,
    ) -> PhaseResult:
        """Run a playbook and judge what came of it; with a key, take up what was started under it."""
        phase = playbook.phase
        logger.info("%s: %s on %d hosts", self._config.name, phase, len(self.hosts))
        if place.journal is not None and key is None:
            key = place.journal.begin_phase(phase)
        job = self._job(playbook, secrets, place, key)
        run = self._engine.run(job, listener=self._listener, cancel=cancel)
        result = fold(
            phase,
            run.events,
            self.hosts,
            scripts=playbook.scripts,
            required_metrics=self._config.required_metrics if phase == "run" else (),
            stopped=run.stopped,
            message=run.message,
        )
        if place.journal is not None:
            place.journal.end_phase(phase, result.status.name)
        return result

    def _job(self, playbook: Playbook, secrets: Mapping[str, Any], place: Place, key: str | None) -> Job:
        phase, config = playbook.phase, self._config
        logs = None
        if place.logs is not None:
            logs = (place.logs / phase).absolute()
            logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        items = config.start_host if phase == "boot" else getattr(config, phase)
        tasks = any(not isinstance(item, str) for item in items)
        return Job(
            playbook=playbook.to_yaml(),
            inventory=self._inventory,
            hosts=self.hosts,
            limit=self._limit,
            secrets=secrets,
            key=key,
            results=place.journal.results(phase) if place.journal is not None else None,
            timeout=self._outer_deadline(phase, tasks=tasks),
            grace=config.timeouts.grace,
            base_dir=config.source.parent.absolute() if config.source else None,
            uses_files=tasks,
            logs=logs,
            options=self._options,
        )

    def _outer_deadline(self, phase: str, *, tasks: bool) -> float | None:
        """Return the seconds after which a run is ended from here.

        Scripts are ended on the target in time; this is for what hangs before or around them. Ansible tasks have no
        other deadline.
        """
        timeout: float | None = getattr(self._config.timeouts, phase)
        if timeout is None:
            return None
        rounds = math.ceil(len(self.hosts) / (self._options.forks or MAX_FORKS))
        return rounds * (timeout if tasks else timeout + self._config.timeouts.grace + SLACK)
