"""Ten phases with random faults; for more, `python -m tests.tools.random_faults --phases 300`."""

from __future__ import annotations

import pytest

from tests.hosts import Hosts
from tests.tools.random_faults import RandomFaults


@pytest.mark.ssh
@pytest.mark.root
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
def test_random_faults_give_the_outcomes_that_were_done() -> None:
    with Hosts(3, outage=0.5) as hosts:
        trial = RandomFaults(hosts, seed=2, engine="warm")
        trial.run(10)
    assert trial.wrong == []
    assert sum(trial.counts.values()) == 11
