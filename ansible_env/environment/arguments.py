"""The arguments of `RemoteEnv`: their types, and what is refused at once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from ansible_env.config.parameters import Tunables
from ansible_env.config.text import kind_of
from ansible_env.engine.inventory import Inventory, Source
from ansible_env.engine.protocol import Engine, Listener, Options
from ansible_env.errors import ConfigError, Problem
from ansible_env.results.observer import TrialObserver
from ansible_env.storage.journal import Journal


class EnvArguments(TypedDict, total=False):
    """The arguments of the constructor besides `config`. A test compares them with it."""

    name: str | None
    global_config: Mapping[str, Any] | None
    tunables: Tunables | None
    inventory: Source | Inventory | Sequence[Source] | None
    limit: str | None
    hosts: Sequence[str] | None
    engine: Engine | str
    options: Options | None
    logs: str | Path | None
    journal: Journal | None
    listener: Listener | None
    observers: Iterable[TrialObserver]
    cancel: threading.Event | None


def names_argument(argument: str, names: Any) -> tuple[str, ...]:
    """Return names of hosts. Raise ConfigError if it is no list of text, such as one name alone."""
    if isinstance(names, str) or not isinstance(names, Iterable) or isinstance(names, Mapping):
        hint = f"write {argument}=[{names!r}]" if isinstance(names, str) else None
        raise ConfigError(Problem(f"must be a list of names, not {kind_of(names)}", argument, hint=hint))
    found = tuple(names)
    for name in found:
        if not isinstance(name, str) or not name:
            raise ConfigError(Problem(f"a name must be text, not {kind_of(name)}", argument))
    return found


def path_argument(argument: str, path: Any) -> Path:
    """Return a path. Raise ConfigError if it is none."""
    if not isinstance(path, str | Path):
        raise ConfigError(Problem(f"must be a path, not {kind_of(path)}", argument))
    return Path(path)


def observers_argument(observers: Any) -> tuple[TrialObserver, ...]:
    """Return the observers. Raise ConfigError if one of them is none, or is given alone."""
    if not isinstance(observers, Iterable):
        hint = f"write observers=[{type(observers).__name__}(…)]" if hasattr(observers, "on_trial_finished") else None
        raise ConfigError(Problem(f"must be a list, not {kind_of(observers)}", "observers", hint=hint))
    found = tuple(observers)
    for observer in found:
        if not hasattr(observer, "on_trial_finished"):
            what = f"must be objects with the methods of TrialObserver, not {kind_of(observer)}"
            raise ConfigError(Problem(what, "observers", hint="derive your class from ansible_env.TrialObserver"))
    return found
