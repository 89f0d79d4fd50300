"""`StopOnFailure`: ends a phase on all of its hosts as soon as one of them has failed."""

from __future__ import annotations

import threading

from ansible_env.engine.protocol import Cancellation, Event, Listener
from ansible_env.results.fold.events import failure_of


class StopOnFailure(Cancellation, Listener):
    """A listener that requests the end of a run when a host fails, and passes everything on to another listener.

    A request of the caller goes to his own cancellation, so that both reasons can be distinguished afterwards.
    """

    def __init__(self, caller: Cancellation, listener: Listener) -> None:
        super().__init__(threading.Event())
        self._caller = caller
        self._listener = listener
        self.host = ""
        """The host that failed first."""

    def cancel(self) -> None:
        """Request the end, as the caller does."""
        self._caller.cancel()

    @property
    def requested(self) -> bool:
        """Whether the caller has requested the end, or a host has failed."""
        return bool(self.host) or self._caller.requested

    @property
    def stopped(self) -> bool:
        """Whether the failure of a host was the reason."""
        return bool(self.host) and not self._caller.requested

    def on_event(self, event: Event) -> None:
        """Look for a failure, and pass the event on."""
        if not self.host:
            self.host = failure_of(event)
        self._listener.on_event(event)

    def on_output(self, host: str, stream: str, text: str) -> None:
        """Pass the output on."""
        self._listener.on_output(host, stream, text)
