"""The table of outcomes, and docs/reference/outcomes.md, which repeats the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_env.cli.exits import EXIT_CODES
from ansible_env.results.outcomes import OUTCOMES, Kind, signal_name
from ansible_env.results.status import Status

DOC = Path(__file__).parents[3] / "docs" / "reference" / "outcomes.md"
INFRASTRUCTURE = {
    "unreachable",
    "auth",
    "become",
    "interpreter",
    "no_space",
    "busy",
    "unfit",
    "lost_result",
    "controller",
}


def test_every_kind_has_a_row_and_no_other():
    assert set(OUTCOMES) == set(Kind)


def test_the_kinds_are_pinned():
    # They are in stored results and in other people's code: a kind may be added, not renamed.
    names = "ok exit signal task metrics_missing metrics_invalid timeout canceled not_run rejected "
    names += "unreachable auth become interpreter no_space busy unfit lost_result controller"
    assert [str(kind) for kind in Kind] == names.split()


def test_status_and_blame():
    special = {Kind.OK: "SUCCEEDED", Kind.TIMEOUT: "TIMED_OUT", Kind.CANCELED: "CANCELED", Kind.NOT_RUN: "UNKNOWN"}
    for kind, outcome in OUTCOMES.items():
        assert outcome.status is Status[special.get(kind, "FAILED")]
        assert outcome.infrastructure is (kind in INFRASTRUCTURE), kind


def test_every_failure_says_what_to_do():
    for kind, outcome in OUTCOMES.items():
        assert outcome.meaning
        assert bool(outcome.remedy) is (kind not in (Kind.OK, Kind.CANCELED))


# What ssh, sudo, su, doas and Ansible's plugins really say.


@pytest.mark.parametrize(("rc", "name"), [(137, "SIGKILL"), (143, "SIGTERM"), (128, "signal 0"), (255, "signal 127")])
def test_signal_name(rc, name):
    assert signal_name(rc) == name


# docs/reference/outcomes.md. After a change: python -c 'from tests.unit.results.test_outcomes import write; write()'

TABLE = re.compile(r"(?<=<!-- table of kinds -->\n\n).*?(?=\n\n<!-- end -->)", re.DOTALL)
CODES = re.compile(r"(?<=<!-- exit codes -->\n\n).*?(?=\n\n<!-- end -->)", re.DOTALL)


def table_of_kinds() -> str:
    rows = ["| Kind | Status | Infrastructure? | What it means | What to do |", "|---|---|---|---|---|"]
    for kind, outcome in OUTCOMES.items():
        blame = "yes" if outcome.infrastructure else ""
        words = f"{outcome.meaning} | {outcome.remedy}".replace("<", "&lt;")
        rows.append(f"| `{kind}` | {outcome.status.name} | {blame} | {words} |")
    return "\n".join(rows)


def table_of_exit_codes() -> str:
    return "\n".join(["| Code | Meaning |", "|---|---|", *(f"| {int(c)} | {text} |" for c, text in EXIT_CODES.items())])


def write() -> None:
    """Refresh the tables in the document."""
    text = TABLE.sub(lambda _: table_of_kinds(), DOC.read_text(encoding="utf-8"))
    DOC.write_text(CODES.sub(lambda _: table_of_exit_codes(), text), encoding="utf-8")


@pytest.mark.parametrize(("place", "table"), [(TABLE, table_of_kinds), (CODES, table_of_exit_codes)])
def test_the_document_has_the_same_table(place, table):
    found = place.search(DOC.read_text(encoding="utf-8"))
    assert found is not None
    assert found[0] == table(), "docs/reference/outcomes.md is stale; the comment above says how to refresh it"


def test_the_document_explains_every_kind():
    text = TABLE.sub("", DOC.read_text(encoding="utf-8"))
    assert [kind for kind in Kind if f"`{kind}`" not in text] == []
