"""The file of a call as others read it: what its plan was, who runs it, and whether it has come to its end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_env.common import Owner
from ansible_env.storage.bundle.directories import CALL_FILE, root
from ansible_env.storage.bundle.files import to_json

Plan = Mapping[str, Mapping[str, Any]]
"""What decides the trials of a call: values by their names, in sections."""


@dataclass(frozen=True, slots=True)
class SavedCall:
    """A call of `sweep` that has a file."""

    directory: Path
    plan: Plan
    seed: int
    owner: Owner
    """The process that runs it, or did."""
    ended: bool
    """Whether each of its trials has a result."""

    @classmethod
    def read(cls, directory: Path) -> SavedCall | None:
        """Return the call in a directory; None if there is none with a plan."""
        try:
            data = json.loads((directory / CALL_FILE).read_text(encoding="utf-8"))["plan"]
            owner = Owner.of_text(data["owner"])
            sections = {str(name): dict(section) for name, section in data["sections"].items()}
            return cls(directory, sections, int(data["seed"]), owner, bool(data["ended"]))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None

    @property
    def is_interrupted(self) -> bool:
        """Whether it has trials without a result, and nobody runs it."""
        return not self.ended and (self.owner == Owner.this() or not self.owner.lives())

    def differences(self, plan: Plan) -> list[str]:
        """Return what another plan has otherwise, in words."""
        now: Plan = json.loads(to_json(plan))
        return [
            _difference(section, name, before.get(name), after.get(name))
            for section in dict.fromkeys([*self.plan, *now])
            for before, after in [(self.plan.get(section, {}), now.get(section, {}))]
            for name in dict.fromkeys([*before, *after])
            if before.get(name) != after.get(name)
        ]


def plan_data(plan: Plan, seed: int, *, ended: bool) -> dict[str, Any]:
    """Return what the file of a call of this process has for `SavedCall.read`."""
    return {"sections": plan, "seed": seed, "owner": Owner.this().to_text(), "ended": ended}


def saved_calls() -> Iterator[SavedCall]:
    """Yield the calls in the default directory for results, the newest first."""
    for path in sorted(root().glob(f"*/*/{CALL_FILE}"), key=lambda path: path.parent.name, reverse=True):
        if (call := SavedCall.read(path.parent)) is not None:
            yield call


def _difference(section: str, name: str, before: Any, now: Any) -> str:
    where = f"{section} {name}" if section else name
    if section == "environment file":
        return (
            f"{where} has changed"
            if before is not None and now is not None
            else f"{where} was " + ("added" if before is None else "removed")
        )
    return f"{where} is {_text(now)}, and was {_text(before)}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "not given" if value is None else json.dumps(value) if isinstance(value, bool | dict) else str(value)
