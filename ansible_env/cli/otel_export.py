"""The exporters of spans. Importing it needs the extra `otel`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

EXPORTERS: dict[str, Callable[[], SpanExporter]] = {
    "otlp": OTLPSpanExporter,
    "console": lambda: ConsoleSpanExporter(out=sys.stderr),
}
_LONGEST_FLUSH = 5_000
"""Milliseconds that the end of a call may wait for a collector."""


@contextlib.contextmanager
def provider(kind: str) -> Iterator[None]:
    """Export what is traced in the block."""
    made = TracerProvider(resource=Resource.create({"service.name": "ansible-env"}))
    made.add_span_processor(BatchSpanProcessor(EXPORTERS[kind]()))
    trace.set_tracer_provider(made)
    try:
        yield
    finally:
        made.force_flush(_LONGEST_FLUSH)
        made.shutdown()
