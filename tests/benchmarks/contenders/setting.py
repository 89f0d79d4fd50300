"""What every contender is given, and what it has to prove."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = ["echo score=1.0", "true", "true"]
PROOF = "score=1.0"


@dataclass(frozen=True)
class Setting:
    """The hosts, and what to run on them."""

    inventory: str
    hosts: list[dict[str, Any]]
    """name, address, port, user, key, known_hosts of each."""
    scratch: Path
    size: int = 0
    """Bytes to print before the score."""
    threads: int = 1

    @classmethod
    def from_json(cls, text: str) -> Setting:
        """Read what `to_json` wrote."""
        data = json.loads(text)
        return cls(**{**data, "scratch": Path(data["scratch"])})

    def to_json(self) -> str:
        """For a worker's command line."""
        return json.dumps({**vars(self), "scratch": str(self.scratch)})

    @property
    def script(self) -> list[str]:
        """The lines of the phase."""
        noise = [f"head -c {self.size} /dev/zero | tr '\\0' 'x' | fold -w 99; echo"] if self.size else []
        return [*noise, *SCRIPT]

    def check(self, outputs: list[str]) -> None:
        """Refuse a phase that did not run everywhere."""
        good = sum(text.rstrip().endswith(PROOF) and len(text) >= self.size for text in outputs)
        if good != len(self.hosts):
            raise RuntimeError(f"{good} of {len(self.hosts)} hosts gave the score")
