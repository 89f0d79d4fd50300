"""Start a script on a target and follow it to its end, over a transport that may break at any time."""

from __future__ import annotations

import contextlib
import math
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

from ansible_env.errors import AnsibleEnvError
from ansible_env.supervisor.ending import Ending, Pace
from ansible_env.supervisor.protocol import NOT_STARTED, Reply, ReplyError, State, parse_reply
from ansible_env.supervisor.script import (
    Script,
    clock_payload,
    drop_payload,
    poll_payload,
    release_payload,
    samples_payload,
    start_payload,
    stop_payload,
)
from ansible_env.supervisor.transport import ANSWER, Disconnected, NeverConnected, NoAnswer, Stop, Transport

FIRST_WAIT = 1
"""Seconds that the first round trip may last: a shorter script costs one. A longer one is known to have been started
early, and on which boot of the host, so that a connection or host lost later leaves no doubt about that."""
LONG_WAIT, LONGEST_WAIT = 20, 50
"""Seconds that a quiet round trip may last, growing to the latter with the time for which the script has been followed;
below the idle limits of usual firewalls and load balancers. A connection that hangs is found out `ANSWER` later."""
CLOCK_QUESTIONS = 3
ON_ITS_WAY = 1.5
"""Seconds in which a script that was sent must have arrived, if ever it will."""

Write = Callable[[bytes, bytes], None]
"""Takes new bytes of stdout and of stderr."""


