"""Which hosts an environment and its steps stand for, also when the tasks of a trial add some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.steps import has_tasks
from ansible_env.engine.inventory import Inventory
from ansible_env.engine.protocol import Engine, Options
from ansible_env.errors import InventoryError, Problem
from ansible_env.results.fold.added_hosts import AddedHost, inventory_of

__all__ = ["Members"]


class Members:
    """The hosts of an environment, of one trial after the other."""

    def __init__(
        self,
        config: EnvironmentConfig,
        engine: Engine,
        inventory: Inventory,
        limit: str | None,
        options: Options,
        chosen: Sequence[str] | None = None,
    ) -> None:
        """Take what says which they are; `chosen` are their names, if these are known already."""
        self._config = config
        self._engine = engine
        self._inventory = inventory
        self._limit = limit
        self._options = options
        self._chosen = None if chosen is None else tuple(chosen)
        self._listed: tuple[str, ...] | None = None
        self._with_added: tuple[str, ...] | None = None
        self._patterns: dict[str, frozenset[str]] = {}
        self.added: tuple[AddedHost, ...] = ()
        """Those that tasks of this trial have added."""

    def begin_trial(self, chosen: Sequence[str] | None = None, added: Iterable[AddedHost] = ()) -> None:
        """Forget what another trial has added.

        `chosen` are the hosts of the trial, where it was run on some of them only.
        """
        if chosen is not None:
            self._chosen = tuple(chosen)
        self._set_added(tuple(added))

    def add(self, hosts: Iterable[AddedHost]) -> None:
        """Count in what tasks have added, as far as the environment's own pattern and the limit let it."""
        self._set_added(tuple({host.name: host for host in (*self.added, *hosts)}.values()))

    def _set_added(self, added: tuple[AddedHost, ...]) -> None:
        if added != self.added:
            self.added, self._with_added = added, None
            self._patterns.clear()

    @property
    def inventory(self) -> Inventory:
        """The one that was given, and what was added."""
        if not self.added:
            return self._inventory
        return replace(self._inventory, data=(*self._inventory.data, inventory_of(self.added)))

    @property
    def limit(self) -> str | None:
        """What a pattern is limited to. Hosts that were chosen for a trial may bring others into it."""
        if self._chosen is None:
            return self._limit
        return ",".join(dict.fromkeys([*self._chosen, *(host.name for host in self.added)]))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the environment stands for, in the inventory's order.

        Raises:
            InventoryError: the inventory cannot be read, or no host matches.
        """
        if self.added:
            if self._with_added is None:
                self._with_added = self._list(self._config.hosts, self.limit)
            return self._with_added
        if self._chosen is not None:
            return self._chosen
        if self._listed is None:
            self._listed = self._list(self._config.hosts, self.limit)
        return self._listed

    def of(self, pattern: str) -> frozenset[str]:
        """Return the hosts of the environment that a step's pattern stands for.

        Raises:
            InventoryError: there are none.
        """
        if pattern not in self._patterns:
            try:
                self._patterns[pattern] = frozenset(self._list(pattern, ",".join(self.hosts)))
            except InventoryError as error:
                if not any(has_tasks(getattr(self._config, phase)) for phase in self._config.phases):
                    raise
                raise InventoryError([_hinted(problem) for problem in error.problems]) from None
        return self._patterns[pattern] & set(self.hosts)

    def _list(self, pattern: str, limit: str | None) -> tuple[str, ...]:
        return tuple(self._engine.hosts(self.inventory, pattern, limit, self._options))


def _hinted(problem: Problem) -> Problem:
    about = "hosts that add_host brings are known from the next phase on, if `hosts` of the environment matches them"
    return replace(problem, hint=f"{problem.hint}; {about}" if problem.hint else about)
