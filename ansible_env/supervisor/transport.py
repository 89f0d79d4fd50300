"""The interface of a transport, which carries payloads to a target, and its errors."""

from __future__ import annotations

import time
import uuid
from typing import Protocol

from ansible_env.errors import AnsibleEnvError
from ansible_env.supervisor.protocol import ReplyError, parse_reply
from ansible_env.supervisor.script import poll_payload

ANSWER = 30
"""Seconds that an answer may take beyond the wait that was asked for."""

HUNG = "no answer within"
"""The begin of the message about a transport that hangs."""


class Disconnected(AnsibleEnvError):
    """The transport broke; the payload may or may not have arrived."""


class NeverConnected(Disconnected):
    """The payload cannot have arrived: no connection, no login, or no shell."""


class NoAnswer(Disconnected):
    """The command on the target ended without a reply: there is no shell, or it was killed."""


class Stop(BaseException):
    """Raised inside a transport, by a signal handler, to end the script."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Transport(Protocol):
    """Carries one payload to the stdin of the target's `/bin/sh` and brings back its stdout.

    A `Stop` may be raised only in these two methods, so it interrupts nothing else.
    """

    def exchange(self, payload: str, limit: float) -> bytes:
        """Return what the shell printed.

        Raises:
            NeverConnected: the payload did not arrive.
            NoAnswer: the command ended without a reply.
            Disconnected: it is not known whether the payload arrived; also after `limit` seconds.
            Stop: the script is to be ended.
        """
        ...

    def pause(self, seconds: float) -> None:
        """Wait. Raise Stop if the script is to be ended."""
        ...


def wait_for_host(transport: Transport, seconds: float) -> str:
    """Wait until a target's shell answers, and return its boot id; raise NeverConnected after all that time."""
    give_up = time.monotonic() + seconds
    pause = 0.2
    while True:
        nonce = uuid.uuid4().hex
        payload = poll_payload("/ansible_env.none", nonce, out=0, err=0, wait=0, tick=1)
        try:
            return parse_reply(transport.exchange(payload, min(ANSWER, seconds)), nonce).boot_id
        except (Disconnected, ReplyError) as broken:
            if time.monotonic() + pause >= give_up:
                raise NeverConnected(f"{HUNG} {seconds:g} s: {broken}") from broken
        transport.pause(pause)
        pause = min(pause * 1.5, 3)
