"""The intervals for following a script, and its ending."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_env.supervisor.protocol import NOT_STARTED, Reply, State


@dataclass(frozen=True, slots=True)
class Pace:
    """The intervals and limits for following a script."""

    tick: int = 1
    """Seconds after which the target checks again for new output."""
    reconnect: float = 60
    """Seconds for which a lost connection is retried."""
    settle: float = 0
    """Seconds after its end in which a script that may restart its host has to begin that."""


@dataclass(slots=True)
class Ending:
    """What is known about the end of a script."""

    reply: Reply
    broken: str = ""
    """The error of a transport that stayed broken until the retries ended; else empty."""
    reconnects: int = 0
    """How often the connection was retried."""
    first_boot_id: str = ""
    """The boot of the host on which the script was started; empty if that is not known."""
    samples: bytes = b""
    """Telemetry, as the target wrote it."""
    dropped: bool = False
    """Whether the run directory was removed."""
    stopped: str = ""
    """The reason if the script was ended, or the target was left to end it, such as `canceled`; else empty."""

    @property
    def started(self) -> bool:
        """Whether the script was started, or may have been."""
        return self.reply.state not in NOT_STARTED

    @property
    def rebooted(self) -> bool:
        """Whether the host was restarted since the script was started."""
        now = self.reply.boot_id
        return bool(self.first_boot_id and now and now != self.first_boot_id)

    @property
    def may_run(self) -> bool:
        """Whether the script may still be running because the host has not confirmed its end."""
        reply = self.reply
        if not self.started or self.rebooted:
            return False
        if reply.state is State.DONE:  # what a script leaves when it ends by itself may be meant to stay
            return bool(reply.why and reply.left)
        if reply.state is State.LOST or (reply.state is State.GONE and self.stopped):
            return bool(reply.left)  # the host has looked for the processes of the script
        return True
