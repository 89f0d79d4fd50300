"""The report of a phase that failed."""

import pytest

from ansible_env.cli.failures import headline
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (HostResult("h", Kind.EXIT, rc=3, message="exit status 3"), "exit status 3"),
        (HostResult("h", Kind.UNREACHABLE, message="no route"), "unreachable: no route"),
        (HostResult("h", Kind.CONTROLLER), "controller"),
    ],
)
def test_a_headline_says_the_kind_once(host, words):
    assert headline(host) == words
