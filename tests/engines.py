"""The engines as values of a parameter. The cold one takes three times as long, so `make test-long` has most of it."""

from __future__ import annotations

import pytest

COLD = pytest.param("cold", marks=pytest.mark.long)
WARM_AND_COLD = ("warm", COLD)
ALL = ("warm", "session", COLD)
