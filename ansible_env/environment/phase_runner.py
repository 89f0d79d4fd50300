"""One phase on its way: from a playbook through an engine to a result."""

from __future__ import annotations

import json
import secrets as random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_env.common import about, get_logger
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.steps import has_tasks
from ansible_env.engine.inventory import Inventory
from ansible_env.engine.protocol import Cancellation, Engine, EngineRun, Job, Listener, Options
from ansible_env.environment.deadlines import SLACK, outer_deadline, rounds
from ansible_env.environment.stop_on_failure import HaltOnFailure
from ansible_env.environment.target_hosts import Members
from ansible_env.playbook.playbook import Playbook
from ansible_env.results.fold.added_hosts import AddedHost, added_hosts, is_censored
from ansible_env.results.fold.events import left_in_background
from ansible_env.results.fold.fold_hosts import Expected, controller_message, fold_hosts
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import PhaseResult, phase_result
from ansible_env.storage.bundle.events import append_events
from ansible_env.storage.journal import Journal

logger = get_logger(__name__)

RETRY_PAUSE = 1.0
"""Seconds before hosts are tried again; each time more by as much."""


OnPlaybook = Callable[[str, str], object]
"""Is called with the name of a phase and the text of its playbook, just before the engine runs that text."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a phase leaves what outlives it."""

    logs: Path | None = None
    journal: Journal | None = None
    on_playbook: OnPlaybook | None = None


