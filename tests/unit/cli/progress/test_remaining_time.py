"""How long the remaining trials will take."""

import itertools

import pytest

from ansible_env.cli.progress.remaining_time import RemainingTime, time_left


def test_ends_are_counted_and_a_change_is_followed():
    remaining = RemainingTime(100, now=0.0)
    assert remaining.seconds(5.0) is None
    for n in range(1, 11):
        remaining.trial_ended(n * 10.0)
    assert remaining.seconds(100.0) == pytest.approx(900)
    assert remaining.seconds(104.0) == pytest.approx(896)
    assert remaining.seconds(500.0) == pytest.approx(890)  # the trial that runs takes longer: the end moves with it
    for n in range(1, 41):
        remaining.trial_ended(100.0 + n)
    assert remaining.seconds(140.0) == pytest.approx(50)


def test_the_time_left_is_as_exact_as_it_is_known():
    assert [time_left(s) for s in (None, 3, 42, 600, 5000, 7300, 200_000)] == [
        "time left unknown",
        "a few seconds left",
        "about 40 s left",
        "about 10 min left",
        "about 83 min left",
        "about 2 h left",
        "about 2 days left",
    ]


def test_the_time_left_never_grows_while_a_trial_runs():
    remaining = RemainingTime(5, 0.0)
    remaining.trial_ended(10.0)
    left = [remaining.seconds(10.0 + second) for second in range(30)]
    assert all(later <= sooner for sooner, later in itertools.pairwise(left))
