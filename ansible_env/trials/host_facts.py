"""`HostFacts`: asks each host once what it is, after its first run that succeeded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_env.common import get_logger
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import AnsibleEnvError

logger = get_logger(__name__)


class HostFacts:
    """The facts about the hosts of many trials; see `ansible_env.storage.fingerprint`.

    Several threads may ask at once, each for hosts of its own: a host has one trial at a time.
    """

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._facts: dict[str, Mapping[str, Any]] = {}

    def ask(self, env: RemoteEnv) -> None:
        """Ask the hosts of an environment, unless all of them were asked before, or its trial is canceled.

        A host that gives no answer is not asked again: it would be after each of its trials.
        """
        if env.is_canceled or self._asked.issuperset(env.hosts):
            return
        self._asked.update(env.hosts)
        try:
            self._facts |= env.fingerprints()
        except AnsibleEnvError as error:
            logger.warning("%s: facts are not known: %s", ", ".join(env.hosts), error)

    def of(self, hosts: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return the known facts about some hosts."""
        return {host: self._facts[host] for host in hosts if host in self._facts}
