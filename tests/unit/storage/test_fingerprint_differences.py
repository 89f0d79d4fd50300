"""In what the hosts of two sets of trials differ."""

import pytest

from ansible_env.storage.fingerprint_differences import differences


def facts(**hosts):
    return [{host: {"governor": value} for host, value in hosts.items()}]


@pytest.mark.parametrize(
    ("a", "b", "differ"),
    [
        (facts(h1="performance"), facts(h1="performance"), False),
        (facts(h1="performance"), facts(h1="powersave"), True),
        (facts(h1="a", h2="b"), facts(h1="b", h2="a"), True),  # each host is compared with itself
        (facts(h1="a", h2="b"), facts(h3="b", h4="a"), False),  # on other hosts only the values can be
        (facts(h1="a", h2="a"), facts(h3="a"), False),
        (facts(h1="a", h2="b"), facts(h3="a"), True),
        (facts(h1="a") + facts(h1="b"), facts(h1="a"), True),  # it was changed between two trials
        (facts(h1="a"), [], False),  # nothing is known of them
        (facts(h1="a"), [{"h1": {"kernel": "6.1"}}], False),
        ([{"h1": {"memory_kib": 1000}}], [{"h1": {"memory_kib": 1005}}], False),
        ([{"h1": {"memory_kib": 1000}}], [{"h1": {"memory_kib": 2000}}], True),
        ([{"h1": {"cpus": 1000}}], [{"h1": {"cpus": 1005}}], True),
        ([{"h1": {"load": 1.0}}], [{"h1": {"load": 9.0}}], False),
    ],
)
def test_what_differs(a, b, differ):
    assert bool(differences(a, b)) is bool(differences(b, a)) is differ


def test_whose_the_values_are():
    (found,) = differences(facts(h1="a", h2="a", h3="b"), facts(h1="a", h2="b", h3="b"))
    assert (found.fact, found.a, found.b) == (
        "governor",
        {"a": ["h1", "h2"], "b": ["h3"]},
        {"a": ["h1"], "b": ["h2", "h3"]},
    )
