"""A short soak; the long one is `python -m tests.soak --phases 300`."""

from __future__ import annotations

import pytest

from tests.hosts import Hosts
from tests.soak import Soak


@pytest.mark.ssh
@pytest.mark.root
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_random_faults_give_the_outcomes_that_were_done() -> None:
    with Hosts(3, outage=0.5) as hosts:
        soak = Soak(hosts, seed=2, engine="warm")
        soak.run(10)
    assert soak.wrong == []
    assert sum(soak.counts.values()) == 11
