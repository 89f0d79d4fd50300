"""`Leases`: the leases of one environment on its hosts."""

from __future__ import annotations

import getpass
import math
import os
import secrets
import socket
from collections.abc import Iterable, Sequence
from typing import Any

from ansible_env.common import get_logger
from ansible_env.config.model import EnvironmentConfig
from ansible_env.engine.protocol import Event, Job
from ansible_env.environment.deadlines import SLACK, rounds
from ansible_env.environment.settling import Settling
from ansible_env.environment.target import Target, TargetHosts
from ansible_env.errors import AnsibleEnvError
from ansible_env.playbook.plays import render_release
from ansible_env.results.fold.events import leased_hosts
from ansible_env.supervisor.lease import Lease

__all__ = ["Leases"]

logger = get_logger(__name__)

SWITCH = "ANSIBLE_ENV_EXCLUSIVE"
"""Environment variable of the controller that turns leases off: `false`."""
WITHOUT_DEADLINE = 24 * 3600.0
"""Seconds until the lease of a phase without a deadline expires."""
MARGIN = 60
"""Seconds that a trial has between two phases, beyond the deadline of the first one."""


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

    def release(self) -> None:
        """Give back what is left. A host that cannot be asked keeps its lease until that expires, except for us."""
        held = [host for host in self._held if not self._settling.is_open(host)]
        if self._held:
            self._settling.former.add(self.token)
        self._held.clear()
        if held:
            logger.info("%s: giving back the leases on %s", self._target.config.name, ", ".join(held))
            try:
                self._target.engine.run(self._job(held))
            except AnsibleEnvError as error:
                logger.warning("%s: leases could not be given back: %s", self._target.config.name, error)

    def _job(self, hosts: Sequence[str]) -> Job:
        options = self._target.options
        return Job(
            playbook=render_release(self._target.config, self.token).to_yaml(),
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
