"""Reports: what is on the page, in JUnit XML and in Markdown, and that no host can put anything into them."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ansible_env.cli.app import app
from ansible_env.errors import ConfigError
from ansible_env.report.charts import _points, _time_unit
from ansible_env.report.data import ReportData, collect
from ansible_env.report.junit import Check, Suite, junit, junit_of
from ansible_env.report.markdown import markdown
from ansible_env.report.page import html
from ansible_env.report.svg import (
    LEFT,
    RIGHT,
    WIDTH,
    Bands,
    Linear,
    Log,
    clipped,
    scale_for,
    scale_of,
    short_number,
    width_for,
)
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.results.status import Status
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.storage.database.records import Sample
from ansible_env.storage.store import Store
from tests.made_up import add, begin

NASTY = "</title><script>alert(1)</script>&\x1b[31m\u202e"
BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def a_host(name, kind, metrics, begin, *, message="", stderr=""):
    finished = begin + timedelta(seconds=9)
    return HostResult(name, kind, message, 3, metrics, started=begin, finished=finished, stderr=stderr)


def fill(store, count=12, *, name="bench", evil=""):
    for number in range(1, count + 1):
        size, mode = 2 ** (number % 8), ("on", "off")[number % 2]
        begin = BEGIN + timedelta(minutes=number)
        hosts = []
        for index in range(3):
            metrics = {"score": 100.0 * number + index, "p99": 50.0 / number, "note" + evil: "fine" + evil}
            kind, message = Kind.OK, ""
            if number == 5 and index == 1:
                kind, message, metrics = Kind.EXIT, "exit status 3" + evil, {}
            if number == 6 and index == 2:
                kind, message, metrics = Kind.UNREACHABLE, "no route to host", {}
            words = f"one\nlast words{evil}" if kind is Kind.EXIT else ""
            hosts.append(a_host(f"db{index}{evil}", kind, metrics, begin, message=message, stderr=words))
        result = phase_result("run", hosts)
        params = {"size": size, "mode" + evil: mode, "trial_id": number, "fixed": 1}
        info = {"request": TrialRequest(number), "environment": name + evil, "params": params, "started": begin}
        moments = [begin + timedelta(seconds=s) for s in range(5)]
        samples = [Sample(at, f"db{h}{evil}", f"load{evil}", at.second / (h + 1)) for at in moments for h in range(2)]
        finished = begin + timedelta(seconds=20)
        add(
            store,
            name + evil,
            Trial("x", status=result.status, phases={"run": result}),
            **info,
            finished=finished,
            telemetry=samples,
        )


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "s.sqlite") as store:
        yield store


class Page(HTMLParser):
    """Reads a page: its tags must be closed, and nothing in it may come from elsewhere or run."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.ids, self.labels = [], [], [], set(), []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            assert not name.startswith("on")
            assert name not in ("src", "xlink:href")
            assert name != "href" or value.startswith("#")
            if name == "id":
                self.ids.add(value)
            if name == "aria-label":
                self.labels.append(value)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def test_the_page_has_everything(store):
    fill(store)
    page = Page(html(collect(store, "bench")))
    assert page.ids >= {"best", "trials", "parameters", "parallel", "hosts", "telemetry", "failures", "all"}
    for label in (
        "score by trial", "p99 by trial", "score by size", "score by mode", "score by host", "parallel coordinates",
        "load over a run", "failures by kind",
    ):  # fmt: skip
        assert label in page.labels
    assert "fixed" not in page.text  # nobody changed it
    for words in (
        "12 trials",
        "10 succeeded",
        "2 failed",
        "exit status 3",
        "last words",
        "unreachable",
        "1,201 best score",
    ):
        assert words in page.text
    assert page.tags.count("script") == 0


def test_the_page_needs_nothing_from_elsewhere(store):
    fill(store)
    text = html(collect(store, "bench"))
    assert not re.search("https?://", text)
    assert "@import" not in text
    assert "url(" not in text
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "width=device-width" in text


def test_no_host_can_put_anything_into_a_report(store):
    fill(store, evil=NASTY)
    data = collect(store, "bench" + NASTY)
    text = html(data)
    page = Page(text)
    assert page.tags.count("script") == 0
    for form in (text, markdown(data), junit_of(data)):
        assert not set("\x1b\u202e") & set(form)
    assert "<script" not in text
    assert "<script" not in markdown(data).replace("\\<", "")
    ET.fromstring(junit_of(data))


