"""Sends the spans of a call to where the variables of OpenTelemetry say.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from importlib import import_module

from ansible_env.cli.screen import PROGRAM, say

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def wanted() -> str:
    """Return the exporter that the variables ask for: `otlp`, `console` or none."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ""
    named = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if named:
        return "" if named == "none" else named
    return "otlp" if any(os.environ.get(name) for name in _ENDPOINTS) else ""


@contextlib.contextmanager
def exported() -> Iterator[None]:
    """Export what is traced in the block."""
    kind = wanted()
    if not kind:
        yield
        return
    try:
        # Heavy, and asked for by few.
        export = import_module("ansible_env.cli.otel_export")
    except ImportError:
        say(f"{PROGRAM}: warning: no traces are sent: pip install 'ansible-env[otel]'")
        yield
        return
    if kind not in export.EXPORTERS:
        known = ", ".join(export.EXPORTERS)
        say(f"{PROGRAM}: warning: no traces are sent: OTEL_TRACES_EXPORTER is {kind!r}, and not one of {known}, none")
        yield
        return
    with export.provider(kind):
        yield
