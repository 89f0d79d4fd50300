"""The result of a host, read from one event or inferred from the lack of any."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ansible_env.results.connections import connection_hint, connection_kind, connection_message
from ansible_env.results.fold.events import is_ours
from ansible_env.results.host_result import HostResult
from ansible_env.results.outcomes import OUTCOMES, Kind
from ansible_env.results.values import is_number


def of_script(host: str, event: Mapping[str, Any]) -> HostResult:
    """Read the result of one phase task."""
    res = event["event_data"].get("res")
    if not isinstance(res, Mapping) or not res:
        return HostResult(host, Kind.CONTROLLER, "ansible-runner dropped the result of the task: it was too large")
    if "ansible_env" not in res:
        return of_failure(host, event)
    kind = _kind(res.get("kind"))
    rc = _int(res.get("rc"))
    proven = rc == 0 or (rc is None and res.get("rebooted") is True) or res.get("ended") is True
    if kind is Kind.OK and not (proven and event["event"] == "runner_on_ok"):
        message = f"a success without proof: {event['event']}, exit status {rc}"
        return HostResult(host, Kind.CONTROLLER, message)
    message = str(res.get("msg") or f"the phase task reported '{kind}' without a message")
    metrics, pids, exports = res.get("metrics"), res.get("left_running"), res.get("exports")
    return HostResult(
        host=host,
        kind=kind,
        message=message,
        rc=rc,
        metrics=dict(metrics) if isinstance(metrics, Mapping) else {},
        metrics_partial=bool(res.get("metrics_partial")),
        started=_time(res.get("start")),
        finished=_time(res.get("end")),
        stdout=str(res.get("stdout", "")),
        stderr=str(res.get("stderr", "")),
        truncated=bool(res.get("truncated")),
        stdout_log=_text(res.get("stdout_log")),
        stderr_log=_text(res.get("stderr_log")),
        reconnects=_int(res.get("reconnects")) or 0,
        telemetry=_telemetry(res.get("telemetry")),
        clock_offset=_float(res.get("clock_offset")),
        clock_error=_float(res.get("clock_error")),
        clock_step=_float(res.get("clock_step")),
        exports={str(k): str(v) for k, v in exports.items()} if isinstance(exports, Mapping) else {},
        files=_texts(res.get("files")),
        files_dir=_text(res.get("files_dir")),
        files_note=_text(res.get("files_note")) or "",
        leftovers=tuple(str(name) for name in _list(res.get("leftovers"))),
        disturbance=_numbers(res.get("disturbance")),
        disturbed=str(res.get("disturbed") or ""),
        resources=_numbers(res.get("resources")),
        left_running=tuple(pid for pid in pids if _int(pid) is not None) if isinstance(pids, list | tuple) else (),
    )


def of_failure(host: str, event: Mapping[str, Any]) -> HostResult:
    """Read the failure of an Ansible task, or of the connection before the phase task could start."""
    data = event["event_data"]
    res = data.get("res")
    # A failed include has `reason` instead of `msg`.
    reasons = [res.get(key) for key in ("msg", "reason", "module_stderr")] if isinstance(res, Mapping) else []
    said = str(next(filter(None, reasons), ""))
    task = str(data.get("task") or data.get("task_action") or "")
    kind = connection_kind(said)
    if event["event"] == "runner_on_unreachable" or kind is Kind.BECOME:
        return HostResult(host, kind, f"{connection_message(said)} ({connection_hint(said)})", task=task)
    text = " ".join(said.split())
    if is_ours(event):
        return HostResult(host, Kind.CONTROLLER, text or "the phase task returned no result", task=task)
    rc = _int(res.get("rc")) if isinstance(res, Mapping) else None
    return HostResult(host, Kind.TASK, f"task '{task}': {text or 'failed'}", rc=rc, task=task)


def of_silence(host: str, stopped: str, message: str, begun: bool) -> HostResult:
    """Return the result of a host that reported neither a result nor a failure.

    Args:
        host: its name.
        stopped: `canceled` or `timeout` if the controller ended the run, else empty.
        message: what Ansible reported outside of any task, if it failed.
        begun: whether there are events of the host.
    """
    if stopped == "timeout":
        return HostResult(host, Kind.TIMEOUT, "the deadline of the phase passed before the host had a result")
    if stopped:
        return HostResult(host, Kind.CANCELED, "canceled before the host had a result")
    if message:
        return HostResult(host, Kind.CONTROLLER, message)
    extent = "did not complete" if begun else "did not run"
    return HostResult(host, Kind.NOT_RUN, f"Ansible {extent} the phase on this host")


def _kind(name: Any) -> Kind:
    return Kind(name) if isinstance(name, str) and name in OUTCOMES else Kind.CONTROLLER


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _telemetry(items: Any) -> tuple[tuple[datetime, str, Any], ...]:
    """Return the samples among the items; leave out anything else."""
    samples = []
    for item in items if isinstance(items, list) else ():
        if isinstance(item, list) and len(item) == 3 and isinstance(item[1], str) and (time := _time(item[0])):
            samples.append((time, item[1], item[2]))
    return tuple(samples)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _numbers(values: Any) -> dict[str, float]:
    return {str(k): float(v) for k, v in values.items() if is_number(v)} if isinstance(values, Mapping) else {}


def _float(value: Any) -> float | None:
    return float(value) if is_number(value) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(items: Any) -> tuple[str, ...]:
    return tuple(item for item in items if isinstance(item, str)) if isinstance(items, list | tuple) else ()


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
