"""`Target`: the hosts of an environment, and the way to reach them; `TargetHosts`: those of its current trial."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.steps import has_tasks
from ansible_env.engine.inventory import Inventory
from ansible_env.engine.protocol import Engine, Options
from ansible_env.errors import InventoryError, Problem
from ansible_env.results.fold.added_hosts import AddedHost, inventory_of


@dataclass(frozen=True, slots=True)
class Target:
    """An environment, the hosts it runs on, and the engine that reaches them."""

    config: EnvironmentConfig
    engine: Engine
    inventory: Inventory
    limit: str | None = None
    """A pattern that limits the hosts further, as --limit."""
    options: Options = field(default_factory=Options)
    hosts: tuple[str, ...] | None = None
    """The names of the hosts, if they are known; the pattern is then not resolved."""
    is_part: bool = False
    """Whether steps may have no host: others of the environment's hosts have their turn at another time."""


class TargetHosts:
    """The hosts of an environment in its current trial."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._chosen = target.hosts
        self._listed: tuple[str, ...] | None = None
        self._with_added: tuple[str, ...] | None = None
        self._patterns: dict[str, frozenset[str]] = {}
        self.added: tuple[AddedHost, ...] = ()
        """The hosts that tasks of this trial have added."""

    def begin_trial(self, chosen: Sequence[str] | None = None, added: Iterable[AddedHost] = ()) -> None:
        """Begin with the hosts of the target, or with those of a trial that is resumed.

        `chosen` are the hosts it ran on, where these were only some of them; `added` those that its tasks had added.
        """
        if chosen is not None:
            self._chosen = tuple(chosen)
        self._set_added(tuple(added))

    def add(self, hosts: Iterable[AddedHost]) -> None:
        """Add hosts that tasks have added, if they match the pattern of the environment and the limit."""
        self._set_added(tuple({host.name: host for host in (*self.added, *hosts)}.values()))

    def _set_added(self, added: tuple[AddedHost, ...]) -> None:
        if added != self.added:
            self.added, self._with_added = added, None
            self._patterns.clear()

    @property
    def inventory(self) -> Inventory:
        """The given inventory, and the added hosts."""
        if not self.added:
            return self._target.inventory
        return replace(self._target.inventory, data=(*self._target.inventory.data, inventory_of(self.added)))

    @property
    def limit(self) -> str | None:
        """The limit of patterns. Tasks on the selected hosts of a trial may add hosts to it."""
        if self._chosen is None:
            return self._target.limit
        return ",".join(dict.fromkeys([*self._chosen, *(host.name for host in self.added)]))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of the environment, in the order of the inventory.

        Raises:
            InventoryError: the inventory cannot be read, or no host matches.
        """
        if self.added:
            if self._with_added is None:
                self._with_added = self._list(self._target.config.hosts, self.limit)
            return self._with_added
        if self._chosen is not None:
            return self._chosen
        if self._listed is None:
            self._listed = self._list(self._target.config.hosts, self.limit)
        return self._listed

    def of(self, pattern: str) -> frozenset[str]:
        """Return the hosts of the environment that a step's pattern matches.

        Raises:
            InventoryError: there are none.
        """
        if pattern not in self._patterns:
            try:
                self._patterns[pattern] = frozenset(self._list(pattern, ",".join(self.hosts)))
            except InventoryError as error:
                if self._target.is_part:
                    self._patterns[pattern] = frozenset()
                    return frozenset()
                if not any(has_tasks(getattr(self._target.config, phase)) for phase in self._target.config.phases):
                    raise
                raise InventoryError([_hinted(problem) for problem in error.problems]) from None
        return self._patterns[pattern] & set(self.hosts)

    def _list(self, pattern: str, limit: str | None) -> tuple[str, ...]:
        return tuple(self._target.engine.hosts(self.inventory, pattern, limit, self._target.options))


def _hinted(problem: Problem) -> Problem:
    about = "hosts that add_host brings are known from the next phase on, if `hosts` of the environment matches them"
    return replace(problem, hint=f"{problem.hint}; {about}" if problem.hint else about)
