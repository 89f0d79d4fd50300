"""The pseudo-terminal that ansible-runner reads from, without the tenth of a second it sleeps after each run."""

from __future__ import annotations

import time
import types
from typing import Any

import ansible_runner.runner
import pexpect

GRACE = 0.1
"""Seconds that ptyprocess waits for a process to end after its output has: always, while most need a millisecond."""


class _Spawn(pexpect.spawn):  # type: ignore[misc]
    """`pexpect.spawn`, but `close()` looks often instead of sleeping once (ptyprocess `delayafterclose`)."""

    def close(self, force: bool = True) -> None:
        """Close the terminal as soon as the process has ended."""
        give_up = time.monotonic() + GRACE
        while self.isalive() and time.monotonic() < give_up:
            time.sleep(0.001)
        self.ptyproc.delayafterclose = 0 if not self.isalive() else GRACE
        super().close(force)


def install() -> None:
    """Have ansible-runner, and nobody else who uses pexpect, start its processes with it."""
    if getattr(ansible_runner.runner.pexpect, "spawn", None) is _Spawn:
        return
    names: dict[str, Any] = {**vars(pexpect), "spawn": _Spawn}
    ansible_runner.runner.pexpect = types.SimpleNamespace(**names)
