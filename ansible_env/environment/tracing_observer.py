"""OpenTelemetry: a span for each trial, in it one for each phase, in that one for each host.

Spans go to the provider that the application has set up. Without the extra `otel` nothing happens.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_env.results.host_result import HostResult
from ansible_env.results.observer import TrialObserver
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.trial import Trial

try:
    from opentelemetry import trace
    from opentelemetry.trace import Span, StatusCode, set_span_in_context
except ImportError:  # the extra `otel` is not installed
    trace = None  # type: ignore[assignment]

PREFIX = "ansible_env."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TracingObserver(TrialObserver):
    """Creates the spans of trials, which may run at the same time."""

    def __init__(self) -> None:
        self._trials: dict[str, Span] = {}
        self._phases: dict[str, tuple[Span, int]] = {}
        """The span of the current phase of each trial, and when it began, in nanoseconds."""

    def on_trial_started(self, trial: Trial) -> None:
        """Begin the span of a trial."""
        if trace is not None:
            values = {"environment": trial.environment, "trial": trial.params.get("trial_id")}
            values |= {f"param.{name}": value for name, value in trial.params.items()}
            self._trials[trial.uid] = _start_span(f"trial {trial.environment}", values)

    def on_phase_started(self, trial: Trial, phase: str, playbook: str, hosts: Sequence[str]) -> None:
        """Begin the span of a phase."""
        if (parent := self._trials.get(trial.uid)) is not None:
            begun = time.time_ns()
            values = {"environment": trial.environment, "phase": phase}
            self._phases[trial.uid] = (_start_span(phase, values, parent, begun), begun)

    def on_phase_finished(self, trial: Trial, result: PhaseResult) -> None:
        """End the span of a phase, with the spans of its hosts."""
        span, begun = self._phases.pop(trial.uid, (None, 0))
        if span is None:
            return
        span.set_attributes(_attributes({"status": result.status.name, "hosts": len(result.hosts)}))
        now = time.time_ns()
        for host in result.hosts.values():
            _host_span(span, host, begun, now)
        _end_span(span, _failure(result))

    def on_trial_finished(self, trial: Trial) -> None:
        """End the span of a trial, and that of a phase which has no result."""
        span, _ = self._phases.pop(trial.uid, (None, 0))
        if span is not None:
            span.set_status(StatusCode.ERROR, trial.error)
            span.end()
        span = self._trials.pop(trial.uid, None)
        if span is None:
            return
        if (result := trial.deciding) is not None:
            values = {"status": result.status.name, **{f"metric.{n}": value for n, value in result.metrics.items()}}
            span.set_attributes(_attributes(values))
        _end_span(span, trial.error or (_failure(result) if result is not None else ""))


def _start_span(name: str, values: Mapping[str, Any], parent: Span | None = None, begun: int | None = None) -> Span:
    context = None if parent is None else set_span_in_context(parent)
    return trace.get_tracer("ansible_env").start_span(name, context, attributes=_attributes(values), start_time=begun)


def _end_span(span: Span, error: str, end: int | None = None) -> None:
    if error:
        span.set_status(StatusCode.ERROR, error)
    span.end(end)


def _host_span(phase: Span, host: HostResult, phase_begun: int, phase_ended: int) -> None:
    begin, end = _nanoseconds(host.started), _nanoseconds(host.finished)
    shift = 0
    if begin is None or end is None:
        begin, end = phase_begun, phase_ended
    elif begin < phase_begun or end > phase_ended:  # the host's clock is not ours, but how long it took is right
        shift = phase_begun - begin
    values = {
        "host": host.host,
        "kind": str(host.kind),
        "status": host.status.name,
        "rc": host.rc,
        "attempts": host.attempts,
        "reconnects": host.reconnects,
        "clock_shift_s": shift / 1e9 if shift else None,
        **{f"metric.{name}": value for name, value in host.metrics.items()},
    }
    span = _start_span(f"host {host.host}", values, phase, begin + shift)
    _end_span(span, "" if host.status.is_succeeded() else f"{host.kind}: {host.message}", end + shift)


def _failure(result: PhaseResult) -> str:
    """Return why a phase did not succeed; empty if it did."""
    if result.status.is_succeeded():
        return ""
    failed = result.failed_hosts
    reason = result.message or (f"{failed[0].host}: {failed[0].kind}: {failed[0].message}" if failed else "")
    return f"{result.phase} {result.status.name}: {reason}"


def _attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values in types of OpenTelemetry, without None."""
    plain = (bool, int, float, str)
    return {
        PREFIX + name: value if isinstance(value, plain) else str(value)
        for name, value in values.items()
        if value is not None
    }


def _nanoseconds(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1) * 1000  # a float would round
