"""Every way in which a phase can end on a host.

`OUTCOMES` is the one table: a kind determines the status. A test checks docs/reference/outcomes.md against it.
"""

from __future__ import annotations

import enum
import signal
from dataclasses import dataclass

from ansible_env.results.status import Status


class Kind(enum.StrEnum):
    """How a phase ended on a host, in one word."""

    OK = "ok"
    EXIT = "exit"
    SIGNAL = "signal"
    TASK = "task"
    METRICS_MISSING = "metrics_missing"
    METRICS_INVALID = "metrics_invalid"
    TIMEOUT = "timeout"
    CANCELED = "canceled"
    NOT_RUN = "not_run"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    AUTH = "auth"
    BECOME = "become"
    INTERPRETER = "interpreter"
    NO_SPACE = "no_space"
    BUSY = "busy"
    UNFIT = "unfit"
    LOST_RESULT = "lost_result"
    CONTROLLER = "controller"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The meaning of a kind."""

    meaning: str
    remedy: str = ""
    status: Status = Status.FAILED
    infrastructure: bool = False
    """Whether it is an infrastructure failure, which says nothing about the parameters of the trial."""


OUTCOMES: dict[Kind, Outcome] = {
    Kind.OK: Outcome("every script ended with exit status 0 and printed its required metrics", status=Status.SUCCEEDED),
    Kind.EXIT: Outcome("a script ended with an exit status other than 0", "read the last lines of its stderr"),
    Kind.SIGNAL: Outcome(
        "a signal that ansible_env did not send ended the script",
        "look for the OOM killer in the host's kernel log, and for other programs that end processes there",
    ),
    Kind.TASK: Outcome("an Ansible task of the environment file failed", "read the task's message"),
    Kind.METRICS_MISSING: Outcome(
        "the script ended with exit status 0, but its stdout lacks a required metric",
        "compare results_stdout_pattern with the log",
    ),
    Kind.METRICS_INVALID: Outcome(
        "the script ended with exit status 0, but a metric breaks a rule of `valid`, or is NaN or infinite",
        "look at the script's output; `valid` has the rules",
    ),
    Kind.TIMEOUT: Outcome(
        "the deadline passed; the target ended the script and all of its processes",
        "raise timeouts.<phase> if the script needs longer",
        status=Status.TIMED_OUT,
    ),
    Kind.CANCELED: Outcome("a person or program canceled it: cancel(), Ctrl-C or SIGTERM", status=Status.CANCELED),
    Kind.NOT_RUN: Outcome(
        "a result of the host was expected, but its script was never started",
        "look at the results of the other hosts first",
        status=Status.UNKNOWN,
    ),
    Kind.REJECTED: Outcome(
        "the phase task refused its arguments before it started anything", "correct the argument that the message names"
    ),
    Kind.UNREACHABLE: Outcome(
        "the host could not be reached, or was away for too long", "try `ansible-env doctor`", infrastructure=True
    ),
    Kind.AUTH: Outcome(
        "the host refused the login, or its key is not the known key",
        "check user, key and known_hosts",
        infrastructure=True,
    ),
    Kind.BECOME: Outcome(
        "the login succeeded, but becoming the requested user failed",
        "check become_user, become_password and the host's sudoers",
        infrastructure=True,
    ),
    Kind.INTERPRETER: Outcome(
        "the host lacks the shell or the program that starts the script",
        "install it, or name another `shell`",
        infrastructure=True,
    ),
    Kind.NO_SPACE: Outcome(
        "the host had no space to start the script, or to store its output",
        "free blocks and inodes in the file system of the run directory, /tmp on the host",
        infrastructure=True,
    ),
    Kind.BUSY: Outcome(
        "another trial uses the host, or processes of an earlier one cannot be ended; nothing was started",
        "wait for it with `wait_for_hosts`, or share the host with `exclusive: false`",
        infrastructure=True,
    ),
    Kind.UNFIT: Outcome(
        "the host does not meet `require`; nothing was started",
        "change it as the message says; `ansible-env doctor` with the environment file lists it for all hosts",
        infrastructure=True,
    ),
    Kind.LOST_RESULT: Outcome(
        "the script was started but its end is unknown: the host was restarted, or its supervisor was killed",
        "see the host's uptime and kernel log",
        infrastructure=True,
    ),
    Kind.CONTROLLER: Outcome(
        "Ansible itself failed on the controller, or gave no result for the host",
        "read Ansible's text in the message",
        infrastructure=True,
    ),
}


def signal_name(rc: int) -> str:
    """Return the name of the signal in a shell's exit status 128 + n."""
    try:
        return signal.Signals(rc - 128).name
    except ValueError:
        return f"signal {rc - 128}"
