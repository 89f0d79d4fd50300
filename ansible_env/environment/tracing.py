"""OpenTelemetry: a span for each trial, in it one for each phase, in that one for each host.

Spans go to whatever provider the application has set up. Without the extra `otel` all of this does nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_env.results.host_result import HostResult
from ansible_env.results.phase_result import PhaseResult, deciding_phase

try:
    from opentelemetry import trace
    from opentelemetry.trace import Span, StatusCode, set_span_in_context
except ImportError:  # the extra `otel` is not installed
    trace = None  # type: ignore[assignment]

PREFIX = "ansible_env."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TrialTrace:
    """The span of one trial, begun with its first phase."""

    def __init__(self, environment: str) -> None:
        self._environment = environment
        self._span: Span | None = None
        self._phases: dict[str, PhaseResult] = {}

    @contextlib.contextmanager
    def phase(self, phase: str, params: Mapping[str, Any]) -> Iterator[_PhaseTrace]:
        """Trace a phase; the block says what came of it."""
        if trace is None:
            yield _PhaseTrace(None)
            return
        tracer = trace.get_tracer("ansible_env")
        if self._span is None:
            about = _attributes({"environment": self._environment, "trial": params.get("trial_id")})
            given = _attributes({f"param.{name}": value for name, value in params.items()})
            self._span = tracer.start_span(f"trial {self._environment}", attributes=about | given)
        parent = set_span_in_context(self._span)
        about = _attributes({"environment": self._environment, "phase": phase})
        with tracer.start_as_current_span(phase, context=parent, attributes=about) as span:
            traced = _PhaseTrace(span)
            yield traced
        if traced.result is not None:
            self._phases[phase] = traced.result

    def end(self) -> None:
        """End the span; the next phase begins another one."""
        if self._span is not None:
            if (result := deciding_phase(self._phases)) is not None:
                values = {"status": result.status.name, **{f"metric.{n}": value for n, value in result.metrics.items()}}
                self._span.set_attributes(_attributes(values))
                if fault := _fault(result):
                    self._span.set_status(StatusCode.ERROR, fault)
            self._span.end()
        self._span, self._phases = None, {}


class _PhaseTrace:
    """The span of a phase."""

    def __init__(self, span: Span | None) -> None:
        self._span = span
        self._begun = time.time_ns()
        self.result: PhaseResult | None = None

    def end(self, result: PhaseResult) -> None:
        """Say what came of the phase, and draw the spans of its hosts."""
        if self._span is None or trace is None:
            return
        self.result = result
        self._span.set_attributes(_attributes({"status": result.status.name, "hosts": len(result.hosts)}))
        if fault := _fault(result):
            self._span.set_status(StatusCode.ERROR, fault)
        now = time.time_ns()
        for host in result.hosts.values():
            self._draw(host, now)

    def _draw(self, host: HostResult, now: int) -> None:
        begin, end = _nanoseconds(host.started), _nanoseconds(host.finished)
        shift = 0
        if begin is None or end is None:
            begin, end = self._begun, now
        elif begin < self._begun or end > now:  # the host's clock is not ours, but how long it took is right
            shift = self._begun - begin
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
        tracer = trace.get_tracer("ansible_env")
        span = tracer.start_span(f"host {host.host}", attributes=_attributes(values), start_time=begin + shift)
        if not host.status.is_succeeded():
            span.set_status(StatusCode.ERROR, f"{host.kind}: {host.message}")
        span.end(end + shift)


def _fault(result: PhaseResult) -> str:
    """Return why a phase is no success, or nothing."""
    if result.status.is_succeeded():
        return ""
    failed = result.failed_hosts
    told = result.message or (f"{failed[0].host}: {failed[0].kind}: {failed[0].message}" if failed else "")
    return f"{result.phase} {result.status.name}: {told}"


def _attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as OpenTelemetry takes them, without those that are none."""
    plain = (bool, int, float, str)
    return {
        PREFIX + name: value if isinstance(value, plain) else str(value)
        for name, value in values.items()
        if value is not None
    }


def _nanoseconds(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1) * 1000  # a float would round
