"""The round trips about one script: their payloads, the output so far, and broken connections."""

from __future__ import annotations

import contextlib
import math
import time
import uuid
from collections.abc import Callable

from ansible_env.errors import AnsibleEnvError
from ansible_env.supervisor.ending import Ending, Pace
from ansible_env.supervisor.lease import release_payload as release_payload_of
from ansible_env.supervisor.protocol import Reply, ReplyError, State, parse_reply
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

CLOCK_QUESTIONS = 3
ON_ITS_WAY = 1.5
"""Seconds after which a script that was sent has arrived or will not arrive."""

Write = Callable[[bytes, bytes], None]
"""Takes new bytes of stdout and of stderr."""


class Conversation:
    """The round trips about one script, each of which continues where the last one ended."""

    def __init__(
        self, transport: Transport, script: Script, write: Write, pace: Pace, on_boot_id: Callable[[str], None]
    ) -> None:
        self.ending = Ending(Reply(State.RUNNING))  # for all we know
        self.stop_deadline = math.inf
        """When the wait for a script that is being ended stops, by `time.monotonic()`."""
        self.may_have_arrived = False
        """Whether the script was sent over a connection that broke."""
        self.nonce = uuid.uuid4().hex
        self._transport = transport
        self._script = script
        self._write = write
        self._pace = pace
        self._on_boot_id = on_boot_id
        self._out = 0
        self._err = 0

    def start(self, wait: int, *, leave: bool) -> Reply:
        """Start the script and wait up to `wait` seconds for it. With `leave`, the run directory stays."""
        payload = start_payload(self._script, self.nonce, wait=wait, tick=self._pace.tick, drop=not leave)
        try:
            return self._exchange(payload, wait + ANSWER)
        except NeverConnected:
            raise
        except (Disconnected, ReplyError):
            self.may_have_arrived = True
            raise

    def poll(self, wait: int = 0) -> Reply | None:
        """Wait up to `wait` seconds for news; None if the host does not answer."""
        left = max(0.0, self.stop_deadline - time.monotonic())  # after a cancel; else there is no limit
        try:
            return self._exchange(self._poll_payload(int(min(wait, left))), min(wait + ANSWER, left + 1))
        except (Disconnected, ReplyError) as broken:
            return self.reconnect(broken)

    def ask_whether_started(self, silent: NoAnswer) -> Reply | None:
        """Look for a script whose start gave no answer: the shell was killed, or does not exist."""
        try:
            return self._exchange(self._poll_payload(0), ANSWER)
        except (NoAnswer, NeverConnected):
            raise NeverConnected(str(silent)) from silent
        except (Disconnected, ReplyError) as broken:
            return self.reconnect(broken)

    def reconnect(self, broken: AnsibleEnvError) -> Reply | None:
        """Retry at growing intervals until the target answers or its time is over."""
        give_up = min(time.monotonic() + self._pace.reconnect, self.stop_deadline)
        pause = 0.1
        while True:
            self.ending.broken = str(broken)
            self.ending.reconnects += 1
            self._transport.pause(pause)
            try:
                reply = self._exchange(self._poll_payload(0), max(1.0, min(ANSWER, give_up - time.monotonic())))
            except (Disconnected, ReplyError) as again:
                broken = again
                if time.monotonic() >= give_up:
                    return None
                pause = min(pause * 2, 5)
            else:
                self.ending.broken = ""
                return reply

    def stop(self, reason: str) -> Reply | None:
        """Request the end of the script from the target, and wait for its result.

        The target itself enforces a deadline. A request for that comes only after the deadline has passed.
        """
        allowed = self._script.grace + 3 if reason != "timeout" else 1
        self.ending.stopped = reason
        self.stop_deadline = time.monotonic() + allowed
        settled = time.monotonic() + ON_ITS_WAY
        while True:
            reply = self._ask_to_stop(reason)
            now = time.monotonic()
            if reply is None and now + 0.5 < self.stop_deadline:
                self._transport.pause(0.3)
            elif reply is not None and reply.state is State.GONE and not self.ending.first_boot_id and now < settled:
                self._transport.pause(0.2)  # the script may still be on its way, and would start with nobody waiting
            else:
                return reply

    def abandon(self) -> None:
        """End the script and remove its directory, without its output. Failures are ignored."""
        allowed, nothing_new = math.ceil(self._script.grace) + 3, 2**60
        payload = stop_payload(
            self._script.directory, self.nonce, "canceled", out=nothing_new, err=nothing_new, wait=allowed
        )
        with contextlib.suppress(Exception, Stop):
            self._transport.exchange(payload, allowed + ANSWER)
            self.drop()

    def release(self, at: float) -> Reply | None:
        """Release a staged script at a time of the target's clock, in seconds since the epoch."""
        try:
            return self._exchange(release_payload(self._script.directory, self.nonce, at), ANSWER)
        except (Disconnected, ReplyError) as broken:
            return self.reconnect(broken)

    def clock(self) -> tuple[float, float] | None:
        """Estimate how far the target's clock is ahead of ours, and the largest error of that, in seconds.

        The answer was given at some time between the question and its arrival. The fastest of a few is the most exact
        (F. Cristian, Probabilistic clock synchronization, 1989). None if the target does not answer.
        """
        best: tuple[float, float] | None = None
        for _ in range(CLOCK_QUESTIONS):
            asked, begun = time.time(), time.monotonic()
            try:
                reply = self._exchange(clock_payload(self.nonce), ANSWER)
            except (Disconnected, ReplyError):
                continue
            error = (time.monotonic() - begun) / 2
            if reply.clock is not None and (best is None or error < best[1]):
                best = reply.clock - (asked + error), error
        return best

    def fetch_samples(self) -> None:
        """Fetch the telemetry. Samples that cannot be fetched are missing; the result of the script does not change."""
        more = True
        while more:
            payload = samples_payload(self._script.directory, self.nonce, offset=len(self.ending.samples))
            try:
                reply = parse_reply(self._transport.exchange(payload, ANSWER), self.nonce)
            except (Disconnected, ReplyError, Stop):
                return
            self.ending.samples += reply.out
            more = reply.more and bool(reply.out)

    def drop(self) -> bool:
        """Remove the run directory, and return whether the host has confirmed that.

        The result is known, so a failure leaves only the directory behind.
        """
        payload = drop_payload(self._script.directory, self.nonce)
        with contextlib.suppress(Disconnected, Stop):
            begun = time.monotonic()
            try:
                self._transport.exchange(payload, ANSWER)
            except Disconnected:
                if time.monotonic() > begun + ON_ITS_WAY:  # a host that did not answer now will not answer again
                    raise
                self._transport.exchange(payload, ANSWER)
            return True
        return False

    def release_lease(self, token: str) -> None:
        """Give back a lease.

        Raises:
            Disconnected: the target cannot be reached.
        """
        self._transport.exchange(release_payload_of(self._script.base, [token], self.nonce), ANSWER)

    def _ask_to_stop(self, reason: str) -> Reply | None:
        allowed = max(0.5, self.stop_deadline - time.monotonic())
        payload = stop_payload(
            self._script.directory, self.nonce, reason, out=self._out, err=self._err, wait=math.ceil(allowed)
        )
        try:
            reply = self._exchange(payload, allowed + 1)
        except (Disconnected, ReplyError) as broken:
            self.ending.broken = str(broken)
            return None
        self.ending.broken = ""
        return reply

    def _poll_payload(self, wait: int) -> str:
        return poll_payload(
            self._script.directory, self.nonce, out=self._out, err=self._err, wait=wait, tick=self._pace.tick
        )

    def _exchange(self, payload: str, limit: float) -> Reply:
        reply = parse_reply(self._transport.exchange(payload, limit), self.nonce)
        if reply.out or reply.err:
            self._write(reply.out, reply.err)
            self._out += len(reply.out)
            self._err += len(reply.err)
        if not self.ending.first_boot_id and reply.state is not State.GONE:
            self.ending.first_boot_id = reply.boot_id
            self._on_boot_id(reply.boot_id)
        return reply
