"""Sends the spans of a call to the collector that the variables of OpenTelemetry name.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from ansible_env.cli.console import PROGRAM, say
from ansible_env.common import pip_install

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTERS = ("otlp", "console")
_LONGEST_FLUSH = 5_000
"""Milliseconds that the end of a call may wait for a collector."""


def wanted_exporter() -> str:
    """Return the exporter that the variables select: `otlp`, `console`, another name, or an empty string."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ""
    named = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if named:
        return "" if named == "none" else named
    return "otlp" if any(os.environ.get(name) for name in _ENDPOINTS) else ""


@contextlib.contextmanager
def exported() -> Iterator[None]:
    """Export the spans of the block. A problem with that is a warning."""
    kind = wanted_exporter()
    provider = None
    if kind and kind not in _EXPORTERS:
        known = ", ".join(_EXPORTERS)
        say(f"{PROGRAM}: warning: no traces are sent: OTEL_TRACES_EXPORTER is {kind!r}, and not one of {known}, none")
    elif kind:
        try:
            provider = _provider(kind)
        except ImportError:
            say(f"{PROGRAM}: warning: no traces are sent: {pip_install('otel')}")
    try:
        yield
    finally:
        if provider is not None:
            provider.force_flush(_LONGEST_FLUSH)
            provider.shutdown()


def _provider(kind: str) -> Any:
    """Install a provider that exports spans. The extra `otel` brings the modules, which are slow to import."""
    sdk = import_module("opentelemetry.sdk.trace")
    export = import_module("opentelemetry.sdk.trace.export")
    resource = import_module("opentelemetry.sdk.resources").Resource.create({"service.name": "ansible-env"})
    if kind == "console":
        exporter = export.ConsoleSpanExporter(out=sys.stderr)
    else:
        exporter = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter").OTLPSpanExporter()
    provider = sdk.TracerProvider(resource=resource)
    provider.add_span_processor(export.BatchSpanProcessor(exporter))
    import_module("opentelemetry.trace").set_tracer_provider(provider)
    return provider