class Follower:
    """One script on one target, from start to end."""

    def __init__(
        self,
        transport: Transport,
        script: Script,
        write: Write,
        pace: Pace | None = None,
        on_boot_id: Callable[[str], None] = lambda boot_id: None,
    ) -> None:
        self._on_boot_id = on_boot_id
        self._transport = transport
        self._script = script
        self._write = write
        self._pace = pace or Pace()
        self._nonce = uuid.uuid4().hex
        self._out = 0
        self._err = 0
        self._ending = Ending(Reply(State.RUNNING))  # for all we know
        self._dropped = False
        self._stop_deadline = math.inf
        self._begun = time.monotonic()

    def start(self) -> Ending:
        """Start the script and follow it.

        Raises:
            NeverConnected: the target could not be reached, or has no shell for us; nothing was started.
        """
        with self._responsible():
            try:
                reply = self._first()
            except Stop as stop:
                return self._follow(None, stop)
            return self._follow(reply)

    def launch(self) -> Ending:
        """Start the script and leave it to somebody who follows it later.

        Raises:
            NeverConnected: the target could not be reached, or has no shell for us; nothing was started.
        """
        with self._responsible():
            try:
                reply = self._first(leave=True)
            except Stop as stop:
                return self._follow(None, stop)
            if reply is not None:
                self._ending.reply = replace(reply, out=b"", err=b"")
            return self._ending

    def clock(self) -> tuple[float, float] | None:
        """Estimate how far the target's clock is ahead of ours, and by how much that may be wrong, in seconds.

        The answer was given at some time between the question and its arrival; of a few, the fastest tells most
        (F. Cristian, Probabilistic clock synchronization, 1989). None, if the target does not say.
        """
        best: tuple[float, float] | None = None
        for _ in range(CLOCK_QUESTIONS):
            asked = time.time()
            try:
                reply = self._exchange(clock_payload(self._nonce), ANSWER)
            except (Disconnected, ReplyError):
                continue
            answered = time.time()
            if reply.clock is not None and (best is None or (answered - asked) / 2 < best[1]):
                best = reply.clock - (asked + answered) / 2, (answered - asked) / 2
        return best

    def release(self, at: float) -> Reply | None:
        """Let a staged script start at a time of the target's clock."""
        script = self._script
        try:
            return self._exchange(release_payload(script.base, script.run_id, self._nonce, at), ANSWER)
        except (Disconnected, ReplyError) as broken:
            return self._reconnect(broken)

    def end(self, reason: str, boot_id: str = "") -> Ending:
        """End a script that was started before, unless it has ended, and bring back all that it printed."""
        self._ending.first_boot_id = boot_id
        with self._responsible():
            return self._follow(None, Stop(reason))

    def resume(self, boot_id: str = "") -> Ending:
        """Follow a script that was started before, perhaps by another process; its output is read from the start."""
        self._ending.first_boot_id = boot_id
        with self._responsible():
            try:
                return self._follow(self._poll())
            except Stop as stop:
                return self._follow(None, stop)

    @contextlib.contextmanager
    def _responsible(self) -> Iterator[None]:
        """End a script that cannot be followed for a reason on this side, such as a disk that is full."""
        try:
            yield
        except Disconnected:
            raise
        except Exception:
            allowed = math.ceil(self._script.grace) + 3
            script, nonce, nothing_new = self._script, self._nonce, 2**60
            payload = stop_payload(
                script.base, script.run_id, nonce, "canceled", out=nothing_new, err=nothing_new, wait=allowed
            )
            with contextlib.suppress(Exception, Stop):
                self._transport.exchange(payload, allowed + ANSWER)
                self._drop()
            raise

    def _first(self, *, leave: bool = False) -> Reply | None:
        wait = 0 if self._pace.settle or leave else FIRST_WAIT
        payload = start_payload(self._script, self._nonce, wait=wait, tick=self._pace.tick, drop=not leave)
        for _ in range(2):
            begun = time.monotonic()
            try:
                reply = self._exchange(payload, wait + ANSWER)
                self._dropped = reply.dropped
                return reply
            except NeverConnected:
                raise
            except NoAnswer as silent:
                found = self._ask_whether_started(silent)
            except (Disconnected, ReplyError) as broken:
                found = self._reconnect(broken)
            # A run directory is removed only once its output was written: none there means that nothing arrived,
            # unless the host was restarted since. Then nobody knows what the script had done by that time.
            if found is None or found.state is not State.GONE:
                return found
            if found.uptime is not None and found.uptime < time.monotonic() - begun:
                self._ending.first_boot_id = "the one before"
                return found
        raise NeverConnected("the connection broke twice before the script could be started")

    def _ask_whether_started(self, silent: NoAnswer) -> Reply | None:
        """Look for a script whose first round trip gave no answer: somebody killed its shell, or there is none."""
        try:
            return self._exchange(self._poll_payload(0), ANSWER)
        except (NoAnswer, NeverConnected):
            raise NeverConnected(str(silent)) from silent
        except (Disconnected, ReplyError) as broken:
            return self._reconnect(broken)

    def _follow(self, reply: Reply | None, stop: Stop | None = None) -> Ending:
        """Poll until the script has ended, cannot be found any more, or was given up."""
        while stop is not None or self._unfinished(reply):
            try:
                if stop is not None:
                    reason, stop = stop.reason, None
                    reply = self._stop(reason)
                else:
                    reply = self._poll(wait=0 if reply and reply.more else self._patience())
            except Stop as raised:
                if self._ending.stopped:
                    break
                stop = raised
        ending = self._ending
        if reply is not None:
            ending.reply = replace(reply, out=b"", err=b"")
        ending.started = ending.reply.state not in NOT_STARTED
        if reply is not None and reply.state in (State.DONE, State.LOST) and not self._dropped:
            if self._script.probes:
                self._fetch_samples()
            self._drop()
        if ending.reply.state is State.DONE and not ending.stopped:
            self._settle()
        return ending

    def _fetch_samples(self) -> None:
        """Bring the telemetry; what cannot be brought is none, and changes nothing of how the script ended."""
        script, more = self._script, True
        while more:
            offset = len(self._ending.samples)
            payload = samples_payload(script.base, script.run_id, self._nonce, offset=offset)
            try:
                reply = parse_reply(self._transport.exchange(payload, ANSWER), self._nonce)
            except (Disconnected, ReplyError, Stop):
                return
            self._ending.samples += reply.out
            more = reply.more and bool(reply.out)

    def _settle(self) -> None:
        """Wait for the restart that a script may have asked for, and for the host to be back: its boot id tells."""
        give_up = time.monotonic() + self._pace.settle
        while time.monotonic() < give_up and not self._ending.rebooted and not self._ending.broken:
            try:
                self._transport.pause(0.5)
                reply = self._poll()
            except Stop as stop:
                self._ending.stopped = stop.reason
                return
            if reply is not None:
                self._ending.reply = replace(self._ending.reply, boot_id=reply.boot_id)

    def _unfinished(self, reply: Reply | None) -> bool:
        if reply is None or time.monotonic() > self._stop_deadline:
            return False
        return reply.more or reply.state is State.RUNNING

    def _patience(self) -> int:
        return int(min(max(LONG_WAIT, (time.monotonic() - self._begun) / 2), LONGEST_WAIT))

    def _poll(self, wait: int = 0) -> Reply | None:
        left = max(0.0, self._stop_deadline - time.monotonic())  # after a cancel; else there is no end of it
        try:
            return self._exchange(self._poll_payload(int(min(wait, left))), min(wait + ANSWER, left + 1))
        except (Disconnected, ReplyError) as broken:
            return self._reconnect(broken)

    def _stop(self, reason: str) -> Reply | None:
        """Have the target end the script, and wait for how that went.

        A deadline is the target's own affair: where we have to ask, its time has passed already.
        """
        allowed = self._script.grace + 3 if reason != "timeout" else 1
        self._ending.stopped = reason
        self._stop_deadline = time.monotonic() + allowed
        settled = time.monotonic() + ON_ITS_WAY
        while True:
            reply = self._ask_to_stop(reason)
            now = time.monotonic()
            if reply is None and now + 0.5 < self._stop_deadline:
                self._transport.pause(0.3)
            elif reply is not None and reply.state is State.GONE and not self._ending.first_boot_id and now < settled:
                self._transport.pause(0.2)  # the script may be on its way yet, to be started when nobody waits
            else:
                return reply

    def _ask_to_stop(self, reason: str) -> Reply | None:
        allowed = max(0.5, self._stop_deadline - time.monotonic())
        script = self._script
        out, err, wait = self._out, self._err, math.ceil(allowed)
        payload = stop_payload(script.base, script.run_id, self._nonce, reason, out=out, err=err, wait=wait)
        try:
            reply = self._exchange(payload, allowed + 1)
        except (Disconnected, ReplyError) as broken:
            self._ending.broken = str(broken)
            return None
        self._ending.broken = ""
        return reply

    def _reconnect(self, broken: AnsibleEnvError) -> Reply | None:
        """Try again, slower each time, until the target answers or its time is up."""
        give_up = min(time.monotonic() + self._pace.reconnect, self._stop_deadline)
        pause = 0.1
        while True:
            self._ending.broken = str(broken)
            self._ending.reconnects += 1
            self._transport.pause(pause)
            try:
                reply = self._exchange(self._poll_payload(0), max(1.0, min(ANSWER, give_up - time.monotonic())))
            except (Disconnected, ReplyError) as again:
                broken = again
                if time.monotonic() >= give_up:
                    return None
                pause = min(pause * 2, 5)
            else:
                self._ending.broken = ""
                return reply

    def _poll_payload(self, wait: int) -> str:
        return poll_payload(
            self._script.base,
            self._script.run_id,
            self._nonce,
            out=self._out,
            err=self._err,
            wait=wait,
            tick=self._pace.tick,
        )

    def _exchange(self, payload: str, limit: float) -> Reply:
        reply = parse_reply(self._transport.exchange(payload, limit), self._nonce)
        if reply.out or reply.err:
            self._write(reply.out, reply.err)
            self._out += len(reply.out)
            self._err += len(reply.err)
        if not self._ending.first_boot_id and reply.state is not State.GONE:
            self._ending.first_boot_id = reply.boot_id
            self._on_boot_id(reply.boot_id)
        return reply

    def _drop(self) -> None:
        """Remove the run directory; the result is ours already, so a failure here costs no more than that."""
        payload = drop_payload(self._script.base, self._script.run_id, self._nonce)
        with contextlib.suppress(Disconnected, Stop):
            begun = time.monotonic()
            try:
                self._transport.exchange(payload, ANSWER)
            except Disconnected:
                if time.monotonic() > begun + ON_ITS_WAY:  # whoever does not answer now will not the next time
                    raise
                self._transport.exchange(payload, ANSWER)
