"""What connections fail with: the outcome kind, what to do, and whether anything can have started."""

from __future__ import annotations

import pytest

from ansible_env.results.connections import connection_hint, connection_kind, connection_message, never_connected
from ansible_env.results.outcomes import OUTCOMES, Kind

WORDS = [
    (Kind.AUTH, "user@h: Permission denied (publickey,password)."),
    (Kind.AUTH, "Host key verification failed."),
    (Kind.AUTH, "@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n@@@"),
    (Kind.AUTH, "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures"),
    (
        Kind.AUTH,
        "Your account has expired; please contact your system administrator.\nConnection closed by ::1",
    ),
    (Kind.AUTH, "WARNING: Your password has expired.\nPassword change required but no TTY available."),
    (Kind.AUTH, "no answer from /bin/sh on the host (exit status 1): This account is currently not available."),
    (Kind.AUTH, "Invalid/incorrect password: Permission denied, please try again."),
    (Kind.BECOME, "Timeout (12s) waiting for privilege escalation prompt: "),
    (Kind.BECOME, "Incorrect sudo password"),
    (Kind.BECOME, "Missing sudo password"),
    (Kind.BECOME, "sudo: a password is required"),
    (Kind.BECOME, "sudo: sorry, you must have a tty to run sudo"),
    (Kind.BECOME, "joe is not in the sudoers file.  This incident will be reported."),
    (Kind.BECOME, "Sorry, user joe is not allowed to execute '/bin/sh -s' as root on h."),
    (Kind.BECOME, "sudo: Account or password is expired, reset your password and try again"),
    (Kind.BECOME, "sudo: unknown user joe"),
    (Kind.BECOME, "no answer from /bin/sh on the host (exit status 126): /bin/sh: 1: exec: /bin/sh: Permission denied"),
    (Kind.UNREACHABLE, "mkdir: cannot create directory '/x': Permission denied (os error 13)"),
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
        ("mux_client_request_session: session request failed: Session open refused by peer", True),
        ("Failed to connect to the host via ssh: maintenance\n\nConnection closed by 10.0.0.1 port 22", True),
        ("no answer from /bin/sh on the host (exit status 254): maintenance", True),
        # These break a connection that was there: something may have been started.
        ("Shared connection to h closed.", False),
        ("client_loop: send disconnect: Broken pipe", False),
        ("Connection to 10.0.0.1 closed by remote host.", False),
        ("no answer from /bin/sh on the host (exit status 1): hello", False),
        ("Timeout, server h not responding.", False),
        ("", False),
    ],
)
def test_never_connected(text, never):
    assert never_connected(text) is never


def test_hints_for_host_keys_name_the_tool():
    assert "ssh-keygen -R" in connection_hint("REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.")
    assert "ssh-keyscan" in connection_hint("Host key verification failed.")
    assert connection_hint("Permission denied (publickey).") == OUTCOMES[Kind.AUTH].remedy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("* Be nice *\nroot@h: Permission denied (publickey).", "root@h: Permission denied (publickey)."),
        ("Connection refused\nand more", "Connection refused; and more"),
        ("maintenance\n\nConnection closed by h port 22\n", "maintenance; Connection closed by h port 22"),
        (" \n", "no connection"),
        ("x" * 1000, "x" * 300),
    ],
)  # fmt: skip
def test_the_message_is_one_line_without_a_banner(text, message):
    assert connection_message(text) == message
