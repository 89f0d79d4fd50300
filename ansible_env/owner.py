"""Who made something: a process, told from a later one with the same pid."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """A process and when it was started, in the kernel's own count (boot id and ticks) where /proc tells."""

    pid: int
    started: str
    namespace: str = field(default_factory=lambda: _namespace())
    """The pid namespace that the pid is one of: a container sees none of its host's, and its host all of its."""

    @classmethod
    def this(cls) -> Owner:
        """Return the process that asks."""
        return cls(os.getpid(), _started(os.getpid()))

    @classmethod
    def of_text(cls, text: str) -> Owner:
        """Read what `to_text` gave.

        Raises:
            ValueError: it is something else.
        """
        pid, namespace, started = text.split(" ", 2)
        return cls(int(pid), started, namespace)

    def to_text(self) -> str:
        """Return it on one line."""
        return f"{self.pid} {self.namespace} {self.started}"

    def lives(self) -> bool:
        """Whether the very same process is still there; True where that cannot be told from here."""
        if self.namespace != _namespace():
            return True
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):  # no such process, or no such number
            return False
        except PermissionError:
            pass
        return _started(self.pid) == self.started


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "-"


def _started(pid: int) -> str:
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii').strip()} {ticks}"
    except (OSError, IndexError):
        return ""
