"""What the message of a failed connection means: its outcome kind, what to do, and whether anything can have started.

The messages are those of OpenSSH's client and server, sudo, su, doas, PAM's modules and Ansible's connection plugins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_env.results.outcomes import OUTCOMES, Kind

MAX_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class _Symptom:
    """A text that distinguishes one cause from others. With each of them, nothing was started on the host."""

    pattern: str
    kind: Kind
    hint: str = ""

    def found(self, text: str) -> bool:
        return bool(re.search(self.pattern, text, re.IGNORECASE | re.MULTILINE))


_SYMPTOMS = (
    _Symptom(
        r"must have a tty",
        Kind.BECOME,
        "the host's sudoers have `requiretty`: add `Defaults:USER !requiretty` there",
    ),
    _Symptom(
        r"^(.*: )?(sudo|su|doas): .*(expired|account validation failure)",
        Kind.BECOME,
        "the account or its password has expired on the host: see `chage -l USER` there",
    ),
    _Symptom(r"exec: \S+: Permission denied", Kind.BECOME, "the host's sudoers have NOEXEC for this user"),
    _Symptom(
        r"privilege escalation prompt|(incorrect|missing) \w+ password|a password is required|not in the sudoers|"
        r"sorry, try again|is not allowed to (execute|run)|unable to become|"
        r"(sudo|su|doas): .*(unknown user|does not exist|not permitted|Authentication failure)",
        Kind.BECOME,
    ),
    _Symptom(
        r"IDENTIFICATION HAS CHANGED",
        Kind.AUTH,
        "the host key changed: if that is expected, remove the old one with ssh-keygen -R",
    ),
    _Symptom(
        r"Host key verification failed",
        Kind.AUTH,
        "the host key is not in known_hosts: log in once by hand, or check it and add it with ssh-keyscan",
    ),
    _Symptom(
        r"account (has|is) expired",
        Kind.AUTH,
        "the account has expired on the host: see `chage -l USER` there",
    ),
    _Symptom(
        r"password (has|is) expired|change your password|password change required",
        Kind.AUTH,
        "the account's password has expired on the host: log in by hand and change it",
    ),
    _Symptom(
        r"account is (currently )?not available",
        Kind.AUTH,
        "the account on the host has no login shell, or a ForceCommand",
    ),
    _Symptom(
        r"Permission denied( \([\w,-]+\)|, please try again)|permission denied while trying to connect|"
        r"Too many authentication failures|Authentication failed|No supported authentication|Invalid/incorrect",
        Kind.AUTH,
    ),
    _Symptom(
        r"Session open refused|channel \d+: open failed",
        Kind.UNREACHABLE,
        "the host's sshd refuses sessions: see MaxSessions in its sshd_config",
    ),
    _Symptom(
        r"ssh: connect to host|Could not resolve|Name or service not known|banner exchange|kex_exchange|"
        r"No route to host|Connection refused",
        Kind.UNREACHABLE,
    ),
    # The client's words for an end before there was a session (later, it is `Connection to HOST closed`), and the exit
    # status of a session of sshd without PAM that finds /etc/nologin.
    _Symptom(
        r"^(.*: )?Connection closed by \S+ port \d+|^no answer from .* \(exit status 254\)",
        Kind.UNREACHABLE,
        "the host ended the login: see its sshd log; /etc/nologin and PAM may refuse logins",
    ),
)
"""The first that is found decides."""


def connection_kind(text: str) -> Kind:
    """Return the outcome kind of a failed connection."""
    symptom = _symptom(text)
    return symptom.kind if symptom else Kind.UNREACHABLE


def never_connected(text: str) -> bool:
    """Whether a failed connection cannot have started anything on the target."""
    return _symptom(text) is not None


def connection_hint(text: str) -> str:
    """Return what to do about a failed connection, as specific as its message allows."""
    symptom = _symptom(text)
    return symptom.hint if symptom and symptom.hint else OUTCOMES[connection_kind(text)].remedy


def connection_message(text: str) -> str:
    """Return the message of a failed connection on one line, without the banner that precedes the cause."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    symptom = _symptom(text)
    if symptom and symptom.kind is not Kind.UNREACHABLE and not symptom.found(lines[0]):
        lines = [line for line in lines if symptom.found(line)] or lines
    return "; ".join(lines)[:MAX_MESSAGE] or "no connection"


def _symptom(text: str) -> _Symptom | None:
    return next((symptom for symptom in _SYMPTOMS if symptom.found(text)), None)
