"""Ends a phase on all of its hosts as soon as one of them has failed."""

from __future__ import annotations

import threading

from ansible_env.engine.protocol import Cancellation, Event, Listener
from ansible_env.results.fold.events import failure_of


class HaltOnFailure(Cancellation, Listener):
    """Between an engine and those who listen to it and may cancel it: a failure that passes through is a request, too.

    What the caller asks for goes on to his own cancellation, so that the two can be told apart afterwards.
    """

    def __init__(self, caller: Cancellation, listener: Listener | None) -> None:
        super().__init__(threading.Event())
        self._caller = caller
        self._listener = listener
        self.host = ""
        """The host that failed first."""

    def cancel(self) -> None:
        """Ask for the end, as the caller would."""
        self._caller.cancel()

    @property
    def requested(self) -> bool:
        """Whether the caller has asked, or a host has failed."""
        return bool(self.host) or self._caller.requested

    @property
    def halted(self) -> bool:
        """Whether a host's failure was the reason."""
        return bool(self.host) and not self._caller.requested

    def on_event(self, event: Event) -> None:
        """Look for a failure, and hand the event on."""
        if not self.host:
            self.host = failure_of(event)
        if self._listener is not None:
            self._listener.on_event(event)

    def on_output(self, host: str, stream: str, text: str) -> None:
        """Hand it on."""
        if self._listener is not None:
            self._listener.on_output(host, stream, text)
