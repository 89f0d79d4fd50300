"""The outcome kind of an ending, and one sentence about it."""

from __future__ import annotations

from ansible_env.results.connections import connection_hint, connection_kind, connection_message
from ansible_env.results.outcomes import Kind, signal_name
from ansible_env.supervisor.ending import Ending
from ansible_env.supervisor.protocol import Reply, State
from ansible_env.supervisor.script import Script
from ansible_env.supervisor.transport import HUNG

NOTHING_STARTED = "nothing was started: "
"""The beginning of the message for a host that another trial uses."""
NEVER_STARTED = "the script had not been started when its controller was killed"
"""The message for a host of a trial that is resumed, if nothing has happened there."""
_FAULTS: dict[str | State, tuple[Kind, str]] = {
    State.NO_SHELL: (Kind.INTERPRETER, "the host has no `{shell}` in its PATH; name another one with `shell`"),
    State.NO_SETSID: (
        Kind.INTERPRETER,
        "the host has neither `setsid` (util-linux, busybox) nor perl to detach a script with",
    ),
    State.NO_SPACE: (Kind.NO_SPACE, "the script was not started: {base} on the host is full"),
    State.ERROR: (Kind.INTERPRETER, "could not write to {base} on the host, or not start a process there"),
    "output": (Kind.NO_SPACE, "the script's output could not be written to {base} on the host: is it full?"),
    "unstarted": (Kind.NO_SPACE, "the script was not started: {base} on the host could not be written; is it full?"),
    "collector": (
        Kind.LOST_RESULT,
        "the process on the host that stores the script's output was killed, and output was lost",
    ),
}
"""States and reasons that are faults of the target, with their kind and message."""


def verdict(ending: Ending, script: Script, *, may_reboot: bool = False, attached: bool = False) -> tuple[Kind, str]:
    """Return the outcome of an ending. A reason to end the script, given in time, precedes its exit status."""
    reply = ending.reply
    if reply.state is State.BUSY:
        return Kind.BUSY, _busy(reply)
    if reply.state in _FAULTS:
        return _fault(reply.state, script)
    if reply.state is State.DONE:
        return _done(ending, script)
    if ending.rebooted:
        if may_reboot:
            return Kind.OK, "the script restarted its host, which `reboot` allows"
        return Kind.LOST_RESULT, "the host was restarted while the script ran, and `reboot` does not allow that"
    if ending.stopped == "timeout" and not ending.first_boot_id and _is_broken(ending):
        kind, message = unreachable(ending.broken)
        return kind, f"the host never answered: {message}"
    if why := reply.why or ending.stopped:
        return _ended(why, ending, script)
    if ending.broken:
        lost = connection_message(ending.broken)
        return connection_kind(ending.broken), f"lost the host while the script ran ({lost}): {_leash(script)}"
    if reply.state is State.GONE:
        return _gone(ending, attached=attached)
    return Kind.LOST_RESULT, "the script's supervisor on the host was ended, and the result was lost"


def _is_broken(ending: Ending) -> bool:
    """Whether connections failed. Where they hung, the script may keep its host from answering."""
    return bool(ending.broken) and not ending.broken.startswith(HUNG)


def unreachable(text: str) -> tuple[Kind, str]:
    """Return the outcome of a host that could not be reached at all."""
    return connection_kind(text), f"{connection_message(text)} ({connection_hint(text)})"


def _gone(ending: Ending, *, attached: bool) -> tuple[Kind, str]:
    """Return the outcome of a script that the host does not know."""
    if ending.first_boot_id:
        return Kind.LOST_RESULT, "the run directory on the host was removed, and with it the script's result"
    if attached:
        return Kind.NOT_RUN, NEVER_STARTED
    return Kind.LOST_RESULT, "the script is not on the host, and it is unknown whether it was started"


def _done(ending: Ending, script: Script) -> tuple[Kind, str]:
    """Return the outcome of a script whose supervisor has written a result."""
    reply = ending.reply
    if ending.broken:
        lost = connection_message(ending.broken)
        return connection_kind(ending.broken), f"the host did not answer again after the script ({lost})"
    if reply.why in _FAULTS:
        return _fault(reply.why, script)
    if reply.why:
        return _ended(reply.why, ending, script)
    rc = 1 if reply.rc is None else reply.rc
    if rc == 0:
        return Kind.OK, "succeeded"
    if reply.signaled:
        return Kind.SIGNAL, f"ended by {signal_name(rc)}"
    return Kind.EXIT, f"exit status {rc}"


def _ended(why: str, ending: Ending, script: Script) -> tuple[Kind, str]:
    """Return the outcome of a script that ansible_env ended."""
    if why == "timeout":
        deadline = "its deadline" if script.timeout is None else f"its deadline of {script.timeout:g} s"
        return Kind.TIMEOUT, f"ended at {deadline}{_rest(ending)}"
    return Kind.CANCELED, f"canceled{_rest(ending)}"


def _busy(reply: Reply) -> str:
    if not reply.holder:
        return f"{NOTHING_STARTED}something beside the run directories on the host is not a lease of a trial"
    until = f"; its lease expires in {reply.busy_for} s" if reply.busy_for else ""
    return f"{NOTHING_STARTED}the trial {reply.holder} uses the host{until}"


def _fault(fault: str | State, script: Script) -> tuple[Kind, str]:
    kind, message = _FAULTS[fault]
    return kind, message.format(base=script.base, shell=script.shell)


def _rest(ending: Ending) -> str:
    """Return the end of a sentence that names what is still running, if anything is."""
    if ending.reply.left:
        return f"; these processes could not be ended: {', '.join(map(str, ending.reply.left))}"
    if ending.reply.state is State.RUNNING or ending.broken:
        return "; the host did not confirm it; its watchdog ends the script"
    return ""


def _leash(script: Script) -> str:
    if script.timeout is None:
        return "the script has no deadline and may still be running there"
    return f"if it is still running there, its watchdog ends it {script.timeout:g} s after its start"
