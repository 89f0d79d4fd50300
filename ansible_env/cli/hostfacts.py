"""What the hosts of a sweep are: each is asked once, between two trials, whoever of many threads comes first."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_env.common import get_logger
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import AnsibleEnvError

logger = get_logger(__name__)

Facts = Mapping[str, Any]


class HostFacts:
    """Asks hosts what they are after their first run that succeeded; see `ansible_env.storage.fingerprint`."""

    def __init__(self, cancel: threading.Event) -> None:
        """Take what ends the trials: nobody is asked any more then."""
        self._cancel = cancel
        self._asked: set[str] = set()
        self._found: dict[str, Facts] = {}

    def ask(self, env: RemoteEnv, hosts: Sequence[str]) -> None:
        """Ask the hosts of an environment unless they have been. A host has one trial at a time, so this needs no lock.

        One that gives no answer is not asked again: it would be after each of its trials.
        """
        assert isinstance(env, RemoteEnv)  # noqa: S101 - for mypy
        if self._cancel.is_set() or self._asked.issuperset(hosts):
            return
        self._asked.update(hosts)
        try:
            self._found |= env.fingerprints()
        except AnsibleEnvError as error:
            logger.warning("%s: what it is could not be asked: %s", ", ".join(hosts), error)

    def of(self, hosts: Sequence[str]) -> dict[str, Facts]:
        """Return what is known of hosts."""
        return {host: self._found[host] for host in hosts if host in self._found}
