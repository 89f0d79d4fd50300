"""Selection of trials in the store by a text: an experiment, some of its parameters, ids, or a bundle."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_env.config.text import nearest
from ansible_env.errors import ConfigError, Problem
from ansible_env.storage.bundle.bundle import MANIFEST, Bundle
from ansible_env.storage.database.records import StoredTrial
from ansible_env.storage.store import Store

_IDS = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
MAX_IDS = 100_000


def select(store: Store, reference: str) -> list[StoredTrial]:
    """Return the trials that a reference selects, the oldest first.

    A reference is `EXPERIMENT`, `EXPERIMENT:name=value,name=value`, ids such as `3,5-9`, a uid, or the directory of a
    bundle. The name of an experiment has priority.

    Raises:
        ConfigError: there are none.
    """
    known = [experiment.name for experiment in store.experiments()]
    name, colon, conditions = reference.rpartition(":")
    if reference in known:
        trials = store.trials(reference)
    elif colon and name in known:
        trials = store.trials(name, params=dict(_condition(text) for text in conditions.split(",")))
    elif _IDS.fullmatch(reference):
        trials = [store.trial(number) for number in _numbers(reference)]
    elif (Path(reference).expanduser() / MANIFEST).is_file():
        trials = [store.trial(Bundle.open(Path(reference).expanduser()).uid)]
    elif re.fullmatch(r"[0-9a-f]{32}", reference):
        trials = [store.trial(reference)]
    else:
        hint = nearest(reference, known) or "an experiment, EXPERIMENT:name=value, ids such as 3,5-9, or a bundle"
        raise ConfigError(Problem(f"the store {store.name} has no trials {reference!r}", hint=hint))
    if not trials:
        raise ConfigError(Problem(f"no trial in the store {store.name} matches {reference!r}"))
    return trials


def _condition(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(Problem(f"{text!r} is not name=value", hint="EXPERIMENT:name=value,name=value"))
    return name.strip(), value.strip()


def _numbers(text: str) -> list[int]:
    ids: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers = range(int(first), int(last or first) + 1)
        if len(numbers) + len(ids) > MAX_IDS:
            raise ConfigError(Problem(f"{text!r} selects too many trials"))
        ids += numbers
    return ids
