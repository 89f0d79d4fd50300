"""What tests with real hosts share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_env import Engine, WarmEngine


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """One for all tests of a file."""
    made = WarmEngine()
    yield made
    made.close()
