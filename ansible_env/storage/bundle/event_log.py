"""Ansible's events, kept with a trial, without the output that is in the logs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_env.results.masking import Secrets
from ansible_env.storage.bundle.files import make_private, to_json

LONGEST_TEXT = 1000
"""Longest text that is kept, in characters. The output of scripts is in the logs."""
_KEPT = ("counter", "event", "created", "event_data")
_DROPPED = frozenset({"invocation"})
"""Arguments of the author's own tasks, which may contain secrets."""


def append_events(path: Path, events: Iterable[Mapping[str, Any]], secrets: Secrets) -> None:
    """Append events to a file that only its owner can read, one line of JSON each."""
    lines = [to_json(_clean({key: e[key] for key in _KEPT if key in e}, secrets)) + "\n" for e in events]
    make_private(path.parent)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as file:  # noqa: PTH123
        file.write("".join(lines))


def _clean(value: Any, secrets: Secrets) -> Any:
    if isinstance(value, str):
        value = secrets.hide(value)
        return value if len(value) <= LONGEST_TEXT else f"{value[:LONGEST_TEXT]}…"
    if isinstance(value, Mapping):
        return {_clean(str(k), secrets): _clean(item, secrets) for k, item in value.items() if k not in _DROPPED}
    return [_clean(item, secrets) for item in value] if isinstance(value, list | tuple) else value
