"""`PhaseRunner`: runs one phase, from its playbook through the engine to its result."""

from __future__ import annotations

import json
import secrets as random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_env.common import about, get_logger, reason
from ansible_env.config.steps import has_tasks
from ansible_env.engine.events import unfinished_hosts
from ansible_env.engine.protocol import Cancellation, EngineRun, Job, Listener
from ansible_env.environment.deadlines import SLACK, outer_deadline, rounds
from ansible_env.environment.leases import Leases
from ansible_env.environment.phase_events import PhaseCall, PhaseEvents, StopOnFailure
from ansible_env.environment.settling import PhaseScripts, Settling
from ansible_env.environment.target import Target, TargetHosts
from ansible_env.errors import EngineError
from ansible_env.playbook.playbook import Playbook
from ansible_env.playbook.plays import become_of
from ansible_env.results.fold.added_hosts import AddedHost, added_hosts, is_censored
from ansible_env.results.fold.events import left_in_background
from ansible_env.results.fold.fold_hosts import Expected, controller_message, fold_hosts
from ansible_env.results.host_result import HostResult, explained, without_secrets
from ansible_env.results.masking import Secrets
from ansible_env.results.metrics.validity import NO_RULES
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import PhaseResult, phase_result
from ansible_env.storage.bundle.event_log import append_events
from ansible_env.storage.bundle.files import make_private
from ansible_env.storage.journal import Journal

logger = get_logger(__name__)

RETRY_PAUSE = 1.0
"""Seconds before the first retry; each further retry waits so much longer."""


@dataclass(slots=True)
class _Phase:
    """One phase while it is run."""

    playbook: Playbook
    text: str
    """The playbook as YAML."""
    call: PhaseCall
    scripts: PhaseScripts
    events: PhaseEvents
    stop: StopOnFailure | None
    """Ends the phase when a host fails, if the environment requests that."""
    expected: Expected
    due: Mapping[str, int]
    """How many phase tasks each host must complete, if steps have their own hosts."""
    swept: list[str] = field(default_factory=list)
    """Hosts on which scripts in the background had to be ended."""
    added: list[AddedHost] = field(default_factory=list)
    """Hosts that tasks have added to the inventory."""

    @property
    def name(self) -> str:
        return self.playbook.phase

    @property
    def secrets(self) -> Secrets:
        """All that is masked: the secrets of the trial, and those of hosts that tasks have added."""
        return Secrets([*self.call.secret_values, *(secret for host in self.added for secret in host.secrets)])

    @property
    def cancel(self) -> Cancellation:
        return self.stop or self.call.cancel


