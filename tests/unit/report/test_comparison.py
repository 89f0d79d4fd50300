"""Whether two sets of values differ, or whether that is chance."""

from random import Random

import pytest

from ansible_env.report.comparison import compare


def test_noise_is_found_to_be_noise_most_of_the_time():
    """Of sets that differ by chance alone, alpha is how many may be taken for different, however many metrics."""
    pytest.importorskip("scipy")
    random = Random(7)
    wrong = 0
    for _ in range(60):
        a = {f"m{n}": [random.gauss(10, 1) for _ in range(8)] for n in range(6)}
        b = {f"m{n}": [random.gauss(10, 1) for _ in range(8)] for n in range(6)}
        wrong += any(found.verdict != "noise" for found in compare(a, b))
    assert wrong <= 8


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ([1.0] * 8, [1.0] * 8, "noise"),
        ([0.0] * 8, [1.0] * 8, "higher"),
        ([5.0] * 8, [4.0] * 8, "lower"),
        ([1e300] * 8, [2e300] * 8, "higher"),
    ],
)
def test_values_that_are_all_the_same(a, b, verdict, paired):
    pytest.importorskip("scipy")
    (found,) = compare({"m": a}, {"m": b}, paired=paired)
    assert found.verdict == verdict
