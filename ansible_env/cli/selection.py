"""Trials named on the command line: an experiment, some of its parameters, ids, or a bundle."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_env.config.text import nearest
from ansible_env.errors import ConfigError, Problem
from ansible_env.storage.bundle.bundle import MANIFEST, Bundle
from ansible_env.storage.database.records import StoredTrial
from ansible_env.storage.store import Store

_IDS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
MOST_IDS = 100_000


def select(store: Store, reference: str) -> list[StoredTrial]:
    """Return the trials that a reference stands for, the oldest first.

    `EXPERIMENT`, `EXPERIMENT:name=value,name=value`, ids as `3,5-9`, a uid, or the directory of a bundle. The name of
    an experiment goes before everything else.

    Raises:
        ConfigError: there are none.
    """
    known = [experiment.name for experiment in store.experiments()]
    name, colon, conditions = reference.rpartition(":")
    if reference in known:
        found = store.trials(reference)
    elif colon and name in known:
        found = store.trials(name, params=dict(_condition(text) for text in conditions.split(",")))
    elif _IDS.fullmatch(reference):
        found = [store.trial(number) for number in _numbers(reference)]
    elif (Path(reference).expanduser() / MANIFEST).is_file():
        found = [store.trial(Bundle.open(Path(reference).expanduser()).uid)]
    elif re.fullmatch(r"[0-9a-f]{32}", reference):
        found = [store.trial(reference)]
    else:
        hint = nearest(reference, known) or "an experiment, EXPERIMENT:name=value, ids as 3,5-9, or a bundle"
        raise ConfigError(Problem(f"the store {store.name} has no trials {reference!r}", hint=hint))
    if not found:
        raise ConfigError(Problem(f"no trial in the store {store.name} is one of {reference!r}"))
    return found


def _condition(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(Problem(f"{text!r} is not name=value", hint="EXPERIMENT:name=value,name=value"))
    return name.strip(), value.strip()


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers = range(int(first), int(last or first) + 1)
        if len(numbers) + len(found) > MOST_IDS:
            raise ConfigError(Problem(f"{text!r} are too many trials"))
        found += numbers
    return found
