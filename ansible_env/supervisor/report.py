"""The result of the phase task for one script on one host. It is small, whatever the script printed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from ansible_env.errors import MetricsPatternError, MetricsTimeoutError
from ansible_env.results.disturbance import DisturbanceLimits
from ansible_env.results.exports import find_exports
from ansible_env.results.metrics.json_output import JsonMetrics
from ansible_env.results.metrics.parse import MetricsParseError, Value, limited, parse
from ansible_env.results.metrics.pattern import compile_pattern
from ansible_env.results.metrics.results_file import ResultsFile
from ansible_env.results.metrics.validity import DECIDED_BY_METRICS, MetricRules, missing
from ansible_env.results.outcomes import OUTCOMES, Kind
from ansible_env.supervisor.capture import Capture
from ansible_env.supervisor.collect import Collection
from ansible_env.supervisor.counters import disturbance, resources
from ansible_env.supervisor.ending import Ending
from ansible_env.supervisor.protocol import Reply, State
from ansible_env.supervisor.script import Script
from ansible_env.supervisor.telemetry import Sample

RESULT_VERSION = 1
"""Value of the key `ansible_env` in a task result, which marks the events of our own tasks."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Return a text without control characters, so that a host can neither act on our terminal nor forge events."""
    return _CONTROL.sub("", text)


def one_line(metrics: Mapping[str, Value]) -> str:
    """Return metrics on one line for a person to read."""
    return plain("  ".join(f"{name}={value}" for name, value in metrics.items()))


def refused(kind: Kind, message: str) -> dict[str, Any]:
    """Return the result of a script that was not started."""
    return _base(kind, message)


def nothing_to_run() -> dict[str, Any]:
    """Return the result of a task without a script. It proves that the host completed all tasks before it."""
    return {**_base(Kind.OK, "nothing to run"), "rc": 0}


def task_result(
    kind: Kind,
    message: str,
    script: Script,
    ending: Ending,
    capture: Capture,
    *,
    metrics: Mapping[str, Value],
    telemetry: Iterable[Sample] = (),
) -> dict[str, Any]:
    """Return the result of a script that was started, or may have been."""
    stdout, cut_out = capture.out.excerpt()
    stderr, cut_err = capture.err.excerpt()
    result = _base(kind, message)
    result |= {
        "changed": ending.started,
        "run_id": script.run_id,
        "rebooted": ending.rebooted,
        "metrics": dict(metrics),
        "metrics_partial": bool(metrics) and kind not in DECIDED_BY_METRICS,
        "start": _iso(ending.reply.begin),
        "end": _iso(ending.reply.end),
        "stdout": stdout,
        "stderr": stderr,
        "truncated": cut_out or cut_err,
        "stdout_bytes": capture.out.size,
        "stderr_bytes": capture.err.size,
        "reconnects": ending.reconnects,
        "left_running": list(ending.reply.left),
    }
    if ending.reply.rc is not None:  # ansible-core 2.21 takes out an `rc` that is null
        result["rc"] = ending.reply.rc
    reply = ending.reply
    if reply.begin and reply.end:
        result["elapsed"] = (reply.end - reply.begin).total_seconds() - (reply.clock_step or 0)
    if reply.clock_step:
        result["clock_step"] = reply.clock_step
    if reply.escaped:
        result["leftovers"] = [plain(name) for name in reply.escaped]
    if script.lease is not None and ending.reply.state is not State.BUSY:
        result["leased"] = not (script.lease.release and ending.dropped)
    if ending.may_run:
        result["may_run"] = True
    if script.probes:
        result["telemetry"] = [[time.isoformat(), name, value] for time, name, value in telemetry]
    if capture.keep and capture.out.path and capture.err.path:  # in memory, if the controller's disk is full
        result |= {"stdout_log": str(capture.out.path), "stderr_log": str(capture.err.path)}
    return result


def accounts(reply: Reply, limits: DisturbanceLimits) -> dict[str, Any]:
    """Return the keys of a result about what the script has used, and what has disturbed it."""
    found: dict[str, Any] = {}
    if used := resources(reply.before, reply.after):
        found["resources"] = used
    if others := disturbance(reply.before, reply.after, reply.clock_step):
        found["disturbance"] = others
    if reason := limits.reason(others):
        found["disturbed"] = reason
    return found


def judge_metrics(
    kind: Kind,
    message: str,
    stdout: Iterable[str],
    *,
    pattern: str | None,
    document: JsonMetrics | None,
    rules: MetricRules,
    file: ResultsFile | None = None,
) -> tuple[Kind, str, dict[str, Value]]:
    """Parse the metrics in the output, and those in a file, which override equal names.

    If they break a rule, a success becomes `metrics_missing` or `metrics_invalid`.
    """
    try:
        metrics = parse(stdout, compile_pattern(str(pattern)) if pattern else None, document=document)
        if file is not None:
            metrics = limited([*metrics.items(), *file.metrics().items()])
    except (MetricsParseError, MetricsTimeoutError) as error:
        return (Kind.METRICS_MISSING, str(error), {}) if kind is Kind.OK else (kind, message, {})
    fault = rules.fault(metrics) if kind is Kind.OK else None
    return *(fault or (kind, message)), metrics


def judge_exports(
    kind: Kind, message: str, stdout: Callable[[], Iterable[str]], patterns: Mapping[str, str]
) -> tuple[Kind, str, dict[str, str]]:
    """Find the exports in a script's stdout. Without one of them, a success becomes `metrics_missing`."""
    try:
        exports = find_exports(patterns, stdout)
    except (MetricsPatternError, MetricsParseError, MetricsTimeoutError) as error:
        return (Kind.METRICS_MISSING if kind is Kind.OK else kind), str(error), {}
    if kind is Kind.OK and (lacking := missing(patterns, exports)):
        kind, message = Kind.METRICS_MISSING, lacking
    return kind, message, exports


def collected(collection: Collection) -> dict[str, Any]:
    """Return what a result says about collected files."""
    result = {
        "files": [plain(path) for path in collection.files],
        "files_dir": str(collection.directory) if collection.directory and collection.files else None,
        "files_note": plain("; ".join(collection.notes)),
    }
    return {name: value for name, value in result.items() if value}


def _base(kind: Kind, message: str) -> dict[str, Any]:
    status = OUTCOMES[kind].status
    return {
        "ansible_env": RESULT_VERSION,
        "changed": False,
        "failed": not status.is_succeeded(),
        "unreachable": kind in (Kind.UNREACHABLE, Kind.AUTH),
        "status": status.name,
        "kind": str(kind),
        "msg": plain(message),
    }


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
