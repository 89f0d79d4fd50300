"""`PhaseEvents`: follows one phase, and passes on what happens in it; `StopOnFailure` ends it when a host fails."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_env.engine.protocol import Cancellation, Event, Listener
from ansible_env.results.fold.events import failure_of, final_data
from ansible_env.results.fold.fold_hosts import Expected, settled_result
from ansible_env.results.host_result import HostResult, without_secrets
from ansible_env.results.masking import Secrets
from ansible_env.results.observer import TrialObserver, notify
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.trial import Trial
from ansible_env.storage.journal import Journal

_TEXTS = ("res", "task_args", "name")
"""What may contain a secret in the data of an event."""


@dataclass(frozen=True, slots=True)
class PhaseCall:
    """The input of a phase beside its playbook."""

    cancel: Cancellation
    secrets: Mapping[str, Any] = field(default_factory=dict)
    logs: Path | None = None
    """The directory for the full output."""
    journal: Journal | None = None
    key: str | None = None
    """The key under which the phase was started, if it is resumed."""
    listener: Listener | None = None
    trial: Trial | None = None
    """The trial that the observers follow."""
    observers: Sequence[TrialObserver] = ()

    @property
    def secret_values(self) -> list[str]:
        """The values of all secrets of the trial."""
        return [str(value) for values in self.secrets.values() for value in values.values()]


class PhaseEvents(Listener):
    """Passes events and output to the listener and the observers of a call, with the result of each host."""

    def __init__(self, call: PhaseCall, phase: str, expected: Expected) -> None:
        self._listener = call.listener
        self._trial = call.trial
        self._observers = call.observers if call.trial is not None else ()
        self._phase = phase
        self._expected = expected
        self._secrets = Secrets(call.secret_values)
        self._events: dict[str, list[Event]] = {}
        self._reported: dict[str, HostResult] = {}

    @property
    def are_followed(self) -> bool:
        """Whether anybody wants to know of events, output or hosts while the phase runs; else it costs less."""
        return self._listener is not None or any(map(_follows, self._observers))

    def started(self, playbook: str, hosts: Sequence[str]) -> None:
        """Report the start of the phase."""
        if (trial := self._trial) is not None:
            notify(self._observers, lambda o: o.on_phase_started(trial, self._phase, playbook, hosts))

    def attempt(self) -> None:
        """Discard the events of the previous attempt."""
        self._events.clear()

    def on_event(self, event: Event) -> None:
        """Pass an event on, and the result of its host if it is known now."""
        if self._secrets:
            event = _without_secrets(event, self._secrets)
        if self._listener is not None:
            self._listener.on_event(event)
        if (trial := self._trial) is None or not self._observers:
            return
        notify(self._observers, lambda o: o.on_event(trial, event))
        if (result := self._result(event)) is not None:
            self._report(trial, result)

    def finished(self, result: PhaseResult) -> None:
        """Report the results of hosts that were not known, or were others, before the end of the phase."""
        if (trial := self._trial) is not None and self._observers:
            for host in result.hosts.values():
                if self._reported.get(host.host) != host:
                    self._report(trial, host)

    def on_output(self, host: str, stream: str, text: str) -> None:
        """Pass output on."""
        if self._listener is not None:
            self._listener.on_output(host, stream, text)
        if (trial := self._trial) is not None:
            notify(self._observers, lambda o: o.on_output(trial, host, stream, text))

    def _report(self, trial: Trial, result: HostResult) -> None:
        self._reported[result.host] = result
        notify(self._observers, lambda o: o.on_host_result(trial, self._phase, result))

    def _result(self, event: Event) -> HostResult | None:
        host = final_data(event).get("host")
        if not isinstance(host, str):
            return None
        events = self._events.setdefault(host, [])
        events.append(event)
        result = settled_result(host, events, self._expected)
        return without_secrets(result, self._secrets) if result is not None else None


def _follows(observer: TrialObserver) -> bool:
    """Whether an observer does something while a phase runs."""
    return any(
        getattr(getattr(observer, name), "__func__", None) is not getattr(TrialObserver, name)
        for name in ("on_event", "on_output", "on_host_result")
    )


def _without_secrets(event: Event, secrets: Secrets) -> Event:
    """Return an event whose texts contain no secrets. What names its host and its task stays as it is."""
    data = event.get("event_data")
    shown: dict[str, Any] = {"stdout": secrets.hide(str(event["stdout"]))} if event.get("stdout") else {}
    if isinstance(data, Mapping):
        shown["event_data"] = {**data, **{key: secrets.hide_in(data[key]) for key in _TEXTS if key in data}}
    return {**event, **shown}


class StopOnFailure(Cancellation, Listener):
    """A listener that requests the end of a run when a host fails, and passes everything on to another listener.

    A request of the caller uses the caller's cancellation, so that both reasons can be distinguished afterwards.
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