def test_best_is_what_was_asked_for(store):
    fill(store)
    assert collect(store, "bench").goal.metric == "score"
    least = collect(store, "bench", "p99:min")
    assert [trial.number for trial in least.goal.best(least.trials)[:2]] == [12, 11]
    assert "p99, less is better" in html(least)
    with pytest.raises(ConfigError, match=r"no trial has the metric 'p98' .did you mean 'p99'"):
        collect(store, "bench", "p98:min")
    with pytest.raises(ConfigError, match=r"has no experiment 'bensh' .did you mean 'bench'"):
        collect(store, "bensh")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_trials_are_a_page_too(store, count):
    fill(store, count)
    Page(html(collect(store, "bench")))
    markdown(collect(store, "bench"))


def test_trials_without_results_are_a_page_too(store):
    begin(store, "bench", request=TrialRequest(1), environment="bench")
    add(store, "bench", Trial("x", status=Status.FAILED), request=TrialRequest(2), error="Ansible could not be started")
    data = collect(store, "bench")
    assert "1 running" in Page(html(data)).text
    assert "Ansible could not be started" in junit_of(data)
    markdown(data)


def test_many_trials_are_drawn_in_few_elements(store):
    fill(store, 40)
    data = collect(store, "bench")
    many = ReportData("bench", data.trials * 100, data.hosts, goal=data.goal)
    page = html(many)
    assert page.count("<circle") == 0
    assert 'class="dot many"' in page
    assert page.count("<tr>") < 600
    assert len(page) < 2_000_000


# Scales


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1e15, 1e15).filter(lambda v: v == 0 or abs(v) > 1e-12), min_size=1, max_size=20))
@example([1e15, 999999999999999.8])
def test_every_value_is_inside_and_ticks_are_few(values):
    scale = Linear.over(values, 0, 100)
    assert all(-1e-6 <= scale.at(value) <= 100 + 1e-6 for value in values)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 7
    assert len({name for _, name in ticks}) == len(ticks) or max(values) - min(values) < 1e-6 * max(map(abs, values))


def test_a_logarithmic_scale_for_what_lies_far_apart():
    assert type(scale_for([1, 100], 0, 100)) is Log
    assert type(scale_for([0, 100], 0, 100)) is Linear
    assert type(scale_for([10, 100], 0, 100)) is Linear
    assert [name for _, name in Log.over([16, 4096], 0, 100).ticks()] == ["16", "64", "256", "1024", "4096"]
    assert [name for _, name in Log.over([1, 1e6], 0, 100).ticks()][:3] == ["1", "10", "100"]
    places = [Log.over([1, 10_000], 0, 90).at(value) for value in (1, 100, 10_000)]
    assert places[1] == pytest.approx((places[0] + places[2]) / 2)


def test_short_numbers():
    assert [short_number(v, 5000, 15000) for v in (0, 5000, 10000, 15000)] == ["0", "5k", "10k", "15k"]
    assert [short_number(v, 0.25, 1) for v in (0.25, 0.5)] == ["0.25", "0.5"]
    assert short_number(2.5e13, 5e12, 2.5e13) == "25T"
    assert clipped("abcdef", 4) == "abc…"


# JUnit


def test_junit_distinguishes_failures_of_benchmark_and_machine(store):
    fill(store)
    root = ET.fromstring(junit_of(collect(store, "bench")))
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "36",
        "failures": "1",
        "errors": "1",
        "skipped": "0",
    }
    fifth = next(suite for suite in root if suite.get("name") == "bench trial 5")
    case = fifth.find("testcase[@name='db1']")
    assert case.get("time") == "9.000"
    failure = case.find("failure")
    assert (failure.get("type"), failure.get("message")) == ("exit", "exit status 3")
    assert failure.text == "one\nlast words"
    (error,) = root.iter("error")
    assert error.get("message") == "no route to host"


def test_junit_has_a_case_for_each_assertion():
    hosts = [HostResult("h1", Kind.OK), HostResult("h2", Kind.NOT_RUN), HostResult("h3", Kind.CANCELED)]
    checks = [Check("p99 <= 12 ms"), Check("tps >= 100", "tps is 95, 5 % too little \x00")]
    root = ET.fromstring(junit([Suite("bench", 1, BEGIN, 1.5, hosts, {"tps": 95}, checks)]))
    (suite,) = root
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["5", "1", "0", "2"]
    (failure,) = suite.iter("failure")
    assert failure.get("message") == "tps is 95, 5 % too little \u2400"
    assert suite.find("properties/property").attrib == {"name": "tps", "value": "95"}


