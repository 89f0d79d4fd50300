"""Start a script on a target and follow it to its end, over a transport that may break at any time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from ansible_env.supervisor.conversation import Conversation, Write
from ansible_env.supervisor.ending import Ending, Pace
from ansible_env.supervisor.protocol import Reply, ReplyError, State
from ansible_env.supervisor.script import Script
from ansible_env.supervisor.transport import Disconnected, NeverConnected, NoAnswer, Stop, Transport

FIRST_WAIT = 1
"""Seconds that the first round trip may last. A shorter script needs only one. After it, the start of a longer one and
the boot of the host are known, even if the connection or the host is lost later."""
LONG_WAIT, LONGEST_WAIT = 20, 50
"""Seconds that a quiet round trip may last, growing to the latter with the time for which the script has been followed;
below the idle limits of usual firewalls and load balancers. A connection that hangs is detected `ANSWER` later."""


class Follower:
    """Follows one script on one target, from start to end."""

    def __init__(
        self,
        transport: Transport,
        script: Script,
        write: Write,
        pace: Pace | None = None,
        on_boot_id: Callable[[str], None] = lambda boot_id: None,
        collect: Callable[[str], object] | None = None,
    ) -> None:
        """Use a transport, a script, and functions that receive its output and, once, the host's boot id.

        `collect` fetches the script's files at its end, and gets the name of the run directory, which is still there.
        """
        self._transport = transport
        self._script = script
        self._pace = pace or Pace()
        self._talk = Conversation(transport, script, write, self._pace, on_boot_id)
        self._collect = collect
        self._ending = self._talk.ending
        self._dropped = False
        self._begun = time.monotonic()

    @property
    def may_run(self) -> bool:
        """Whether the script may be running although no connection to the target could be made."""
        return self._talk.may_have_arrived

    def start(self) -> Ending:
        """Start the script and follow it.

        Raise NeverConnected if the target could not be reached, or has no usable shell; nothing was started.
        """
        return self._begin(self._first)

    def launch(self) -> Ending:
        """Start the script for another task that follows it later. Raise NeverConnected as `start` does."""
        with self._responsible():
            try:
                reply = self._first(leave=True)
            except Stop as stop:
                return self._follow(None, stop)
            if reply is not None:
                self._ending.reply = replace(reply, out=b"", err=b"")
            return self._ending

    def clock(self) -> tuple[float, float] | None:
        """Estimate how far the target's clock is ahead of ours, and the largest error of that, in seconds."""
        return self._talk.clock()

    def release(self, at: float) -> Reply | None:
        """Release a staged script at a time of the target's clock, in seconds since the epoch."""
        return self._talk.release(at)

    def release_lease(self, token: str) -> None:
        """Give back a lease.

        Raises:
            Disconnected: the target cannot be reached.
        """
        self._talk.release_lease(token)

    def end(self, reason: str, boot_id: str = "") -> Ending:
        """End a script that was started before, unless it has ended, and fetch all that it printed."""
        self._ending.first_boot_id = boot_id
        with self._responsible():
            return self._follow(None, Stop(reason))

    def resume(self, boot_id: str = "") -> Ending:
        """Follow a script that was started before, perhaps by another process; its output is read from the start."""
        self._ending.first_boot_id = boot_id
        return self._begin(self._talk.poll)

    def _begin(self, ask: Callable[[], Reply | None]) -> Ending:
        with self._responsible():
            try:
                reply = ask()
            except Stop as stop:
                return self._follow(None, stop)
            return self._follow(reply)

    @contextlib.contextmanager
    def _responsible(self) -> Iterator[None]:
        """End a script that cannot be followed for a reason on this side, such as a full disk."""
        try:
            yield
        except Disconnected:
            raise
        except Exception:
            self._talk.abandon()
            raise

    def _first(self, *, leave: bool = False) -> Reply | None:
        wait = 0 if self._pace.settle or leave else FIRST_WAIT
        for _ in range(2):
            begun = time.monotonic()
            try:
                started = self._talk.start(wait, leave=leave or self._collect is not None)
                self._dropped = started.dropped
                return started
            except NeverConnected:
                raise
            except NoAnswer as silent:
                reply = self._talk.ask_whether_started(silent)
            except (Disconnected, ReplyError) as broken:
                reply = self._talk.reconnect(broken)
            # A run directory is removed only once its output was written: none there means that nothing arrived,
            # unless the host was restarted since. Then it is unknown what the script had done by that time.
            if reply is None or reply.state is not State.GONE:
                return reply
            if reply.uptime is not None and reply.uptime < time.monotonic() - begun:
                self._ending.first_boot_id = "the one before"
                return reply
        raise NeverConnected("the connection broke twice before the script could be started")

    def _follow(self, reply: Reply | None, stop: Stop | None = None) -> Ending:
        """Poll until the script has ended, no longer exists, or is abandoned."""
        while stop is not None or self._unfinished(reply):
            try:
                if stop is not None:
                    reason, stop = stop.reason, None
                    reply = self._talk.stop(reason)
                else:
                    reply = self._talk.poll(wait=0 if reply and reply.more else self._patience())
            except Stop as raised:
                if self._ending.stopped:
                    break
                stop = raised
        return self._finished(reply)

    def _finished(self, reply: Reply | None) -> Ending:
        """Fetch the remaining output, remove the run directory, and return the ending."""
        ending = self._ending
        if reply is not None:
            ending.reply = replace(reply, out=b"", err=b"")
        if self._collect is not None and reply is not None and self._is_over():
            self._collect(self._script.directory)
        # What could not be ended is looked for again by the run directory.
        is_over = reply is not None and reply.state in (State.DONE, State.LOST) and not ending.may_run
        if is_over and not self._dropped:
            if self._script.probes:
                self._talk.fetch_samples()
            self._dropped = self._talk.drop()
        ending.dropped = self._dropped
        if ending.reply.state is State.DONE and not ending.stopped:
            self._settle()
        return ending

    def _is_over(self) -> bool:
        """Whether the script was started and has ended, and nobody waits for the end of all of it."""
        ending = self._ending
        return ending.started and not ending.may_run and "canceled" not in (ending.stopped, ending.reply.why)

    def _settle(self) -> None:
        """Wait for the restart that a script may have asked for, and for the host to return: its boot id shows it."""
        give_up = time.monotonic() + self._pace.settle
        while time.monotonic() < give_up and not self._ending.rebooted and not self._ending.broken:
            try:
                self._transport.pause(0.5)
                reply = self._talk.poll()
            except Stop as stop:
                self._ending.stopped = stop.reason
                return
            if reply is not None:
                self._ending.reply = replace(self._ending.reply, boot_id=reply.boot_id)

    def _unfinished(self, reply: Reply | None) -> bool:
        if reply is None or time.monotonic() > self._talk.stop_deadline:
            return False
        return reply.more or reply.state is State.RUNNING

    def _patience(self) -> int:
        return int(min(max(LONG_WAIT, (time.monotonic() - self._begun) / 2), LONGEST_WAIT))
