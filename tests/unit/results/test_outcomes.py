"""The table of outcomes, what connections fail with, and docs/reference/outcomes.md, which repeats the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_env.cli.exits import EXIT_CODES
from ansible_env.results.outcomes import (
    OUTCOMES,
    Kind,
    connection_hint,
    connection_kind,
    never_connected,
    signal_name,
)
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
WORDS = [
    (Kind.AUTH, "user@h: Permission denied (publickey,password)."),
    (Kind.AUTH, "Host key verification failed."),
    (Kind.AUTH, "@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n@@@"),
    (Kind.AUTH, "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures"),
    (Kind.AUTH, "Invalid/incorrect password: Permission denied, please try again."),
    (Kind.BECOME, "Timeout (12s) waiting for privilege escalation prompt: "),
    (Kind.BECOME, "Incorrect sudo password"),
    (Kind.BECOME, "Missing sudo password"),
    (Kind.BECOME, "sudo: a password is required"),
    (Kind.BECOME, "sudo: sorry, you must have a tty to run sudo"),
    (Kind.BECOME, "joe is not in the sudoers file.  This incident will be reported."),
    (Kind.BECOME, "Sorry, user joe is not allowed to execute '/bin/sh -s' as root on h."),
    (Kind.UNREACHABLE, "ssh: connect to host h port 22: Connection refused"),
    (Kind.UNREACHABLE, "ssh: Could not resolve hostname h: Name or service not known"),
    (Kind.UNREACHABLE, "Connection timed out during banner exchange"),
    (Kind.UNREACHABLE, "kex_exchange_identification: read: Connection reset by peer"),
    (Kind.UNREACHABLE, "Shared connection to h closed."),
    (Kind.UNREACHABLE, ""),
]


@pytest.mark.parametrize(("kind", "text"), WORDS)
def test_connection_kind(kind, text):
    assert connection_kind(text) is kind
    assert connection_kind(f"Failed to connect to the host via ssh: {text.upper()}") is kind
    assert connection_hint(text)


@pytest.mark.parametrize(
    ("text", "never"),
    [
        *((text, True) for kind, text in WORDS if kind is not Kind.UNREACHABLE),
        ("ssh: connect to host h port 22: Connection refused", True),
        ("ssh: Could not resolve hostname h: Name or service not known", True),
        ("Connection timed out during banner exchange", True),
        # These break a connection that was there: something may have been started.
        ("Shared connection to h closed.", False),
        ("client_loop: send disconnect: Broken pipe", False),
        ("Timeout, server h not responding.", False),
        ("", False),
    ],
)
def test_never_connected(text, never):
    assert never_connected(text) is never


def test_hints_for_host_keys_name_the_tool():
    assert "ssh-keygen -R" in connection_hint("REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.")
    assert "ssh-keyscan" in connection_hint("Host key verification failed.")
    assert connection_hint("Permission denied") == OUTCOMES[Kind.AUTH].remedy


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
