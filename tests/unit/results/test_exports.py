"""What a step finds out for others: in stdout, and on its way to later steps and phases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.environment.role import RoleEnvironment
from ansible_env.errors import MetricsPatternError, MetricsTimeoutError
from ansible_env.results import exports
from ansible_env.results.exports import compile_export, find_exports, join_exports
from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.metrics import search
from ansible_env.results.metrics.parse import MetricsParseError
from ansible_env.results.outcomes import Kind
from ansible_env.testing import FakeEngine

CONFIG: dict[str, Any] = {"name": "b", "run": ["drive"]}
STEPS = [
    {"script": "start", "exports": {"port": r"^port=(\d+)$"}},
    {"script": "look", "exports": {"addr": "{{ ansible_host }}"}, "hosts": "b"},
    "use",
]


def env(answer: Any = None, **fields: Any) -> RemoteEnv:
    return RemoteEnv(config=CONFIG | fields, engine=FakeEngine("abc", answer))


def tasks(text: str) -> list[dict[str, Any]]:
    return [task for play in yaml.safe_load(text) for task in play["tasks"]]


def test_what_setup_finds_out_is_seen_by_run():
    setup = [{"hosts": "a", "script": "start", "exports": {"port": r"^port=(\d+)$", "addr": "{{ ansible_host }}"}}]

    def answer(phase: str, host: str, task: Any) -> dict[str, Any]:
        return {"exports": {"port": "007", "addr": "::1"}} if phase == "setup" else {}

    with env(answer, setup=setup) as bench:
        assert bench.setup()
        (task,) = tasks(bench._target.engine.jobs[0].playbook)  # type: ignore[attr-defined]
        assert task[PHASE_TASK]["export_patterns"] == {"port": r"^port=(\d+)$"}
        assert task[PHASE_TASK]["export_values"] == {"addr": "{{ ansible_host }}"}
        assert tasks(bench.render("run"))[0][PHASE_TASK]["env"] == {"port": "007", "addr": "::1"}
        bench.assign()
        assert "env" not in tasks(bench.render("run"))[0][PHASE_TASK]


def test_values_of_several_hosts_are_words_in_a_row():
    with env(lambda _, host, task: {"exports": {"addr": host, "same": "1"}}, setup=["start"]) as bench:
        bench.setup()
        assert bench.results["setup"].exports == {"addr": "a b c", "same": "1"}


def test_patterns_find_the_last_value_as_it_was_printed():
    assert exported({"a": r"^a=(.*)$", "b": r"b=(\d+)"}, "a=1\n", "a=0", "07\n") == {"a": "007"}
    for pattern in ("no group", "(a)(b)", "("):
        with pytest.raises(MetricsPatternError):
            compile_export(pattern)


def exported(patterns: dict[str, str], *pieces: str) -> dict[str, str]:
    return find_exports(patterns, lambda: iter(pieces))


def test_patterns_see_what_a_terminal_shows_by_the_rules_of_metrics():
    assert exported({"a": "^a=(.*)$"}, "\x1b[1ma=1\x1b[0m\r\n") == {"a": "1"}
    assert exported({"a": "^a(=x)?"}, "a=x\na\n") == {"a": ""}, "a group that took no part"
    with pytest.raises(MetricsPatternError, match="Python's re does not know"):
        compile_export("([[:alpha:]])")


def test_an_output_of_any_size_is_searched_window_by_window(monkeypatch):
    longest = []
    original = search.clean
    monkeypatch.setattr(search, "clean", lambda text: (longest.append(len(text)), original(text))[1])
    line = "x" * 1023 + "\n"
    pieces = ["port=1\n", *[line * 1024] * 20, "port=2", "2\n", line]
    assert exported({"port": r"^port=(\d+)$"}, *pieces) == {"port": "22"}
    assert len(longest) > 1
    assert max(longest) <= search.WINDOW + 2**20 + 1024


def test_a_pattern_that_takes_too_long_and_a_value_that_is_too_long(monkeypatch):
    monkeypatch.setattr(exports, "DEFAULT_TIMEOUT", 0.05)
    with pytest.raises(MetricsTimeoutError, match=r"exports .* was still matching"):
        exported({"a": "^(?:(?:a|aa)+)+(b)$"}, "a" * 5000 + "\n")
    with pytest.raises(MetricsParseError, match="the value of 'a' has more than 100000 bytes"):
        exported({"a": "^(.*)$"}, "x" * 100_001)


def test_values_of_hosts_in_a_row():
    assert join_exports([{"a": "1", "b": "x"}, {"a": "2"}, {"a": "1"}]) == {"a": "1 2", "b": "x"}


def test_later_steps_know_where_to_look():
    with env(run=STEPS) as bench:
        first, second, third = tasks(bench.render("run"))
    assert "exports_from" not in first[PHASE_TASK]
    found = [
        {"register": "ansible_env_run_exports_1", "hosts": "all"},
        {"register": "ansible_env_run_exports_2", "hosts": "b"},
    ]
    assert second[PHASE_TASK]["exports_from"] == found[:1]
    assert third[PHASE_TASK]["exports_from"] == found
    assert [task.get("register") for task in (first, second, third)] == [*(each["register"] for each in found), None]


def test_who_starts_together_knows_too_and_exports_when_it_is_over():
    steps = [STEPS[0], {"script": "drive", "start": "together", "exports": {"n": "n=(.)"}}, "use"]
    with env(run=steps) as bench:
        _, stage, _, follow, use = tasks(bench.render("run"))
    assert stage[PHASE_TASK]["exports_from"][0]["register"] == "ansible_env_run_exports_1"
    assert stage["register"] == "ansible_env_script_2"
    assert use[PHASE_TASK]["exports_from"][1]["register"] == follow["register"] == "ansible_env_run_exports_2"


def test_a_retry_gets_the_exports_of_the_first_attempt():
    def answer(phase: str, host: str, task: Any) -> dict[str, Any]:
        if task["script"] == "start\n":
            return {"exports": {"port": host}}
        return {"kind": Kind.EXIT, "rc": 1} if host == "c" and len(bench._target.engine.jobs) == 1 else {}  # type: ignore[attr-defined]

    with env(answer, run=[STEPS[0], "use"], retries=1, retry_on=["exit"]) as bench:
        bench.setup()
        bench.run()
        first, second = (tasks(job.playbook) for job in bench._target.engine.jobs)  # type: ignore[attr-defined]
    assert "exports_known" not in first[1][PHASE_TASK]
    assert second[1][PHASE_TASK]["exports_known"] == {host: {"port": host} for host in "abc"}
    assert "exports_known" not in second[0][PHASE_TASK]


def test_in_a_play_of_somebodys_later_phases_look_for_them(tmp_path):
    (tmp_path / "e.yml").write_text("name: x\nsetup: [{script: start, exports: {port: 'p=(.)'}}]\nrun: use\n")
    found = RoleEnvironment.load(tmp_path / "e.yml", {}).roles(tmp_path, "t")
    files = (Path(found[phase]["role"], "tasks/main.yml").read_text() for phase in ("setup", "run"))
    (setup,), (run,) = map(yaml.safe_load, files)
    assert setup["block"][0]["register"] == found["setup"]["registers"][0] == "ansible_env_setup_exports_1"
    assert run["block"][0][PHASE_TASK]["exports_from"] == [{"register": "ansible_env_setup_exports_1", "hosts": "all"}]


def test_facts_are_gathered_once_on_each_host():
    steps = [{"hosts": "a", "script": "x"}, {"hosts": "b", "script": "x"}, {"hosts": "a", "script": "x"}, "x", STEPS[1]]
    with env(run=steps, gather_facts=True) as bench:
        assert [play["gather_facts"] for play in yaml.safe_load(bench.render("run"))] == [
            True,
            True,
            False,
            True,
            False,
        ]