# Markdown


def test_markdown_for_a_pull_request(store):
    fill(store)
    text = markdown(collect(store, "bench"))
    assert text.startswith("### bench\n\n12 trials: 10 SUCCEEDED, 2 FAILED.\n")
    assert re.search(r"^\| score \| [\d,.]+ \| 101 \| 1,201 \| 1,201 \|$", text, re.M)
    assert "- trial 5, db1: `exit`: exit status 3" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.count("|") == rows[0].count("|") for line in rows[:4])


# The command


def call(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


@pytest.mark.parametrize(
    ("file", "begin"),
    [("r.html", "<!doctype html>"), ("r.xml", "<?xml"), ("r.md", "### bench")],
)
def test_the_form_is_that_of_the_name(store, tmp_path, file, begin):
    fill(store, 2)
    path = tmp_path / file
    result = call("bench", "--store", store.name, "-o", path)
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    assert path.read_text().startswith(begin)
    assert [p.name for p in tmp_path.glob("tmp*")] == []


def test_a_report_on_stdout(store):
    fill(store, 2)
    result = call("bench", "--store", store.name, "--format", "markdown")
    assert result.stdout.startswith("### bench")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bench", "-o", "report.pdf"], "use a name with .html, .xml or .md"),
        (["bench", "-o", "nowhere/r.html"], "nowhere/r.html: -o: cannot be written: No such file"),
        (["other"], "has no experiment 'other'"),
        (["bench", "--best", "score"], "'score' is not METRIC:max or METRIC:min"),
    ],
)
def test_refusals(store, arguments, said, monkeypatch, tmp_path):
    fill(store, 1)
    monkeypatch.chdir(tmp_path)
    result = call(*arguments, "--store", store.name)
    assert result.exit_code == 2
    assert said in result.stderr


def test_trials_with_the_same_number_have_ids_and_their_order(store):
    for _ in range(3):
        fill(store, 2)
    data = collect(store, "bench")
    page = Page(html(data)).text
    assert "trials in their order" in page
    ids = [str(trial.id) for trial in data.trials]
    assert [data.name_of(trial) for trial in data.trials] == ids
    assert sorted(data.places.values()) == [1, 2, 3, 4, 5, 6]
    assert f"trial {ids[-1]}: score" in page
    assert "| id | score |" in markdown(data)
    fill(store, 3, name="single")
    single = collect(store, "single")
    assert [single.name_of(trial) for trial in single.trials] == ["1", "2", "3"]
    assert "trials in their order" not in Page(html(single)).text


@pytest.mark.parametrize("values", [[1, 2], [1], [3, 4, 5], [0, 7, 40], [1000, 1001]])
def test_an_axis_of_integers_has_integers(values):
    labels = [value for value, _ in Linear.over(values, 0, 400).ticks()]
    assert labels
    assert all(label == int(label) for label in labels)


def test_every_host_has_its_label():
    names = [f"server-{number:02}.example.org" for number in range(40)]
    width = width_for(names)
    assert [name for _, name in Bands(names, LEFT, width - RIGHT).ticks()] == names
    assert width_for(["a", "b"]) == WIDTH


def test_time_is_in_the_unit_in_which_people_read_it():
    assert [_time_unit(seconds)[1] for seconds in (5, 299, 300, 7200, 4 * 3600)] == [
        "seconds", "seconds", "minutes", "minutes", "hours",
    ]  # fmt: skip


def test_bytes_are_in_the_unit_in_which_people_read_them():
    labels = [label for _, label in scale_of("memory_used_bytes", [2**30, 3 * 2**30], 0, 400).ticks()]
    assert labels == ["0 GiB", "1 GiB", "2 GiB", "3 GiB"]
    assert [label for _, label in scale_of("net_bytes_per_s", [0, 100], 0, 400).ticks()][-1] == "100 B"
    assert not any("B" in label for _, label in scale_of("score", [0, 2**30], 0, 400).ticks())


def test_the_trend_follows_the_numbers_of_trials_that_began_in_another_order(store):
    for order, number in enumerate((3, 1, 4, 2)):
        begun = BEGIN + timedelta(minutes=order)
        phases = {"run": phase_result("run", [a_host("h1", Kind.OK, {"score": number}, begun)])}
        store.add_trial(Trial("mixed", TrialRequest(number), phases=phases, started=begun).finish())
    data = collect(store, "mixed")
    assert [point.x for point in _points(data, "score")] == [1, 2, 3, 4]
