"""From Ansible's events to results. Pure: any events in any order, also twice or forged, give a result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ansible_env.outcomes import OUTCOMES, Kind, connection_hint, connection_kind
from ansible_env.playbook import PHASE_TASK
from ansible_env.result import HostResult, PhaseResult, combine, phase_result

_FINAL = {"runner_on_ok", "runner_on_failed", "runner_on_unreachable", "runner_on_skipped"}


def fold(
    phase: str,
    events: Iterable[Mapping[str, Any]],
    expected: Sequence[str],
    *,
    scripts: int = 1,
    required_metrics: Sequence[str] = (),
    stopped: str = "",
    message: str = "",
) -> PhaseResult:
    """Turn the events of a run into the result of a phase.

    Args:
        phase: its name.
        events: events of ansible-runner that are known to be genuine.
        expected: the hosts that have to give a result.
        scripts: how many phase tasks a host has to get through.
        required_metrics: names without which a success is none.
        stopped: `canceled` or `timeout`, where the controller ended the run.
        message: what Ansible said outside of any task, where it failed.
    """
    told: dict[str, dict[str, Mapping[str, Any]]] = {host: {} for host in expected}
    for event in events:
        data = event.get("event_data")
        if event.get("event") not in _FINAL or not isinstance(data, Mapping):
            continue
        host = data.get("host")
        if isinstance(host, str) and host in told:
            told[host][str(data.get("task_uuid") or data.get("uuid"))] = event
    hosts = [_host(host, list(told[host].values()), scripts, required_metrics, stopped, message) for host in expected]
    return phase_result(phase, hosts, message if any(h.kind is Kind.CONTROLLER for h in hosts) else "")


def _host(
    host: str,
    events: Sequence[Mapping[str, Any]],
    scripts: int,
    required: Sequence[str],
    stopped: str,
    message: str,
) -> HostResult:
    """Judge one host by what is known of it, the surest evidence first."""
    ours = [event for event in events if _is_ours(event)]
    results = [_of_script(host, event) for event in ours]
    if len(results) >= scripts and all(result.kind is Kind.OK for result in results):
        return _with_metrics(combine(results), required)
    bad = [result for result in results if result.kind is not Kind.OK]
    if bad:
        return combine([result for result in results if result.kind is Kind.OK] + bad[:1])
    failures = [event for event in events if not _is_ours(event) and _has_failed(event)]
    last = _of_failure(host, failures[-1]) if failures else _silent(host, stopped, message, bool(events))
    return combine([*results, last]) if results else last


def _is_ours(event: Mapping[str, Any]) -> bool:
    data = event["event_data"]
    return bool(data.get("task_action") == PHASE_TASK and event["event"] != "runner_on_skipped")


def _has_failed(event: Mapping[str, Any]) -> bool:
    if event["event"] == "runner_on_unreachable":
        return True
    return event["event"] == "runner_on_failed" and not event["event_data"].get("ignore_errors")


def _of_script(host: str, event: Mapping[str, Any]) -> HostResult:
    """Read the result of one phase task."""
    res = event["event_data"].get("res")
    if not isinstance(res, Mapping) or not res:
        return HostResult(host, Kind.CONTROLLER, "ansible-runner dropped the task's result: it was too large")
    if "ansible_env" not in res:
        return _of_failure(host, event)
    kind = _kind(res.get("kind"))
    rc = res.get("rc") if isinstance(res.get("rc"), int) else None
    proven = rc == 0 or (rc is None and res.get("rebooted") is True)
    if kind is Kind.OK and not (proven and event["event"] == "runner_on_ok"):
        return HostResult(host, Kind.CONTROLLER, f"a success that is none: {event['event']}, exit status {rc}")
    metrics = res.get("metrics")
    return HostResult(
        host=host,
        kind=kind,
        message=str(res.get("msg", "")),
        rc=rc,
        metrics=dict(metrics) if isinstance(metrics, Mapping) else {},
        metrics_partial=bool(res.get("metrics_partial")),
        started=_time(res.get("started")),
        finished=_time(res.get("finished")),
        stdout=str(res.get("stdout", "")),
        stderr=str(res.get("stderr", "")),
        truncated=bool(res.get("truncated")),
        stdout_log=res.get("stdout_log"),
        stderr_log=res.get("stderr_log"),
        reconnects=res["reconnects"] if isinstance(res.get("reconnects"), int) else 0,
        left_running=tuple(pid for pid in res.get("left_running") or () if isinstance(pid, int)),
    )


def _of_failure(host: str, event: Mapping[str, Any]) -> HostResult:
    """Read the failure of an Ansible task, or of the connection before ours could start."""
    data = event["event_data"]
    res = data.get("res")
    text = str(res.get("msg") or res.get("module_stderr") or "") if isinstance(res, Mapping) else ""
    text = " ".join(text.split())
    task = str(data.get("task") or data.get("task_action") or "")
    if event["event"] == "runner_on_unreachable":
        kind = connection_kind(text)
        return HostResult(host, kind, f"{text} ({connection_hint(text)})", task=task)
    if connection_kind(text) is Kind.BECOME:
        return HostResult(host, Kind.BECOME, text, task=task)
    if _is_ours(event):
        return HostResult(host, Kind.CONTROLLER, text, task=task)
    rc = res.get("rc") if isinstance(res, Mapping) and isinstance(res.get("rc"), int) else None
    return HostResult(host, Kind.TASK, f"task '{task}': {text or 'failed'}", rc=rc, task=task)


def _silent(host: str, stopped: str, message: str, begun: bool) -> HostResult:
    """Judge a host that gave neither a result nor a failure."""
    if stopped == "timeout":
        return HostResult(host, Kind.TIMEOUT, "the deadline of the phase passed before the host had a result")
    if stopped:
        return HostResult(host, Kind.CANCELED, "canceled before the host had a result")
    if message:
        return HostResult(host, Kind.CONTROLLER, message)
    if begun:
        return HostResult(host, Kind.NOT_RUN, "Ansible did not get to the end of the phase on this host")
    return HostResult(host, Kind.NOT_RUN, "Ansible did not run the phase on this host")


def _with_metrics(result: HostResult, required: Sequence[str]) -> HostResult:
    missing = [name for name in required if name not in result.metrics]
    if not missing:
        return result
    return replace(result, kind=Kind.METRICS_MISSING, message=f"not in the output: {', '.join(missing)}")


def _kind(name: Any) -> Kind:
    return Kind(name) if isinstance(name, str) and name in OUTCOMES else Kind.CONTROLLER


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
