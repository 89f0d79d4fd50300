"""`Leases`: the leases of one environment on its hosts."""

from __future__ import annotations

import getpass
import math
import os
import random
import secrets
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ansible_env.common import get_logger
from ansible_env.config.model import EnvironmentConfig
from ansible_env.engine.protocol import Cancellation, Event, Job
from ansible_env.environment.deadlines import SLACK, rounds
from ansible_env.environment.settling import Settling
from ansible_env.environment.target import Target, TargetHosts
from ansible_env.errors import AnsibleEnvError
from ansible_env.playbook.playbook import Playbook
from ansible_env.playbook.plays import render_release, render_take
from ansible_env.results.fold.events import leased_hosts
from ansible_env.results.fold.fold_hosts import fold_hosts
from ansible_env.results.outcomes import Kind
from ansible_env.supervisor.lease import Lease
from ansible_env.supervisor.verdict import NOTHING_STARTED

__all__ = ["Leases"]

logger = get_logger(__name__)

SWITCH = "ANSIBLE_ENV_EXCLUSIVE"
"""Environment variable of the controller that turns leases off: `false`."""
WITHOUT_DEADLINE = 24 * 3600.0
"""Seconds until the lease of a phase without a deadline expires."""
MARGIN = 60
"""Seconds that a trial has between two phases, beyond the deadline of the first one."""
FIRST_POLL, LAST_POLL = 0.5, 10.0
"""Seconds between two attempts to take hosts that another trial uses, at least and at most: a tenth of the wait."""


class Leases:
    """Takes a lease with each script of a trial, and gives it back after the last one."""

    def __init__(self, target: Target, hosts: TargetHosts, settling: Settling) -> None:
        self._target = target
        self._hosts = hosts
        self._settling = settling
        self._held: dict[str, None] = {}
        self.token = secrets.token_hex(16)
        """The name of the holder."""
        self.is_wanted = is_wanted(target.config)

    def lease(self, trial: object, deadline: float | None, *, release: bool) -> Lease | None:
        """Return what the scripts of a phase record on their hosts; None if the environment shares its hosts.

        Args:
            trial: the number of the trial.
            deadline: seconds after which the phase ends in any case.
            release: give it back with the script.
        """
        if not self.is_wanted:
            return None
        former = tuple(sorted(self._settling.former - {self.token}))
        return new_lease(self._target.config, self.token, trial, deadline, release=release, former=former)

    def note(self, events: Iterable[Event]) -> None:
        """Note on which hosts the lease is kept, and on which it was given back."""
        for host, is_held in leased_hosts(events).items():
            self._held.pop(host, None)
            if is_held:
                self._held[host] = None

    def wait_for(self, hosts: Sequence[str], trial: object, cancel: Cancellation) -> None:
        """Wait for hosts that other trials use, as long as the environment says; the first phase of a trial does so.

        It takes all hosts or none, so that two trials do not wait for each other. If the time is over, or the end is
        requested, the phase finds out itself which hosts are taken.
        """
        limit = self._target.config.wait_for_hosts
        if not limit or not self.is_wanted or self._held:
            return
        begun, busy = time.monotonic(), ""
        while not cancel.requested and (found := self._take(hosts, trial, cancel)):
            self._give_back(tuple(self._held))
            if not busy:
                logger.warning("%s: waiting for up to %g s: %s", self._target.config.name, limit, found)
            busy = found
            if (waited := time.monotonic() - begun) >= limit:
                return
            poll = min(max(waited / 10, FIRST_POLL), LAST_POLL) * random.uniform(0.5, 1)  # noqa: S311 - two do not meet
            cancel.wait(min(limit - waited, poll))
        if busy and not cancel.requested:
            logger.info("%s: %s can be used now", self._target.config.name, ", ".join(hosts))

    def _take(self, hosts: Sequence[str], trial: object, cancel: Cancellation) -> str:
        """Try to take hosts; return which ones other trials use, and until when."""
        usable = [host for host in hosts if not self._settling.is_open(host)]
        if not usable:
            return ""
        job = self._job(render_take(self._target.config), usable)
        job = replace(job, lease=lease.to_text() if (lease := self.lease(trial, job.timeout, release=False)) else None)
        run = self._target.engine.run(job, cancel=cancel)
        self.note(run.events)
        if run.stopped:  # some may have been taken
            self._held.update(dict.fromkeys(usable))
        results = fold_hosts(run.events, usable, stopped=run.stopped, message=run.message)
        return "; ".join(
            f"{each.host}: {each.message.removeprefix(NOTHING_STARTED)}" for each in results if each.kind is Kind.BUSY
        )

    def release(self) -> None:
        """Give back what is left. A host that cannot be asked keeps its lease until that expires, except for us."""
        held = [host for host in self._held if not self._settling.is_open(host)]
        if self._held:
            self._settling.former.add(self.token)
        self._give_back(held)

    def _give_back(self, hosts: Sequence[str]) -> None:
        self._held.clear()
        if hosts:
            logger.info("%s: giving back the leases on %s", self._target.config.name, ", ".join(hosts))
            try:
                self._target.engine.run(self._job(render_release(self._target.config, self.token), hosts))
            except AnsibleEnvError as error:
                logger.warning("%s: leases could not be given back: %s", self._target.config.name, error)

    def _job(self, playbook: Playbook, hosts: Sequence[str]) -> Job:
        options = self._target.options
        return Job(
            playbook=playbook.to_yaml(),
            inventory=self._hosts.inventory,
            hosts=tuple(hosts),
            limit=",".join(hosts),
            timeout=rounds(options.forks, [len(hosts)]) * 2 * SLACK,
            options=options,
        )


def is_wanted(config: EnvironmentConfig) -> bool:
    """Whether the trials of an environment use their hosts alone."""
    return config.exclusive and os.environ.get(SWITCH, "").lower() not in ("0", "false", "no")


def new_lease(config: EnvironmentConfig, token: str, trial: object, deadline: float | None, **fields: Any) -> Lease:
    """Return a lease that expires some time after a deadline, in seconds from now; after a day if that is None."""
    pause = config.settle + config.splay
    seconds = math.ceil((WITHOUT_DEADLINE if deadline is None else deadline) + pause) + MARGIN
    return Lease(token, seconds, f"{socket.gethostname()}/{_user()}/{config.name}/{trial}", **fields)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in the controller's container
        return str(os.getuid())
