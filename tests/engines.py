"""The engines as values of a parameter. `make test` has the default one, `make test-long` the others as well."""

from __future__ import annotations

import pytest

COLD = pytest.param("cold", marks=pytest.mark.long)
SESSION = pytest.param("session", marks=pytest.mark.long)
WARM_AND_COLD = ("warm", COLD)
ALL = ("warm", SESSION, COLD)
PLACES = [
    ("ssh", "warm"),
    pytest.param("ssh", "cold", marks=pytest.mark.long),
    pytest.param("ssh", "session", marks=pytest.mark.long),
    ("local", "warm"),
]
"""Where and by which engine a case runs."""
