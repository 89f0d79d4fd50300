"""Metrics in output that is not complete yet."""

from ansible_env.results.metrics.incremental import IncrementalReader
from ansible_env.results.metrics.json_output import JsonMetrics

PAIR = r"^(\w+)=(\S+)$"


def test_metrics_are_read_as_they_appear():
    reader = IncrementalReader(PAIR, document=None)
    reader.add("h", ["score=1", "noise", "score=2"])
    (text,) = reader.take().values()
    assert reader.read(text) == {"score": 2}
    assert reader.take() == {}
    reader.add("h", ["b=2"])
    reader.give_back("h", "a=1\n")
    assert reader.read(reader.take()["h"]) == {"a": 1, "b": 2}
    as_json = IncrementalReader(None, document=JsonMetrics())
    assert as_json.read('{"a": {"b": 1}}\n') == {"a.b": 1}
    assert as_json.read("{not json\n") == {}


def test_what_is_a_metric_and_nothing_else():
    reader = IncrementalReader(PAIR, document=JsonMetrics())
    assert [reader.is_metric(line) for line in ("a=1", "a=1\r", 'a="é"', "a = 1", "", '{"a": 1}', "{a")] == [
        *[True] * 3,
        *[False] * 2,
        True,
        False,
    ]
    slow = IncrementalReader(r"^(?P<n>(?:a|aa)+)$", document=None)
    assert [slow.is_metric(line) for line in ("aa", "a" * 40 + "!", "aa")] == [True, False, False]


def test_a_pattern_that_takes_too_long_is_given_up():
    reader = IncrementalReader(r"^(?P<n>(?:a|aa)+)$", document=None)
    assert reader.read("aa\n") == {"n": "aa"}
    assert reader.read("a" * 40 + "!\n") == {}
    assert reader.read("aa\n") == {}  # not tried again
