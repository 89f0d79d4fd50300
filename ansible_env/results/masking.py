"""Masking of secrets, in everything that is shown, kept or exported."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MASK = "********"
_SHORTEST_ENCODED = 4
"""The encoded form of a shorter secret is found in too much that is none."""


def forms(secrets: Iterable[str]) -> list[str]:
    """Return the texts to mask, the longest first: each secret, and its form in base64 and in JSON."""
    found = set()
    for secret in secrets:
        if not secret.strip():
            continue
        found |= {secret, json.dumps(secret)[1:-1]}
        if len(secret) >= _SHORTEST_ENCODED:
            encoded = base64.b64encode(secret.encode("utf-8", "surrogateescape")).decode()
            found |= {encoded, encoded.rstrip("="), *_within_base64(secret)}
    return sorted(found, key=len, reverse=True)


def _within_base64(secret: str) -> Iterator[str]:
    """Yield what a secret becomes in the base64 of a longer text, as of `user:password`.

    Three bytes become four characters, so it depends on how many bytes precede it, modulo 3. The characters that its
    neighbours decide as well are left out.
    """
    data = secret.encode("utf-8", "surrogateescape")
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode()
        inner = encoded[math.ceil(before * 8 / 6) : (before + len(data)) * 8 // 6]
        if len(inner) > _SHORTEST_ENCODED:
            yield inner


class Secrets:
    """Replaces the secrets of a trial."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found = forms(secrets)
        self._pattern = re.compile("|".join(map(re.escape, found))) if found else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def hide(self, text: str) -> str:
        """Return a text without the secrets."""
        return self._pattern.sub(MASK, text) if self._pattern is not None else text

    def hide_in(self, data: Any) -> Any:
        """Return plain data without the secrets, keys included."""
        if self._pattern is None:
            return data
        if isinstance(data, str):
            return self.hide(data)
        if isinstance(data, Mapping):
            return {self.hide_in(key): self.hide_in(value) for key, value in data.items()}
        return [self.hide_in(item) for item in data] if isinstance(data, list | tuple) else data
