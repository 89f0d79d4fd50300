"""`Target`: the hosts of an environment, and the way to reach them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_env.config.model import EnvironmentConfig
from ansible_env.engine.inventory import Inventory
from ansible_env.engine.protocol import Engine, Options


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
    """The names of the hosts, where they are known already; their pattern is not looked up then."""