class PhaseRunner:
    """Runs the playbooks of one environment on its hosts."""

    def __init__(self, target: Target) -> None:
        options = replace(target.options, forks=target.options.forks or target.config.forks)
        self._target = replace(target, options=options)
        self._config = target.config
        self._hosts = TargetHosts(self._target)
        self._settling = Settling(self._target, self._hosts)
        self._leases = Leases(self._target, self._hosts, self._settling)
        self._dropped: dict[str, dict[str, HostResult]] = {}

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of the environment, in the order of the inventory.

        Raises:
            InventoryError: the inventory cannot be read, or no host matches.
        """
        return self._hosts.hosts

    def hosts_of(self, pattern: str) -> frozenset[str]:
        """Return the hosts of the environment that a pattern matches. Raise InventoryError if there are none."""
        return self._hosts.of(pattern)

    @property
    def lease_token(self) -> str:
        """The name of the holder of the leases."""
        return self._leases.token

    @lease_token.setter
    def lease_token(self, token: str) -> None:
        self._leases.token = token

    def begin_trial(self) -> None:
        """Begin with all hosts of the environment, without those that the last trial has added."""
        self._hosts.begin_trial()
        self._dropped = {}

    def resume_trial(self, journal: Journal) -> None:
        """Restore the state of a trial's hosts from the journal of another controller."""
        added = [AddedHost(**host) for host in journal.recall("added") or ()]
        self._hosts.begin_trial(journal.recall("hosts"), added)
        dropped = journal.recall("dropped") or ()
        lost = {host: HostResult(host, Kind.NOT_RUN, "dropped out in setup") for host in dropped}
        self._dropped = {"setup": lost} if lost else {}
        self._settling.restore(journal.recall("unsettled") or {})
        self._leases.token = journal.recall("lease") or self._leases.token

    def doubt(self, phases: Iterable[tuple[Playbook, str]]) -> None:
        """Note that scripts of these phases may be running under these keys: there was no room to record a start."""
        for playbook, key in phases:
            self._settling.doubt(self._scripts(playbook.phase, key, playbook.steps), self.hosts)

    def drop(self, phase: str, hosts: Mapping[str, HostResult]) -> None:
        """Leave hosts that failed before setup out of setup and run."""
        self._dropped[phase] = dict(hosts)

    def close(self) -> None:
        """Give the hosts back that are still held."""
        self._leases.release()

    def run(self, playbook: Playbook, call: PhaseCall) -> PhaseResult:
        """Run a playbook and return its result; with a key in the call, resume what was started under it.

        Hosts that failed in an earlier phase do not take part in setup and run. All hosts take part in teardown.
        """
        name, known = playbook.phase, self.hosts
        earlier = {"boot": (), "setup": ("boot", "once"), "run": ("boot", "once", "setup")}.get(name, ())
        dropped = {host: result for before in earlier for host, result in self._dropped.get(before, {}).items()}
        phase = self._phase(playbook, call)
        hosts = tuple(host for host in known if host not in dropped and phase.due.get(host, 1))
        logger.info("%s: %s on %d hosts", self._config.name, name, len(hosts))
        phase.events.started(phase.text, hosts)
        if name in ("setup", "run") and call.key is None:
            self._leases.wait_for(hosts, call.trial.number if call.trial is not None else 0, call.cancel)
        results, message = self._attempts(phase, hosts)
        if phase.added and name != "teardown":
            logger.info("%s: %s added %s", self._config.name, name, ", ".join(host.name for host in phase.added))
            self._hosts.add(phase.added)
        result = self._result(phase, results, message, dropped)
        if name in ("boot", "setup"):
            self._dropped[name] = {host.host: host for host in result.failed_hosts}
        self._record(phase, result)
        phase.events.finished(result)
        return result

    def _phase(self, playbook: Playbook, call: PhaseCall) -> _Phase:
        name, config, key = playbook.phase, self._config, call.key
        due = self._due(playbook)
        if call.journal is not None and key is None:
            call.journal.remember("lease", self._leases.token)
            key = call.journal.begin_phase(name)
        # By the key a script that runs on is found again: it is not started twice, and ended before another starts.
        scripts = self._scripts(name, key or random.token_hex(16), playbook.steps)
        expected = Expected(
            due or playbook.scripts,
            playbook.finish,
            config.metric_rules if name == "run" else NO_RULES,
            None if playbook.measured is None else self._hosts.of(playbook.measured),
        )
        events = PhaseEvents(call, name, expected)
        stops = config.on_host_failure == "stop" and name != "teardown"
        stop = StopOnFailure(call.cancel, events) if stops else None
        return _Phase(playbook, playbook.to_yaml(), call, scripts, events, stop, expected, due)

    def _scripts(self, phase: str, key: str, steps: int = 1) -> PhaseScripts:
        return PhaseScripts(phase, key, steps, become_of(self._config), self._config.timeouts.grace)

    def _result(
        self, phase: _Phase, results: dict[str, HostResult], message: str, dropped: Mapping[str, HostResult]
    ) -> PhaseResult:
        """Return the result of the group."""
        stopped = phase.stop is not None and phase.stop.stopped
        if phase.stop is not None and stopped:
            reason = f"ended because {phase.stop.host} had failed"
            results = {n: replace(r, message=reason) if r.kind is Kind.CANCELED else r for n, r in results.items()}
        swept = bool(phase.swept) and not phase.call.cancel.requested
        return phase_result(
            phase.name,
            results.values(),
            message,
            policy=self._config.group_policy,
            dropped=dropped,
            stopped=stopped or swept,
        )

    def _record(self, phase: _Phase, result: PhaseResult) -> None:
        """Log the results of the hosts, and write into the journal what later phases need."""
        for host in result.hosts.values():
            with about(host=host.host):
                logger.info("%s: %s%s", phase.name, host.kind, f": {host.message}" if host.message else "")
            self._warn(phase.name, host)
        if (journal := phase.call.journal) is not None:
            journal.remember("added", [host.without_secrets() for host in self._hosts.added])
            journal.remember("dropped", [host for hosts in self._dropped.values() for host in hosts])
            journal.remember("unsettled", self._settling.to_plain())
            journal.end_phase(result)

    def _warn(self, phase: str, host: HostResult) -> None:
        """Warn about what a person should know of a host, whatever its outcome kind."""
        ended = "" if phase in self._config.keep_running else ", ".join(host.leftovers)
        notes = {
            "files": host.files_note,
            "disturbed": host.disturbed if phase == "run" else "",
            "ended what the script had left running": ended,
        }
        for what, note in notes.items():
            if note:
                logger.warning("%s: %s: %s: %s", self._config.name, host.host, what, note)

    def _attempts(self, phase: _Phase, hosts: tuple[str, ...]) -> tuple[dict[str, HostResult], str]:
        """Run a phase, and again on the hosts that a retry may help; also return Ansible's message as a whole."""
        pending = hosts
        results: dict[str, HostResult] = {}
        message = ""
        for attempt in range(1, self._config.retries + 2):
            run, found = self._attempt(phase, pending, first=attempt == 1 and hosts == self.hosts)
            results |= {result.host: replace(result, attempts=attempt) for result in found}
            message = controller_message(found, run.message) or message
            pending = self._again(phase.name, pending, results)
            if not pending or run.stopped or attempt > self._config.retries:
                break
            if not phase.cancel.wait(RETRY_PAUSE * attempt):
                break
            logger.info("%s: %s again on %s", self._config.name, phase.name, ", ".join(pending))
            self._prepare_retry(phase, results)
        others = {name: result for name, result in results.items() if name not in hosts}
        return {**{host: results[host] for host in hosts}, **others}, message

    def _again(self, phase: str, hosts: tuple[str, ...], results: Mapping[str, HostResult]) -> tuple[str, ...]:
        """Return the hosts that are retried, and those that did not run because they waited for these."""
        again = {host for host in hosts if self._is_retried(phase, results[host].kind, results[host].disturbed)}
        return tuple(host for host in hosts if again and (host in again or results[host].kind is Kind.NOT_RUN))

    def _is_retried(self, phase: str, kind: str, disturbed: str) -> bool:
        """Whether a phase is retried on a host with such a result."""
        measured = phase == "run" and kind == Kind.OK and self._config.on_disturbed == "retry"
        return kind in self._config.retry_on or (measured and bool(disturbed))

    def _prepare_retry(self, phase: _Phase, results: Mapping[str, HostResult]) -> None:
        """Remove the results of scripts that are retried, and give the playbook what hosts have exported so far."""
        journal = phase.call.journal
        for path in journal.results(phase.name).glob("*.json") if journal is not None else ():
            result = json.loads(path.read_text(encoding="utf-8"))
            if self._is_retried(phase.name, result.get("kind"), result.get("disturbed", "")):
                path.unlink()
        if exports := {result.host: result.exports for result in results.values() if result.exports}:
            phase.playbook = phase.playbook.with_exports(exports)
            phase.text = phase.playbook.to_yaml()

    def _attempt(self, phase: _Phase, hosts: tuple[str, ...], *, first: bool) -> tuple[EngineRun, list[HostResult]]:
        if not hosts:
            return EngineRun(()), []
        phase.events.attempt()
        refused = self._settle(phase, hosts)
        if not (hosts := tuple(host for host in hosts if host not in refused)):
            return EngineRun(()), list(refused.values())
        whole = first and not phase.due and not refused
        job = self._job(phase, phase.text, hosts, self._hosts.limit if whole else ",".join(hosts))
        listener = phase.stop or (phase.events if phase.events.are_followed else None)
        run = self._run(job, phase.scripts, listener=listener, cancel=phase.cancel)
        events = [*run.events, *self._end_background(phase, run.events)]
        self._end_unfinished(run.unfinished)
        self._note_added(phase, run.events)
        secrets = phase.secrets
        if (journal := phase.call.journal) is not None:
            with journal.tolerant():
                append_events(journal.directory / "events" / f"{phase.name}.jsonl", events, secrets)
        run = replace(run, message=secrets.hide(run.message))
        results = fold_hosts(events, hosts, phase.expected, stopped=run.stopped, message=run.message)
        params = phase.call.trial.params if phase.call.trial is not None else {}
        told = (without_secrets(explained(result, params), secrets) for result in results)
        return run, [*refused.values(), *told]

    def _run(
        self, job: Job, scripts: PhaseScripts, *, cancel: Cancellation | None, listener: Listener | None = None
    ) -> EngineRun:
        """Run a job, and note which of its scripts may still be running."""
        try:
            run = self._target.engine.run(job, listener=listener, cancel=cancel)
        except BaseException:
            self._settling.note(scripts, job.hosts, (), unfinished=job.hosts)
            raise
        # A worker that was asked to end has reported that it waits no more, but not how the script ended.
        self._settling.note(scripts, job.hosts, run.events, {*run.unfinished, *unfinished_hosts(run.events)})
        self._leases.note(run.events)
        return run

    def _settle(self, phase: _Phase, hosts: tuple[str, ...]) -> dict[str, HostResult]:
        """End earlier scripts on the hosts that the phase is about to use; return the results of those it cannot use.

        A retry follows its own script. Of several it begins with the first, unless their results are in a journal.
        """
        if phase.name == "boot":  # it uses no host: it waits until they answer
            return {}
        follows = phase.playbook.steps == 1 or phase.call.journal is not None
        refused = self._settling.settle(hosts, phase.cancel, phase.scripts.key if follows else None)
        if refused and phase.stop is not None:
            phase.stop.host = phase.stop.host or next(iter(refused))
        return refused

    def _due(self, playbook: Playbook) -> dict[str, int]:
        """Return how many phase tasks each host must complete; empty where it is the same for all.

        Raises:
            InventoryError: no host of the environment matches the pattern of a step.
        """
        if not playbook.host_tasks:
            return {}
        due = dict.fromkeys(self.hosts, playbook.scripts)
        for tasks in playbook.host_tasks:
            for host in self._hosts.of(tasks.hosts):
                due[host] += tasks.scripts
        return due

    def _note_added(self, phase: _Phase, events: Sequence[Mapping[str, Any]]) -> None:
        """Note the hosts that tasks have added to Ansible's inventory, which ends with its run."""
        phase.added.extend(added_hosts(events))
        if any(map(is_censored, events)):
            words = "%s: a task of %s adds a host and has no_log: later phases do not know the host"
            logger.warning(words, self._config.name, phase.name)

    def _end_background(self, phase: _Phase, events: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """End scripts in the background that the phase has not seen end; return the events of that."""
        if not phase.playbook.has_background or not (left := left_in_background(events)):
            return ()
        phase.swept.extend(left)
        logger.info("%s: ending what runs in the background on %s", self._config.name, ", ".join(left))
        job = self._job(phase, phase.playbook.for_ending().to_yaml(), left, ",".join(left))
        ended = self._run(job, phase.scripts, cancel=Cancellation()).events
        # They come after the others, whose numbers they would repeat.
        return [{**event, "counter": 10**9 + index} for index, event in enumerate(ended)]

    def _end_unfinished(self, hosts: Sequence[str]) -> None:
        """End scripts that are no longer followed.

        That changes no result: a script without one has failed, for a reason on the controller.
        """
        try:
            self._settling.settle(hosts, Cancellation())
        except (EngineError, OSError) as error:
            logger.warning("%s: scripts could not be ended: %s", self._config.name, error)

    def ask(self, playbook: Playbook, timeout: float) -> dict[str, str]:
        """Run a playbook of one script, without observers and without records; return its output by host."""
        hosts = tuple(host for host in self.hosts if not self._settling.is_open(host))
        if not hosts:
            return {}
        options, scripts = self._target.options, self._scripts(playbook.phase, random.token_hex(16))
        job = Job(
            playbook=playbook.to_yaml(),
            inventory=self._hosts.inventory,
            hosts=hosts,
            limit=self._hosts.limit if hosts == self.hosts else ",".join(hosts),
            key=scripts.key,
            timeout=rounds(options.forks, [len(hosts)]) * (timeout + SLACK),
            options=options,
        )
        run = self._run(job, scripts, cancel=None)
        results = fold_hosts(run.events, hosts, stopped=run.stopped, message=run.message)
        return {result.host: result.stdout for result in results if result.kind is Kind.OK}

    def _job(self, phase: _Phase, playbook: str, hosts: tuple[str, ...], limit: str | None) -> Job:
        name, config, call, options = phase.name, self._config, phase.call, self._target.options
        logs = None
        if call.logs is not None:
            logs = (call.logs / name).absolute()
            try:
                make_private(logs)
            except OSError as error:
                logger.warning("%s: the output of %s is not kept: %s", config.name, name, reason(error))
                logs = None
        tasks = has_tasks(config.start_host if name == "boot" else getattr(config, name))
        timeout = outer_deadline(config, name, len(hosts), options.forks, tasks=tasks)
        number = call.trial.number if call.trial is not None else 0
        # With several scripts, another trial could take the host between two of them.
        alone = phase.playbook.steps == 1 and not phase.playbook.has_background
        lease = self._leases.lease(number, timeout, release=alone and name == config.phases[-1])
        return Job(
            playbook=playbook,
            inventory=self._hosts.inventory,
            hosts=hosts,
            limit=limit,
            secrets=call.secrets,
            key=phase.scripts.key,
            lease=lease.to_text() if lease is not None else None,
            results=call.journal.results(name) if call.journal is not None else None,
            timeout=timeout,
            grace=config.timeouts.grace,
            base_dir=config.source.parent.absolute() if config.source else None,
            beside=phase.playbook.import_dirs,
            uses_files=tasks,
            logs=logs,
            options=options,
        )
