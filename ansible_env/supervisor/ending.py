"""How closely a script is followed, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_env.supervisor.protocol import Reply


@dataclass(frozen=True, slots=True)
class Pace:
    """How closely a script is followed."""

    tick: int = 1
    """Seconds between two looks for new output, on the target."""
    reconnect: float = 60
    """Seconds for which a lost connection is tried again."""
    settle: float = 0
    """Seconds after its end for which a script that may restart its host is watched doing so."""


@dataclass(slots=True)
class Ending:
    """How a script ended, as far as is known."""

    reply: Reply
    started: bool = True
    """False where the script cannot have been started."""
    broken: str = ""
    """Words of the transport that stayed broken until we gave up."""
    reconnects: int = 0
    first_boot_id: str = ""
    samples: bytes = b""
    """Telemetry, as the target wrote it."""
    stopped: str = ""
    """`canceled` or `timeout` where we ended the script, or had to leave that to the target."""

    @property
    def rebooted(self) -> bool:
        """Whether the host was restarted since the script was started."""
        now = self.reply.boot_id
        return bool(self.first_boot_id and now and now != self.first_boot_id)
