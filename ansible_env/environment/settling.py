"""Scripts whose end is not known: which hosts have some, and how they are ended before a host is used again."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ansible_env.common import get_logger
from ansible_env.engine.inventory import Inventory
from ansible_env.engine.protocol import Cancellation, Engine, EngineRun, Event, Job
from ansible_env.environment.deadlines import SLACK, rounds
from ansible_env.environment.target import Target, TargetHosts
from ansible_env.playbook.plays import render_ending
from ansible_env.results.fold.events import is_about, is_ours, open_runs
from ansible_env.results.fold.fold_hosts import fold_hosts
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.supervisor.script import run_id

logger = get_logger(__name__)

_LEFT = "nothing was started: the script of {phase} that was started before may still be running there, and {why}"


@dataclass(frozen=True, slots=True)
class PhaseScripts:
    """The scripts of one phase: how they are named, and what is needed to end them."""

    phase: str
    key: str
    steps: int
    """How many there are."""
    become: Mapping[str, Any]
    """Ansible's keywords for the user that they run as."""
    grace: float

    def run_ids(self, host: str) -> set[str]:
        """Return the names of all of them on a host."""
        return {run_id(self.key, step, host) for step in range(1, self.steps + 1)}


@dataclass(frozen=True, slots=True)
class _Open:
    """The scripts on one host whose end is not known."""

    scripts: PhaseScripts
    runs: frozenset[str]
    """Their names."""


class _Hosts:
    """The hosts of an inventory with scripts whose end is not known. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self.former: set[str] = set()

    def get(self, host: str) -> _Open | None:
        return self._open.get(host)

    def update(self, host: str, opened: Collection[str], closed: Collection[str], scripts: PhaseScripts) -> None:
        with self._lock:
            known = self._open.pop(host, None)
            runs = (known.runs if known is not None else frozenset()) - set(closed) | set(opened)
            if runs:
                self._open[host] = _Open(scripts if opened or known is None else known.scripts, runs)


_BY_ENGINE: weakref.WeakKeyDictionary[Engine, list[tuple[Inventory, _Hosts]]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def _shared(engine: Engine, inventory: Inventory) -> _Hosts:
    """Return what all environments on an engine and an inventory share."""
    with _LOCK:
        known = _BY_ENGINE.setdefault(engine, [])
        hosts = next((hosts for other, hosts in known if other == inventory), None)
        if hosts is None:
            hosts = _Hosts()
            known.append((inventory, hosts))
        return hosts


class Settling:
    """Notes on which hosts a script may still be running, and ends it before anything else is started there."""

    def __init__(self, target: Target, hosts: TargetHosts) -> None:
        self._target = target
        self._hosts = hosts
        self._open = _shared(target.engine, target.inventory)

    @property
    def former(self) -> set[str]:
        """The tokens of leases of trials that are over; a trial may take their hosts."""
        return self._open.former

    def note(
        self, scripts: PhaseScripts, hosts: Sequence[str], events: Iterable[Event], unfinished: Collection[str] = ()
    ) -> None:
        """Note what a run has shown about the ends of scripts. `unfinished` hosts gave no result of one."""
        opened, closed = open_runs(events)
        for host in dict.fromkeys([*hosts, *opened]):
            runs = opened.get(host, set())
            if host in unfinished or "" in runs:
                runs = (runs - {""}) | (scripts.run_ids(host) - closed)
            self._open.update(host, runs, closed, scripts)

    def doubt(self, scripts: PhaseScripts, hosts: Iterable[str]) -> None:
        """Note that scripts may be running which no record mentions. They are ended, and followed by no phase."""
        for host in hosts:
            self._open.update(host, scripts.run_ids(host), (), replace(scripts, key=""))

    def is_open(self, host: str) -> bool:
        """Whether a script may be running on a host."""
        return self._open.get(host) is not None

    def settle(self, hosts: Sequence[str], cancel: Cancellation, followed: str | None = None) -> dict[str, HostResult]:
        """End the scripts on these hosts whose end is not known; return the result of each host that stays in doubt.

        Args:
            hosts: the hosts that are to be used.
            cancel: ends this, too.
            followed: the key of scripts that are not ended, as they are going to be followed.
        """
        found = {host: self._open.get(host) for host in hosts}
        doubts = {host: each for host, each in found.items() if each is not None and each.scripts.key != followed}
        if not doubts:
            return {}
        logger.info("%s: ending earlier scripts on %s", self._target.config.name, ", ".join(doubts))
        run = self._target.engine.run(self._job(doubts), cancel=cancel)
        refused = {}
        for host, each in doubts.items():
            results = [event["event_data"]["res"] for event in run.events if is_about(event, host) and is_ours(event)]
            if len(results) >= len(each.runs) and all(map(_is_over, results)):
                self._open.update(host, (), each.runs, each.scripts)
            else:
                _, closed = open_runs(run.events)
                self._open.update(host, (), closed, each.scripts)
                refused[host] = _refused(host, each, run)
                logger.warning("%s: %s: %s", self._target.config.name, host, refused[host].message)
        return refused

    def to_plain(self) -> dict[str, Any]:
        """Return what another controller has to know, as plain data."""
        doubts = {host: self._open.get(host) for host in self._hosts.hosts}
        return {
            host: {"runs": sorted(each.runs), "scripts": asdict(each.scripts)} for host, each in doubts.items() if each
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Note what another controller knew."""
        for host, each in data.items():
            self._open.update(host, each["runs"], (), PhaseScripts(**each["scripts"]))

    def _job(self, doubts: Mapping[str, _Open]) -> Job:
        options = self._target.options
        by_user: list[tuple[Mapping[str, Any], dict[str, list[str]]]] = []
        for host, each in doubts.items():
            become = each.scripts.become
            runs = next((runs for user, runs in by_user if user == become), None)
            if runs is None:
                runs = {}
                by_user.append((become, runs))
            runs[host] = sorted(each.runs)
        grace = max(each.scripts.grace for each in doubts.values())
        most = max(len(each.runs) for each in doubts.values())
        return Job(
            playbook=render_ending(self._target.config, by_user, grace).to_yaml(),
            inventory=self._hosts.inventory,
            hosts=tuple(doubts),
            limit=",".join(doubts),
            timeout=rounds(options.forks, [len(doubts)]) * most * (grace + 2 * SLACK),
            grace=grace,
            options=replace(options, check=False),
        )


def _is_over(result: Any) -> bool:
    """Whether a result of the task that ends a script says that it has ended."""
    if not isinstance(result, Mapping) or result.get("may_run"):
        return False
    return "run_id" in result or result.get("kind") == Kind.OK


def _refused(host: str, each: _Open, run: EngineRun) -> HostResult:
    """Return the result of a host that cannot be used, as the end of its last script is not known."""
    (result, *_) = fold_hosts(run.events, [host], stopped=run.stopped, message=run.message)
    if result.left_running:
        why, kind = f"these processes could not be ended: {', '.join(map(str, result.left_running))}", Kind.BUSY
    elif run.stopped == "canceled":
        why, kind = "the phase was canceled before that was known", Kind.CANCELED
    elif result.is_infrastructure_failure:
        why, kind = result.message, result.kind
    else:
        why, kind = "the host did not answer, or did not confirm its end", Kind.UNREACHABLE
    return HostResult(host, kind, _LEFT.format(phase=each.scripts.phase, why=why))
