"""What a host must be: the rules, and what they say of the facts of a host."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from ansible_env.results.requirements import FACTS, HostRules, RequirementSyntaxError
from ansible_env.supervisor.facts import CLOCK_OFFSET, facts_script, parse_facts
from ansible_env.supervisor.facts import FACTS as SHELL_TEXTS

HOST = {"governor": "powersave", "no_turbo": "1", "load_1m": 2.5, "memory_available_mib": 2000, "command sh": "/bin/sh"}

UNMET = {
    "a text": ({"governor": "performance"}, "governor is powersave, and must be performance (do: echo performance >"),
    "a number": ({"no_turbo": 0}, "no_turbo is 1, and must be 0 (do: echo 0 >"),
    "a comparison": ({"load_1m": "< 0.5"}, "load_1m is 2.5, and must be < 0.5 (do: wait"),
    "a unit": ({"memory_available_mib": ">= 2 GiB"}, "memory_available_mib is 2000, and must be >= 2 GiB (do: "),
    "a fact that the host has not": ({"smt": "off"}, "smt is not known on the host, and must be off (do: echo off >"),
    "a program": ({"commands": ["sh", "fio"]}, "fio is not installed (do: install fio there)"),
    "of two, both": ({"no_turbo": 0, "load_1m": "< 1"}, "no_turbo is 1, and must be 0"),
}


@pytest.mark.parametrize(("rules", "message"), UNMET.values(), ids=list(UNMET))
def test_unmet(rules: dict[str, Any], message: str) -> None:
    problem = HostRules.parse(rules).problem(HOST)
    assert problem.startswith(message)
    assert problem.count("must be") + problem.count("not installed") == len(rules)


def test_met() -> None:
    rules = {"governor": "powersave", "no_turbo": 1, "load_1m": "< 3", "commands": ["sh"]}
    assert HostRules.parse(rules).problem(HOST) == ""
    assert HostRules.parse(HostRules.parse(rules).to_plain()) == HostRules.parse(rules)
    assert not HostRules.parse({})


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"governer": "performance"}, "is not a known fact"),
        ({"smt": False}, "must be a text or a number"),
        ({"load_1m": "< much"}, "is not a limit"),
        ({"load_1m": "< baseline"}, "needs a baseline"),
        ({"load_1m": None}, "must be a value"),
        ({"commands": "fio"}, "must be a list"),
    ],
)
def test_what_is_no_requirement_is_refused(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(RequirementSyntaxError, match=message):
        HostRules.parse(rules)


def test_each_fact_has_its_shell_text() -> None:
    assert set(FACTS) - {CLOCK_OFFSET} <= set(SHELL_TEXTS)


@pytest.mark.parametrize("shell", [["sh"], ["busybox", "sh"]], ids=" ".join)
def test_the_facts_of_this_machine(shell: list[str]) -> None:
    script = facts_script(FACTS, ["sh", "no-such-program", "it's"], "/tmp")
    done = subprocess.run([*shell, "-s"], input=script, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    facts = parse_facts(done.stdout)
    assert facts["kernel"].startswith("Linux ")
    assert facts["memory_available_mib"] > 1
    assert facts["disk_free_mib"] >= 0
    assert facts["load_1m"] >= 0
    assert facts["command sh"].endswith("sh")
    assert not {"command no-such-program", "command it's"} & set(facts)
