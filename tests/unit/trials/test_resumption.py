"""Which trials of an interrupted call have a result."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.supervisor.verdict import NEVER_STARTED
from ansible_env.trials.pool import MAX_ATTEMPTS
from ansible_env.trials.resumption import _has_result

OK, LATE = HostResult("a", Kind.OK), HostResult("a", Kind.TIMEOUT)
NEVER, SKIPPED = HostResult("a", Kind.NOT_RUN, NEVER_STARTED), HostResult("b", Kind.NOT_RUN, "a play ended early")


@pytest.mark.parametrize(
    ("hosts", "has_result"),
    [
        ([OK], True),
        ([LATE], True),
        ([NEVER], False),
        ([NEVER, SKIPPED], True),
        ([SKIPPED], True),
        ([HostResult("a", Kind.UNREACHABLE)], False),
    ],
)
def test_a_trial_whose_script_was_never_started_has_no_result(hosts: list[HostResult], has_result: bool) -> None:
    """After a `kill -9` between the start of a phase and that of its script, the trial runs, as it should have."""
    run = phase_result("run", hosts)
    trial = Trial("x", TrialRequest(1), status=run.status, phases={"run": run})
    assert _has_result(trial) == has_result
    assert _has_result(replace(trial, request=TrialRequest(1, attempt=MAX_ATTEMPTS)))
