import math
import random

import pytest
import scipy.stats

from ansible_env.results.precision import Interval, interval, looks, quantile


def test_looks_begin_and_end_at_the_bounds_and_are_few():
    assert looks(5, 30) == (5, 7, 9, 12, 15, 19, 24, 30)
    assert looks(3, 3) == (3,)
    assert looks(2, 5) == (2, 3, 4, 5)


@pytest.mark.parametrize(("least", "most"), [(1, 5), (6, 5), (0, 0)])
def test_there_are_no_looks_at_too_few_values(least, most):
    with pytest.raises(ValueError, match="no looks"):
        looks(least, most)


@pytest.mark.parametrize("free", [1, 2, 3, 4, 5, 28, 29, 500])
@pytest.mark.parametrize("probability", [0.9, 0.975, 0.9999])
def test_the_quantiles_are_those_of_scipy(probability, free):
    assert quantile(probability, free) == pytest.approx(scipy.stats.t.ppf(probability, free), rel=1e-8)


def test_one_look_at_one_host_is_the_ordinary_interval():
    values = [10.0, 11.0, 12.0, 9.5, 10.5]
    ordinary = scipy.stats.t.interval(0.95, 4, 10.6, scipy.stats.sem(values))

    found = interval({"a": values}, 1)

    assert (found.count, found.mean) == (5, pytest.approx(10.6))
    assert (found.low, found.high) == pytest.approx(ordinary)


def test_more_looks_widen_the_interval():
    values = {"a": [10.0, 11.0, 12.0]}

    assert interval(values, 8).half_width > interval(values, 1).half_width


def test_differences_between_hosts_do_not_widen_the_interval_once_each_host_has_two_values():
    assert interval({"a": [10.0, 10.1], "b": [20.0, 20.1]}, 1).half_width < 1
    assert interval({"a": [10.0, 10.1], "b": [20.0]}, 1).half_width > 5


def test_a_host_with_more_values_counts_no_more_than_another():
    assert interval({"a": [10.0, 10.2] * 4, "b": [20.0, 20.2]}, 1).mean == pytest.approx(15.1)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_there_is_no_interval_of_too_few_or_infinite_values(values):
    assert interval({"a": values, "b": []}, 1) is None


def test_the_precision_is_relative_to_the_mean():
    assert Interval(5, -10.0, -10.5, -9.5).precision == pytest.approx(0.05)
    assert Interval(5, 0.0, -1.0, 1.0).precision == math.inf
    assert Interval(5, 0.0, 0.0, 0.0).precision == 0


@pytest.mark.parametrize("hosts", [1, 3])
def test_looking_again_and_again_misses_seldom(hosts):
    """Any of the intervals of a series misses in at most 5 %; ordinary intervals miss more often."""
    chance, planned = random.Random(3), looks(5, 30)
    missed = ordinary = 0
    for _ in range(400):
        blocks = {str(host): [] for host in range(hosts)}
        bad = bad_ordinary = False
        for count in range(1, 31):
            blocks[str(count % hosts)].append(chance.gauss(count % hosts, 0.2))
            if count in planned and min(map(len, blocks.values())) > 1:
                for number in (len(planned), 1):
                    found = interval(blocks, number)
                    outside = not found.low <= (hosts - 1) / 2 <= found.high
                    bad, bad_ordinary = (bad or outside, bad_ordinary) if number > 1 else (bad, bad_ordinary or outside)
        missed, ordinary = missed + bad, ordinary + bad_ordinary
    assert missed / 400 <= 0.05
    assert ordinary / 400 > 0.08
