"""The trial: its status, and what it says about its hosts."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.results.status import Status
from ansible_env.results.trial import Trial, TrialRequest


def phases(**kinds):
    return {name: phase_result(name, [HostResult("h", kind, metrics={"score": 1})]) for name, kind in kinds.items()}


@pytest.mark.parametrize(
    ("kinds", "fields", "canceled", "status"),
    [
        ({}, {}, False, Status.READY),
        ({}, {}, True, Status.CANCELED),
        ({"run": Kind.OK}, {}, False, Status.SUCCEEDED),
        ({"run": Kind.OK}, {"error": "Ansible is gone"}, True, Status.FAILED),
        ({"setup": Kind.OK}, {}, True, Status.CANCELED),  # run was not started
        ({"setup": Kind.EXIT}, {}, True, Status.FAILED),  # a failure counts more than the request that came later
        ({"setup": Kind.OK}, {"abandoned": "run"}, True, Status.CANCELED),
        ({"run": Kind.OK}, {"abandoned": "teardown"}, True, Status.SUCCEEDED),
        ({"run": Kind.OK, "teardown": Kind.EXIT}, {}, False, Status.SUCCEEDED),
        ({"teardown": Kind.EXIT}, {}, False, Status.FAILED),
    ],
)
def test_the_status_of_a_finished_trial(kinds, fields, canceled, status):
    trial = Trial("e", phases=phases(**kinds), **fields)
    assert (trial.status, trial.finished) == (Status.RUNNING, None)
    finished = trial.finish(canceled=canceled)
    assert finished.status is status
    assert finished.finished is not None
    assert finished.finish(canceled=canceled) == finished


def test_a_phase_that_was_abandoned_leaves_no_deciding_phase():
    trial = Trial("e", phases=phases(setup=Kind.OK), abandoned="run").finish(canceled=True)
    assert (trial.deciding, trial.metrics, trial.host_results) == (None, {}, {})


def test_lost_hosts_and_infrastructure_failures():
    lost = Trial("e", phases=phases(run=Kind.UNREACHABLE)).finish()
    assert (lost.is_lost, lost.is_infrastructure_failure, lost.broken_hosts) == (True, True, ("h",))
    failed = Trial("e", phases=phases(run=Kind.EXIT, teardown=Kind.UNREACHABLE)).finish()
    assert (failed.is_lost, failed.is_infrastructure_failure, failed.broken_hosts) == (False, False, ())
    assert Trial("e", error="Ansible is gone").finish().is_infrastructure_failure


def test_a_trial_shows_no_parameters_that_may_be_secret():
    assert "hunter2" not in repr(Trial("e", TrialRequest(1, globals={"password": "hunter2"})))


def test_only_a_trial_of_a_plan_has_its_place_in_it():
    alone = Trial("e", TrialRequest(1), hosts=("h",)).finish().to_dict(output=False)
    planned = Trial("e", TrialRequest(1, configuration=3, repeat=2), hosts=("h",)).finish().to_dict(output=False)
    place = {"configuration": 3, "repeat": 2, "attempts": 1, "ran_on": ["h"]}
    assert planned.items() >= place.items()
    assert not place.keys() & alone.keys()


def test_durations_do_not_depend_on_a_clock_that_is_set():
    begun = time.monotonic() - 5
    trial = Trial("e", started=datetime.now(UTC) + timedelta(hours=2), begun=begun)
    assert 5 <= trial.elapsed < 60
    finished = trial.finish()
    assert 5 <= finished.elapsed < 60
    assert finished.elapsed == finished.elapsed == finished.finish().elapsed
    assert finished.to_dict(output=False)["elapsed"] == finished.elapsed


def test_the_duration_of_a_trial_known_by_its_times_alone():
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    assert Trial("e", started=begin, finished=begin + timedelta(seconds=3)).finish().elapsed == 3
