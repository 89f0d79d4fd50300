"""stdout → metrics: mlos_bench's rules, ours beside them, and limits on time and size."""

from __future__ import annotations

import itertools
import json
import math
import re
import time
import tracemalloc
import warnings
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_env.errors import AnsibleEnvError, MetricsPatternError, MetricsTimeoutError
from ansible_env.results.metrics import parse as metrics
from ansible_env.results.metrics import search
from ansible_env.results.metrics.json_output import JsonMetrics
from ansible_env.results.metrics.parse import MetricsParseError, parse, parse_value
from ansible_env.results.metrics.pattern import compile_pattern
from ansible_env.results.metrics.search import clean

PAIRS = r"^(\w+)=(\S+)$"


def try_parse_val(val: str) -> int | float | str:
    """Copy of mlos_bench 0.6.2's function of this name (util.py:307-334, MIT licence)."""
    try:
        val_float = float(val)
        try:
            val_int = int(val)
            return val_int if val_int == val_float else val_float
        except (ValueError, OverflowError):
            return val_float
    except ValueError:
        return str(val)


def mlos(pattern: str, text: str) -> dict[str, int | float | str]:
    """What mlos_bench makes of the text (script_env.py:120-139)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {key: try_parse_val(val) for key, val in re.compile(pattern, re.MULTILINE).findall(text)}


def same(left: object, right: object) -> bool:
    """Equal, of equal types, nan equal to nan."""
    return repr(left) == repr(right)


# ---- differential: as mlos_bench ----

USUAL_PATTERNS = [
    PAIRS,
    r"(\w+)=(.*)",
    r"(\w+)\s*[:=]\s*([-+.eE\d]+)",
    r'^"(\w+)","([0-9.]+)"',  # redis-benchmark --csv
    r"^\s*(events per second|avg|95th percentile):\s+([0-9.]+)",  # sysbench
    r"(a)|(b)",  # a group that takes no part is ''
    r"^(\w*)(\d*)",  # empty matches
    r"\b(\w+)\b(\W*)",
    r"(\S+)\s(\S*)",
    r"([\w.]+)=([^\s,]+)",
    r"(?i)(SCORE)\B(.?)",
    r"(?a)(\w+)(\s)",
    r"(?a:(\w+))(=)",
    r"(\w{1,3})(\d{,2})",
    r"^{(\w+)}(.)",  # a brace that is no repeat
    r"(a){e<=1}(b)",  # fuzzy matching in regex; plain text in re
    r"([[a]+)([]b]*)",
    r"(?x)(\w+) = (\d+)  # [a comment",
    "(?x: (\\w+) # [ {\n )=(\\d)",
    r"(\w+)(?#{ [)=(\d)",
    r"(\N{DIGIT ONE})(\d?)",
    r"(\{)([\]{#]?)",
]
# What usual patterns match, what they nearly match, and where re and regex disagree: ² is a word character to re and
# a combining accent is not; \x1c is white space to re.
PIECES = ["score", "a", "b", "=", ":", " ", "\n", "\t", "{", "}", "[", "]", ",", '"', "_", "#", "1", "-2.5e3", "1_0"]
PIECES += ["nan", "{e<=1}", "²", "½", "e\u0301", "\x1c", "\x1f", "\x85", "\u2028", "µs", "٣", "\x00", "\ud800"]
ASSIGNED = st.characters(exclude_categories=["Cn"], exclude_characters="\r\x1b")  # Unicode tables differ in age
TEXTS = st.one_of(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.text(ASSIGNED, max_size=60))


@pytest.mark.parametrize("pattern", USUAL_PATTERNS)
@given(text=TEXTS)
def test_same_metrics_as_mlos_bench(pattern: str, text: str) -> None:
    assert same(parse(text, compile_pattern(pattern)), mlos(pattern, text))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^(\w+)=(\d+)", "m²=1\ne\u0301=2\nx½=3"),
        (r"(\w+)(\s)", "a\x1c b\x1f"),
        (r"\b(\w)(.)\B", "²ab e\u0301ab"),
        (r"(a){e<=1}(b)", "a{e<=1}b xb ab"),
        ("(?x)(\\w+) # [\n=(\\w+) # ]", "a²=²b"),
        (r"\(?alpha=(\w)(\d)", "alpha=²1"),
        (r"(?a)(\w+)(.)", "a²"),
        (r"([\w-]+)=([^\s]+)", "²-½=a\x1cb"),
    ],
)
def test_where_re_and_regex_disagree_re_is_right(pattern: str, text: str) -> None:
    expected = mlos(pattern, text)
    assert expected
    assert same(parse(text, compile_pattern(pattern)), expected)


@given(st.one_of(st.text(), st.integers().map(str), st.floats().map(str), st.from_regex(r"[-+_.eE0-9 ]+")))
@example("9007199254740993")
@example("1" * 400)
@example("1" * 5000)
@example("\ud800")
def test_values_are_typed_as_mlos_bench_types_them(text: str) -> None:
    assert same(parse_value(text), try_parse_val(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10), ("-3", -3), ("1_000", 1000), ("1.0", 1.0), ("1e3", 1000.0), ("inf", math.inf), (" 7 ", 7),
        ("true", "true"), ("0x10", "0x10"), ("", ""), ("None", "None"),
    ],
)  # fmt: skip
def test_value(text: str, value: object) -> None:
    assert same(parse_value(text), value)


def test_the_last_of_two_equal_names_wins() -> None:
    assert parse("score=1\nother=5\nscore=2\n", compile_pattern(PAIRS)) == {"score": 2, "other": 5}


def test_no_pattern_and_no_match_are_no_metrics() -> None:
    assert parse("score=1", None) == {}
    assert parse("nothing here", compile_pattern(PAIRS)) == {}
    assert parse("", compile_pattern(PAIRS)) == {}


# ---- patterns ----


def test_named_groups_are_metrics() -> None:
    pattern = compile_pattern(r"(?P<throughput>[\d.]+) MB/s(?:, (?P<latency>[\d.]+) ms)?")
    assert pattern.names == ("throughput", "latency")
    assert parse("1 MB/s, 9 ms\n2.5 MB/s\n", pattern) == {"throughput": 2.5, "latency": 9}


def test_one_named_group_is_a_metric() -> None:
    assert parse("took 3s", compile_pattern(r"took (?P<seconds>\d+)")) == {"seconds": 3}


@pytest.mark.parametrize(
    ("pattern", "text"), [(r"(?P<name>\w+)=(?P<value>\d+)", "x=1"), (r"(?P<value>\d+) (?P<name>\w+)", "1 x")]
)
def test_groups_called_name_and_value_are_a_pair(pattern: str, text: str) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.names == ()
    assert parse(text, compiled) == {"x": 1}


def test_two_groups_with_one_named_are_a_pair_as_in_mlos_bench() -> None:
    assert parse("x=1", compile_pattern(r"(?P<key>\w+)=(\d+)")) == {"x": 1}


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("", "no group"),
        ("score=.*", "no group"),
        (r"score=(\d+)", "one group"),
        ("(a)(b)(c)", "3 groups"),
        ("(?P<a>a)(b)(c)", "3 groups, 1 of them named"),
    ],
)
def test_other_numbers_of_groups_are_refused(pattern: str, count: str) -> None:
    with pytest.raises(MetricsPatternError, match="must have two groups") as caught:
        compile_pattern(pattern)
    (problem,) = caught.value.problems
    assert problem.message.endswith(f"it has {count}")
    assert problem.hint and "(?P<throughput>...)" in problem.hint


@pytest.mark.parametrize(
    "pattern", ["(a", "*(a)(b)", r"(\p{L})(b)", "(?<x>a)(b)", "(a)(b){99999999999999}", "(?|(a)|(b))(c)"]
)
def test_what_re_refuses_is_refused_in_its_words(pattern: str) -> None:
    with pytest.raises((re.error, OverflowError)) as reason:
        re.compile(pattern)
    with pytest.raises(MetricsPatternError) as caught:
        compile_pattern(pattern)
    assert str(reason.value) in str(caught.value)


@pytest.mark.parametrize("pattern", ["([[:alpha:]]+)=(.*)", r"(\w+)=([^[:space:]x]+)", "([a-z[:^digit:]])(b)"])
def test_posix_classes_are_refused_with_advice(pattern: str) -> None:
    with pytest.raises(MetricsPatternError, match=r"uses \[:\^?\w+:\], which Python's re does not know"):
        compile_pattern(pattern)


@given(st.text(alphabet="()[]{}^$|?*+.\\:#-=,<>!P aswbBxe019\n", max_size=25))
def test_compile_gives_a_pattern_or_a_defined_error(pattern: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except MetricsPatternError:
        return
    parse("a=1\nb{2}", compiled, timeout=1)


def test_patterns_are_values() -> None:
    assert compile_pattern(PAIRS) == compile_pattern(PAIRS)
    assert hash(compile_pattern(PAIRS)) == hash(compile_pattern(PAIRS))


# ---- limits ----


@pytest.mark.parametrize("pattern", [r"^(a|a)*(b|c)$", r"^(?P<n>(?:a|aa)+)$"])
def test_a_catastrophic_pattern_ends_at_its_limit(pattern: str) -> None:
    started = time.monotonic()
    with pytest.raises(MetricsTimeoutError, match=r"at its limit of 0.05 s \(41 characters") as caught:
        parse("a" * 40 + "!", compile_pattern(pattern), timeout=0.05)
    assert time.monotonic() - started < 20
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, AnsibleEnvError)


def test_the_limit_covers_all_matches_together() -> None:
    with pytest.raises(MetricsTimeoutError):
        parse("a=1 " * 1_000_000, compile_pattern(r"(\w)=(\d)"), timeout=0.01)


LINES = st.lists(st.text("ab=1 \n\r\x1bé", max_size=12), max_size=30)


@given(LINES, st.sampled_from([r"^(\w+)=(\d)", r"(\w)=(\d+)$", r"(a)\n(b)", r"(?P<a>a=\d*)|(?P<b>^b)"]), st.booleans())
def test_output_in_windows_gives_what_the_whole_gives(lines: list[str], pattern: str, feed: bool) -> None:
    pieces = [line + "\n" * feed for line in lines]
    compiled = compile_pattern(pattern)
    whole = list(search.Search(compiled, 5).findings(["".join(pieces)]))
    with mock.patch.object(search, "WINDOW", 40), mock.patch.object(search, "OVERLAP", 30):
        found = search.Search(compiled, 5)
        assert list(found.findings(pieces)) == whole or max(map(len, "".join(pieces).split("\n"))) > 30
        assert clean("".join(pieces)).endswith(found.tail) or not feed


def test_the_json_line_of_a_large_output_is_found() -> None:
    lines = ("x" * 99 + "\n" for _ in range(search.WINDOW // 50))
    pattern = compile_pattern(PAIRS)
    assert parse(itertools.chain(["a=1\n"], lines, ['{"b":', " 2}\n"]), pattern, document=JsonMetrics()) == {
        "a": 1,
        "b": 2,
    }


def test_memory_for_a_large_output_is_bounded() -> None:
    line = "x" * 99 + "\n"
    pieces = (line * 10_000 for _ in range(80))  # 80 MB
    tracemalloc.start()
    assert parse(itertools.chain(pieces, ["a=1\n"]), compile_pattern(PAIRS)) == {"a": 1}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * search.WINDOW


def test_too_many_metrics_are_refused() -> None:
    pattern = compile_pattern(PAIRS)
    text = "".join(f"m{i}=1\n" for i in range(metrics.MAX_METRICS))
    assert len(parse(text, pattern)) == metrics.MAX_METRICS
    with pytest.raises(MetricsParseError, match="more than 10000 metrics"):
        parse(text + "one_more=1\n", pattern)
    with pytest.raises(MetricsParseError, match="more than 10000 metrics"):
        parse(text + '\n{"one_more": 1}', pattern, document=JsonMetrics())


@pytest.mark.parametrize("char", ["x", "é"])  # é takes six characters of JSON
def test_too_long_metrics_are_refused(char: str) -> None:
    with pytest.raises(MetricsParseError, match="500000 characters"):
        parse("a=" + char * 499_995, compile_pattern(PAIRS))


def test_a_deep_object_does_not_multiply_its_names() -> None:
    leaves = ",".join(f'"m{i}":1' for i in range(5000))
    tracemalloc.start()
    with pytest.raises(MetricsParseError, match="500000 characters"):
        parse(f'{{"{"k" * 100_000}":{{{leaves}}}}}', None, document=JsonMetrics())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000  # all the names together are 500 MB


# ---- the JSON line ----


def test_json_line() -> None:
    line = '{"a": 1, "b": {"c": 2.5, "d": {"e": null}}, "f": true, "g": "x", "h": {}, "i": 3, "a": 9}'
    expected = {"a": 9, "b.c": 2.5, "b.d.e": None, "f": True, "g": "x", "i": 3}
    assert same(parse(f"a log\n{line}\r\n \n", None, document=JsonMetrics()), expected)


def test_escaped_characters_of_json() -> None:
    """`json.dumps` writes an emoji as a surrogate pair. Half of one is no character: nothing can encode it."""
    line = json.dumps({"mood": "\N{GRINNING FACE}", "\N{GRINNING FACE}": {"cut": "a\ud83d", "\ude00": 1}})
    assert parse(line, None, document=JsonMetrics()) == {
        "mood": "\N{GRINNING FACE}",
        "\N{GRINNING FACE}.cut": "a\ufffd",
        "\N{GRINNING FACE}.\ufffd": 1,
    }


def test_json_line_wins_over_pattern() -> None:
    text = 'score=1\nother=2\n{"score": 3}\n'
    assert parse(text, compile_pattern(PAIRS), document=JsonMetrics()) == {"score": 3, "other": 2}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "the script printed nothing"),
        ("\n \n", "the script printed nothing"),
        ("done", "is not JSON .*: 'done'"),
        ('{"a": 1', "is not JSON"),
        ("[1]", "is not a JSON object"),
        ("5", "is not a JSON object"),
        ('{"a": ' + "9" * 5000 + "}", "is not JSON"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "is not JSON"),
    ],
)
def test_no_usable_json_line_is_an_error_of_the_output(line: str, why: str) -> None:
    with pytest.raises(MetricsParseError, match=why) as caught:
        parse(line, None, document=JsonMetrics())
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 400


INDENTED = {
    "fio version": "fio-3.33",
    "jobs": [
        {
            "jobname": "measure",
            "read": {"iops": 101.5, "clat_ns": {"percentile": {"50.000000": 10, "99.000000": 20}}},
            "write": {"iops": 7, "note": None},
        },
        {"read": {"iops": 3}},
    ],
    "disk_util": [{"name": "sda", "util": 12.5}],
    "seconds": 2.0,
    "jobs.0": {"odd": 1},
}


@pytest.mark.parametrize("after", ["", "\n\n", "\nscore=1\nfinished\n", "\n} done\n"])
@pytest.mark.parametrize("indent", [None, 1, 4, "\t"])
def test_the_output_of_a_tool(indent: int | str | None, after: str) -> None:
    """Pretty-printed, between other lines; a path selects, and arrays do not spoil the rest."""
    text = 'a log\n{"old": 1}\n{not json}\n' + json.dumps(INDENTED, indent=indent) + after
    paths = {
        "read_iops": "jobs.0.read.iops",
        "last_iops": "jobs.-1.read.iops",
        "p99": "jobs.0.read.clat_ns.percentile.99.000000",
        "util": "disk_util.0.util",
        "odd": "jobs.0.odd",
        "none": "jobs.0.trim.iops",
        "outside": "jobs.7.read.iops",
        "beyond": "seconds.x",
        "null": "jobs.0.write.note",
    }
    selected = {"read_iops": 101.5, "last_iops": 3, "p99": 20, "util": 12.5, "odd": 1, "null": None}
    assert parse(text, None, document=JsonMetrics.of(False, paths)) == selected
    scalars = {"fio version": "fio-3.33", "seconds": 2.0, "jobs.0.odd": 1}
    assert parse(text, None, document=JsonMetrics()) == scalars
    assert parse(text, None, document=JsonMetrics.of(True, {"n": "jobs.1.read.iops"})) == {**scalars, "n": 3}


@pytest.mark.parametrize(("path", "what"), [("jobs", "an array"), ("jobs.0", "an object")])
def test_a_metric_is_one_value(path: str, what: str) -> None:
    with pytest.raises(MetricsParseError, match=f"metrics: m is {what} at '{path}'; a metric is one value"):
        parse(json.dumps({**INDENTED, "jobs.0": {}}, indent=2), None, document=JsonMetrics.of(False, {"m": path}))


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
OBJECTS = st.recursive(
    st.dictionaries(st.text(max_size=4), SCALARS, max_size=4),
    lambda inner: st.dictionaries(st.text(max_size=4), SCALARS | inner, max_size=3),
)


def flatten(data: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in data.items():
        flat.update(flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


@given(OBJECTS)
def test_any_object_is_flattened(data: dict[str, object]) -> None:
    assert same(parse("log\n" + json.dumps(data), None, document=JsonMetrics()), flatten(data))


# ---- clean ----

CLEANED = [
    ("a\r\nb\r\n", "a\nb\n"),
    ("a\r\r\n", "a\n"),
    ("\x1b[1;31mscore\x1b[0m=1", "score=1"),
    ("\x1b[01;31m\x1b[Kscore\x1b[m\x1b[K=1", "score=1"),  # grep --color=always
    ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
    ("\x1b]0;never ended\nscore=1", "\nscore=1"),
    ("\x1b(B\x1b7a\x1b8\x1bcb\x1bPq#0\x1b\\c", "abc"),
    ("10%\r50%\r100%\rdone\n", "done\n"),
    ("100%\rok", "ok"),  # a terminal would show "ok0%"
    ("10%\r100%\r\n", "100%\n"),
    ("score=1\r", "score=1"),
    ("10%\r\x1b[K\nscore=1", "\nscore=1"),
    ("10%\r\x1b[0m\x1b[Kscore=1", "score=1"),
    ("10%\x1b[2K\rscore=1", "score=1"),
    ("score=1\x1b[K\r\n", "score=1\n"),
    ("\x1b", ""),
    ("a\x1b[", "a"),
    ("a\x1b[3\nb", "a\nb"),
    ("\ud800\r\ud801\x1b", "\ud801"),
]


@pytest.mark.parametrize(("text", "left"), CLEANED)
def test_clean(text: str, left: str) -> None:
    assert clean(text) == left


@given(st.text(st.characters(exclude_characters="\r\x1b")))
def test_text_without_cr_and_esc_is_left_alone(text: str) -> None:
    assert clean(text) is text


TERMINAL = ["\r", "\n", "\r\n", "\x1b", "\x1b[", "\x1b]", "\x1bP", "\x1b\\", "\x07", "0", "K", "2K", ";", "m", "a", " "]


@given(st.one_of(st.lists(st.sampled_from(TERMINAL), max_size=30).map("".join), st.text()))
def test_clean_is_final_and_keeps_the_lines(text: str) -> None:
    once = clean(text)
    assert clean(once) is once
    assert "\r" not in once and "\x1b" not in once
    assert once.count("\n") == text.count("\n")


@given(st.lists(st.tuples(st.sampled_from(["score", "p99"]), st.integers())))
def test_a_terminal_changes_no_metric(lines: list[tuple[str, int]]) -> None:
    pattern = compile_pattern(PAIRS)
    plain = "".join(f"{name}={value}\n" for name, value in lines)
    tty = "".join(f"10%\r50%\r\x1b[K\x1b[1m{name}\x1b[0m={value}\r\n" for name, value in lines)
    assert parse(tty, pattern) == parse(plain, pattern)


@pytest.mark.parametrize("unit", ["\x1b]", "\x1b[0;1", "\r", "\r\x1b[0m", "\x1bP", "x", "\x1b[K", "\r\x1b[0;0"])
def test_clean_takes_time_in_proportion(unit: str) -> None:
    started = time.monotonic()
    clean(unit * (2_000_000 // len(unit)))
    assert time.monotonic() - started < 20  # about 0.3 s; a quadratic one would take hours