@dataclass(frozen=True, slots=True)
class _Phase:
    """What the attempts at one phase have in common."""

    playbook: Playbook
    secrets: Mapping[str, Any]
    place: Place
    key: str | None
    cancel: Cancellation
    listener: Listener | None
    due: Mapping[str, int]
    """How many phase tasks each host has to get through, where they have steps of their own."""
    swept: list[str] = field(default_factory=list)
    """Hosts on which scripts in the background had to be ended."""
    added: list[AddedHost] = field(default_factory=list)
    """Hosts that tasks have added to the inventory."""


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
        hosts: Sequence[str] | None = None,
    ) -> None:
        """Take what all phases have in common; `hosts` are those of the environment, if they are known already."""
        self._config = config
        self._engine = engine
        self._options = replace(options, forks=options.forks or config.forks)
        self._listener = listener
        self._members = Members(config, engine, inventory, limit, self._options, hosts)
        self._dropped: dict[str, dict[str, HostResult]] = {}

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the environment stands for, in the inventory's order.

        Raises:
            InventoryError: the inventory cannot be read, or no host matches.
        """
        return self._members.hosts

    def begin_trial(self) -> None:
        """Count every host in again, but none that the last trial has added."""
        self._members.begin_trial()
        self._dropped = {}

    def resume_trial(self, journal: Journal) -> None:
        """Know of the hosts what another controller has written down of a trial."""
        added = [AddedHost(**host) for host in journal.recall("added") or ()]
        self._members.begin_trial(journal.recall("hosts"), added)
        dropped = journal.recall("dropped") or ()
        lost = {host: HostResult(host, Kind.NOT_RUN, "dropped out in setup") for host in dropped}
        self._dropped = {"setup": lost} if lost else {}

    def run(
        self,
        playbook: Playbook,
        *,
        secrets: Mapping[str, Any],
        place: Place,
        cancel: Cancellation,
        key: str | None = None,
    ) -> PhaseResult:
        """Run a playbook and judge what came of it; with a key, take up what was started under it.

        Hosts that failed in setup are not asked to run. Teardown asks all of them.
        """
        name, config = playbook.phase, self._config
        earlier = {"boot": (), "setup": ("boot",), "run": ("boot", "setup")}.get(name, ())
        dropped = {host: result for phase in earlier for host, result in self._dropped.get(phase, {}).items()}
        due = self._due(playbook)
        asked = tuple(host for host in self.hosts if host not in dropped and due.get(host, 1))
        logger.info("%s: %s on %d hosts", config.name, name, len(asked))
        if place.journal is not None and key is None:
            key = place.journal.begin_phase(name)
        if (config.retries or playbook.has_background) and key is None:
            key = random.token_hex(16)  # by which a script that runs on is found again, and not started twice
        halt = (
            HaltOnFailure(cancel, self._listener) if config.on_host_failure == "stop" and name != "teardown" else None
        )
        phase = _Phase(playbook, secrets, place, key, halt or cancel, halt or self._listener, due)
        found, message = self._attempts(phase, asked)
        if phase.added and name != "teardown":
            logger.info("%s: %s added %s", config.name, name, ", ".join(host.name for host in phase.added))
            self._members.add(phase.added)
        halted = halt is not None and halt.halted
        swept = bool(phase.swept) and not cancel.requested
        if halted:
            words = f"ended because {halt.host} had failed" if halt else ""
            found = {n: replace(r, message=words) if r.kind is Kind.CANCELED else r for n, r in found.items()}
        result = phase_result(
            name, found.values(), message, policy=config.group_policy, dropped=dropped, stopped=halted or swept
        )
        if name in ("boot", "setup"):
            self._dropped[name] = {host.host: host for host in result.failed_hosts}
        for host in result.hosts.values():
            with about(host=host.host):
                logger.info("%s: %s%s", name, host.kind, f": {host.message}" if host.message else "")
        if place.journal is not None:
            place.journal.remember("added", [host.without_secrets() for host in self._members.added])
            place.journal.remember("dropped", [host for phase in self._dropped.values() for host in phase])
            place.journal.end_phase(name, result.status.name)
        return result

    def _attempts(self, phase: _Phase, asked: tuple[str, ...]) -> tuple[dict[str, HostResult], str]:
        """Run a phase, and again on the hosts that a retry may help; also return what Ansible said as a whole."""
        hosts = dict.fromkeys(asked)
        found: dict[str, HostResult] = {}
        message = ""
        for attempt in range(1, self._config.retries + 2):
            run, results = self._attempt(phase, tuple(hosts), first=attempt == 1 and asked == self.hosts)
            found |= {result.host: replace(result, attempts=attempt) for result in results}
            message = controller_message(results, run.message) or message
            hosts = self._again(tuple(hosts), found)
            if not hosts or run.stopped or attempt > self._config.retries or not _pause(phase.cancel, attempt):
                break
            logger.info("%s: %s again on %s", self._config.name, phase.playbook.phase, ", ".join(hosts))
            self._forget(phase)
            exports = {result.host: result.exports for result in found.values() if result.exports}
            phase = replace(phase, playbook=phase.playbook.with_exports(exports)) if exports else phase
        others = {name: result for name, result in found.items() if name not in asked}
        return {**{host: found[host] for host in asked}, **others}, message

    def _again(self, hosts: tuple[str, ...], found: Mapping[str, HostResult]) -> dict[str, None]:
        """Return the hosts that another try may help: also those that had to wait for them, and were not asked."""
        retry_on = self._config.retry_on
        if not any(found[host].kind in retry_on for host in hosts):
            return {}
        return {host: None for host in hosts if found[host].kind in (*retry_on, Kind.NOT_RUN)}

    def _attempt(self, phase: _Phase, hosts: tuple[str, ...], *, first: bool) -> tuple[EngineRun, list[HostResult]]:
        if not hosts:
            return EngineRun(()), []
        job = self._job(phase, hosts, self._members.limit if first and not phase.due else ",".join(hosts))
        if phase.place.on_playbook is not None:
            phase.place.on_playbook(phase.playbook.phase, job.playbook)
        run = self._engine.run(job, listener=phase.listener, cancel=phase.cancel)
        events = [*run.events, *self._end_background(phase, run.events)]
        measured = phase.playbook.measured
        self._note_added(phase, run.events)
        if phase.place.journal is not None:
            hidden = [str(value) for values in phase.secrets.values() for value in values.values()]
            hidden += [secret for host in phase.added for secret in host.secrets]
            append_events(phase.place.journal.directory / "events" / f"{phase.playbook.phase}.jsonl", events, hidden)
        return run, fold_hosts(
            events,
            hosts,
            Expected(
                phase.due or phase.playbook.scripts,
                phase.playbook.finish,
                self._config.required_metrics if phase.playbook.phase == "run" else (),
                None if measured is None else self._members.of(measured),
            ),
            stopped=run.stopped,
            message=run.message,
        )

    def _due(self, playbook: Playbook) -> dict[str, int]:
        """Return how many phase tasks each host has to get through; empty where it is the same for all.

        Raises:
            InventoryError: no host of the environment matches the pattern of a step.
        """
        if not playbook.host_tasks:
            return {}
        found = dict.fromkeys(self.hosts, playbook.scripts)
        for each in playbook.host_tasks:
            for host in self._members.of(each.hosts):
                found[host] += each.scripts
        return found

    def _note_added(self, phase: _Phase, events: Sequence[Mapping[str, Any]]) -> None:
        """Note the hosts that tasks have added to Ansible's inventory, which ends with its run."""
        phase.added.extend(added_hosts(events))
        if any(map(is_censored, events)):
            words = "%s: a task of %s adds a host and has no_log: later phases do not know the host"
            logger.warning(words, self._config.name, phase.playbook.phase)

    def _end_background(self, phase: _Phase, events: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """End the scripts in the background of which the phase has not seen the end; return what came of them."""
        if not phase.playbook.has_background or not (left := left_in_background(events)):
            return ()
        phase.swept.extend(left)
        logger.info("%s: ending what runs in the background on %s", self._config.name, ", ".join(left))
        job = self._job(replace(phase, playbook=phase.playbook.for_ending()), left, ",".join(left))
        ended = self._engine.run(job, cancel=Cancellation()).events
        # They come after the others, whose numbers they would repeat.
        return [{**event, "counter": 10**9 + index} for index, event in enumerate(ended)]

    def ask(self, playbook: Playbook, timeout: float) -> dict[str, str]:
        """Run a playbook of one script that nobody watches and nothing is kept of; return what it prints, by host."""
        job = Job(
            playbook=playbook.to_yaml(),
            inventory=self._members.inventory,
            hosts=self.hosts,
            limit=self._members.limit,
            timeout=rounds(self._options.forks, [len(self.hosts)]) * (timeout + SLACK),
            options=self._options,
        )
        run = self._engine.run(job)
        results = fold_hosts(run.events, self.hosts, stopped=run.stopped, message=run.message)
        return {result.host: result.stdout for result in results if result.kind is Kind.OK}

    def _forget(self, phase: _Phase) -> None:
        """Remove what was written down of scripts that are to be tried again."""
        journal = phase.place.journal
        for path in journal.results(phase.playbook.phase).glob("*.json") if journal is not None else ():
            if json.loads(path.read_text(encoding="utf-8")).get("kind") in self._config.retry_on:
                path.unlink()

    def _job(self, phase: _Phase, hosts: tuple[str, ...], limit: str | None) -> Job:
        name, config, place = phase.playbook.phase, self._config, phase.place
        logs = None
        if place.logs is not None:
            logs = (place.logs / name).absolute()
            logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        items = config.start_host if name == "boot" else getattr(config, name)
        tasks = has_tasks(items)
        return Job(
            playbook=phase.playbook.to_yaml(),
            inventory=self._members.inventory,
            hosts=hosts,
            limit=limit,
            secrets=phase.secrets,
            key=phase.key,
            results=place.journal.results(name) if place.journal is not None else None,
            timeout=outer_deadline(config, name, len(hosts), self._options.forks, tasks=tasks),
            grace=config.timeouts.grace,
            base_dir=config.source.parent.absolute() if config.source else None,
            beside=phase.playbook.import_dirs,
            uses_files=tasks,
            logs=logs,
            options=self._options,
        )


def _pause(cancel: Cancellation, attempt: int) -> bool:
    """Wait before another attempt; return whether there is to be one."""
    until = time.monotonic() + RETRY_PAUSE * attempt
    while time.monotonic() < until and not cancel.requested:
        time.sleep(0.1)
    return not cancel.requested
