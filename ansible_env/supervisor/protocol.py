"""The reply of a target: one header line, then the new bytes of stdout and of stderr."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ansible_env.errors import AnsibleEnvError
from ansible_env.supervisor.counters import Counters


class State(enum.Enum):
    """The state of a script, as its target reports it."""

    RUNNING = "running"
    DONE = "done"
    LOST = "lost"
    """The supervisor has ended without a result: it was killed, or the host was restarted."""
    GONE = "gone"
    """There is no such run directory."""
    NO_SHELL = "noshell"
    """The shell of the script is not installed."""
    NO_SETSID = "nosetsid"
    """Neither `setsid` nor perl is installed, so the script could not be detached."""
    ERROR = "error"
    """The run directory could not be created or written."""
    BUSY = "busy"
    """Another trial has a lease on the target; nothing was started."""
    NO_SPACE = "nospace"
    """The file system of the run directory is full; nothing was started."""


CLOCK_STEP, CLOCK_JITTER = 2.0, 0.05
"""Seconds by which wall clock and uptime may disagree about a duration. Above the first, the clock was set. Above the
second, the uptime counts: not every `date` knows fractions, and a busy target reads the two at different times."""


NOT_STARTED = frozenset({State.NO_SHELL, State.NO_SETSID, State.ERROR, State.NO_SPACE, State.BUSY})
"""States of a target on which nothing was started."""


class ReplyError(AnsibleEnvError):
    """The target's reply is not in our form, or is cut short."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a target."""

    state: State
    rc: int | None = None
    """Exit status as the target's shell gives it: 128 + n for signal n."""
    signaled: bool = False
    """Whether a signal ended the script. It distinguishes a SIGKILL from `exit 137`."""
    why: str = ""
    """`timeout`, `canceled` or `over` where the supervisor ended the script for that reason.

    Where it did not: `output`, if the output could not be written; `collector`, if the process was killed that
    writes it; `unstarted`, if the script could not be started; else empty.
    """
    begin: datetime | None = None
    end: datetime | None = None
    """Start and end, each by the target's clock at that time."""
    clock_step: float | None = None
    """Seconds by which the clock was set forward between the two, where that is more than `CLOCK_STEP`."""
    boot_id: str = ""
    uptime: float | None = None
    """Seconds since the host was started, if there is no run directory."""
    clock: float | None = None
    """The target's clock, in seconds since the epoch, if it was requested."""
    left: tuple[int, ...] = ()
    """Processes that could not be ended (another user's, or stuck in the kernel)."""
    escaped: tuple[str, ...] = ()
    """What the script had left behind outside of its session, or was allowed to leave: pid and name of each."""
    before: Counters | None = None
    after: Counters | None = None
    """What the host and the script had used when the script was started, and after its end."""
    holder: str = ""
    """Who has the lease, if the target is busy."""
    busy_for: int | None = None
    """Seconds until that lease expires, if that is known."""
    more: bool = False
    """Whether there is more output than fits into one reply."""
    dropped: bool = False
    """Whether the run directory is removed with this reply."""
    out: bytes = b""
    err: bytes = b""


def parse_reply(data: bytes, nonce: str) -> Reply:
    """Read a reply. Text before the header (banners, login scripts) is skipped.

    Raise ReplyError if there is no header with this nonce, or there are fewer bytes than it announces.
    """
    start = data.find(b"ansible_env:" + nonce.encode() + b" ")
    if start < 0:
        raise ReplyError("the target's shell gave no answer")
    header, newline, body = data[start:].partition(b"\n")
    fields = dict(part.partition("=")[::2] for part in header.decode("ascii", "replace").split()[1:])
    try:
        n_out, n_err = int(fields.get("out", 0)), int(fields.get("err", 0))
        if not newline or n_out < 0 or n_err < 0 or len(body) < n_out + n_err:
            raise ReplyError("the target's answer is cut short")
        return _reply(fields, body[:n_out], body[n_out : n_out + n_err])
    except (KeyError, ValueError, OverflowError, OSError) as error:
        raise ReplyError(f"the target's answer cannot be read: {error}") from error


def _reply(fields: Mapping[str, str], out: bytes, err: bytes) -> Reply:
    rc = fields.get("rc", "")
    begin, end = _time(fields.get("begin", "")), _time(fields.get("end", ""))
    end, clock_step = _end(begin, end, fields.get("begin_up", ""), fields.get("end_up", ""))
    return Reply(
        state=State(fields["state"]),
        rc=int(rc) if rc else None,
        signaled=fields.get("sig") == "1",
        why=fields.get("why", ""),
        begin=begin,
        end=end,
        clock_step=clock_step,
        boot_id=fields.get("boot", ""),
        uptime=float(fields["up"]) if fields.get("up") else None,
        clock=_clock(fields.get("clock", "")),
        left=tuple(int(pid) for pid in re.findall(r"\d+", fields.get("left", ""))),
        escaped=tuple(name.replace(":", " ", 1) for name in fields.get("escaped", "").split(",") if name),
        before=Counters.of_text(fields.get("before", "")),
        after=Counters.of_text(fields.get("after", "")),
        holder=re.sub(r"[^\w@.:/+-]", "?", fields.get("holder", ""), flags=re.ASCII)[:200],
        busy_for=int(fields["until"]) if fields.get("until") else None,
        more=fields.get("more") == "1",
        dropped=fields.get("drop") == "1",
        out=out,
        err=err,
    )


def _clock(text: str) -> float | None:
    """Read a time whose fraction may be missing: not every `date` knows `%N`."""
    whole, _, fraction = text.partition(".")
    return float(f"{whole}.{fraction}" if fraction.isdigit() else whole) if whole.isdigit() else None


def _time(text: str) -> datetime | None:
    return datetime.fromtimestamp(float(text), UTC) if text else None


def _end(
    begin: datetime | None, end: datetime | None, begin_up: str, end_up: str
) -> tuple[datetime | None, float | None]:
    """Return the end, and by how much the clock was set since the beginning, by another clock that is never set."""
    if begin is None or end is None or not begin_up or not end_up:
        return end, None
    lasted = float(end_up) - float(begin_up)
    ahead = (end - begin).total_seconds() - lasted
    if abs(ahead) > CLOCK_STEP:
        return end, round(ahead, 3)
    return (end if abs(ahead) <= CLOCK_JITTER else begin + timedelta(seconds=lasted)), None
