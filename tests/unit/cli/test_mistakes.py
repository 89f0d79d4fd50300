"""Mistakes of a first day: each is refused before a host is touched, in one line: what, where and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ansible_env import HostResult, Kind
from ansible_env.cli.app import app
from ansible_env.results.host_result import explained

GOOD = "name: bench\nrun: [echo score=1]\nresults_stdout_pattern: '^(\\w+)=(\\S+)$'\n"
TUNABLE = f"{GOOD}tunables: {{g: {{cost: 1, params: {{n: {{type: int, range: [1, 5], default: 1}}}}}}}}\n"

IN_THE_FILE = {
    "name: bench\nrun:\n\t- echo 1\n": "e.yml:3: is not valid YAML: .*indent with spaces",
    "name: bench\nrun: [echo status: hello]\n": "e.yml:2: .*: is no Ansible module .quote the script",
    "name: bench\nrun: echo status: hello\n": "e.yml:2: .*text with ': ' must be quoted",
    "name: bench\nrunn: [echo 1]\n": r"e.yml:2: runn: unknown key .did you mean 'run'\?",
    f"{GOOD}timeout: {{run: 5}}\n": r"e.yml:4: timeout: unknown key .did you mean 'timeouts'\?",
    f"{GOOD}timeouts: {{run: soon}}\n": "e.yml:4: timeouts.run: must be seconds, a text like '90s'",
    f"{GOOD}become: 'yes please'\n": "e.yml:4: become: must be true or false, not text",
    "name: a\nname: b\nrun: [a]\n": "e.yml:2: the key 'name' is given twice",
    "- hosts: all\n  tasks: []\n": "e.yml: must be a mapping, not a list .an environment has at least 'name' and 'run'",
    "name: b\nrun: [a]\nresults_stdout_pattern: '(\\w+=(\\S+)'\n": "e.yml:3: .* is not a regular expression",
    "name: b\nrun: [a]\nresults_stdout_pattern: '(\\w+)'\n": "e.yml:3: .* must have two groups",
    f"{GOOD}assert: {{score: '=> 5'}}\n": "e.yml:4: assert.score: '=> 5' does not begin with one of >= <=",
    f"{GOOD}valid: {{score: positive}}\n": "e.yml:4: valid.score: .*a rule is also finite or any",
    f"{GOOD}require: {{governer: performance}}\n": r"e.yml:4: .*did you mean 'governor'\?",
    f"{GOOD}require: {{smt: off}}\n": "e.yml:4: require.smt: .*quote it",
    f"{GOOD}shell_env_params: [nothere]\n": "e.yml:4: .*there is no parameter 'nothere' in const_args",
    f"{GOOD}required_args: [size]\n": "size: the required argument is missing .-p size=VALUE on the command line",
    f"{GOOD}const_args: {{base: $rooot, root: /x}}\nstrict: true\n": r"e.yml: const_args.base: .*did you mean 'root'\?",
}
ON_THE_COMMAND_LINE = {
    ("-p", "cach=3"): "-p cach: there is no parameter of this name .known: ",
    ("-p", "n=7"): "-p n: '7' is not a whole number from 1 to 5",
    ("--valid", "n"): "--valid: 'n' is not METRIC and a rule",
    ("--require", "fio"): "--require: 'fio' is not FACT and a value .--require governor=performance",
    ("--require", "governer=x"): "--require governer: 'governer' is not a known fact .known: governor",
    ("--require", "load_1m < low"): "--require load_1m: 'low' is not a limit",
    ("--wait-for-hosts", "soon"): "--wait-for-hosts: must be seconds, a text like '90s'",
    ("--assert", "n"): "--assert: 'n' is not METRIC and a comparison",
    ("--assert", "score => 5"): "--assert: 'score => 5' has no comparison .the comparisons are >= <=",
    ("--valid", "score =< 5"): "--valid: 'score =< 5' has no comparison",
    ("--assert", "score > 5 apples"): "--assert score: 'apples' is no unit",
    ("--settle", "soon"): "--settle: must be seconds, a text like '90s'",
    ("-i", "nothere.ini"): "nothere.ini: there is no such inventory .for a host .* write a comma after its name",
    ("--params-file", "nothere.yml"): "nothere.yml: .*No such file",
}


def said(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2, result.output
    # Not: `inventory: …`, and what tests beside this one have left of their killed controllers.
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("ansible-env: error: ")]
    assert result.stderr.endswith(f"{error}\n")
    return error


@pytest.mark.parametrize(("text", "expected"), IN_THE_FILE.items())
def test_in_the_file(text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("e.yml").write_text(text)
    line = said("trial", "e.yml", "-i", "h,", "--no-store")
    assert re.search(expected, line), line


@pytest.mark.parametrize(("words", "expected"), ON_THE_COMMAND_LINE.items())
def test_on_the_command_line(
    words: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("e.yml").write_text(TUNABLE)
    line = said("trial", "e.yml", "--no-store", *words)
    assert re.search(expected, line), line


def test_a_parameter_that_a_task_does_not_know() -> None:
    result = HostResult("h", Kind.TASK, "task 'debug': 'size' is undefined")
    assert explained(result, {"size"}).message.endswith(
        "(size is a parameter: list it in vars_params, or write ansible_env_params.size)"
    )
    assert explained(result, {"other"}) is result
