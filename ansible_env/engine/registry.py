"""Engines by name: those of every installation, and those that distributions register.

A distribution registers an engine by an entry point of the group `ansible_env.engines`, whose object is a class, or a
function that returns an engine:

    [project.entry-points."ansible_env.engines"]
    slurm = "my_package:SlurmEngine"

Then `RemoteEnv(…, engine="slurm")` and `ansible-env --engine slurm` use it.
"""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import Callable
from typing import Any

from ansible_env.engine.cold import ColdEngine
from ansible_env.engine.protocol import Engine
from ansible_env.engine.warm import SessionEngine, WarmEngine
from ansible_env.errors import ConfigError

GROUP = "ansible_env.engines"
BUILT_IN: dict[str, Callable[..., Engine]] = {"warm": WarmEngine, "cold": ColdEngine, "session": SessionEngine}


def engine_names() -> list[str]:
    """Return the names of all engines."""
    return list(dict.fromkeys([*BUILT_IN, *sorted(importlib.metadata.entry_points(group=GROUP).names)]))


def make_engine(name: str, *arguments: Any) -> Engine:
    """Return a new engine, made with the arguments that it takes.

    Raises:
        ConfigError: there is no engine of this name, it cannot be loaded, or it does not take these arguments.
    """
    make = BUILT_IN.get(name) or _registered(name)
    try:
        inspect.signature(make).bind(*arguments)
    except TypeError as error:
        raise ConfigError(f"the engine {name!r} cannot be created: {error}") from error
    return make(*arguments)


def _registered(name: str) -> Callable[..., Engine]:
    entries = importlib.metadata.entry_points(group=GROUP, name=name)
    if not entries:
        raise ConfigError(f"there is no engine {name!r}: {', '.join(engine_names())}, or an engine of your own")
    entry = next(iter(entries))
    try:
        make: Callable[..., Engine] = entry.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"the engine {name!r} cannot be loaded from {entry.value}: {error}") from error
    return make
