"""From Ansible's events to results. Pure: any events in any order, also twice or senseless, give a result.

Trusted are only results of our own phase task, for each host that was expected to give one. The exit status of
ansible-playbook, its recap, and the absence of failures prove nothing. docs/outcomes.md has the mapping in words.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ansible_env.outcomes import OUTCOMES, Kind, connection_hint, connection_kind
from ansible_env.playbook import PHASE_TASK
from ansible_env.result import HostResult, PhaseResult, combine, phase_result
from ansible_env.status import worst

_FINAL = ("runner_on_ok", "runner_on_failed", "runner_on_unreachable", "runner_on_skipped")


def fold(
    phase: str,
    events: Iterable[Mapping[str, Any]],
    expected: Sequence[str],
    *,
    scripts: int | Mapping[str, int] = 1,
    finish: str = "",
    required_metrics: Sequence[str] = (),
    measured: Container[str] | None = None,
    stopped: str = "",
    message: str = "",
) -> PhaseResult:
    """Turn the events of a run into the result of a phase. The arguments are those of `fold_hosts`."""
    hosts = fold_hosts(
        events,
        expected,
        scripts=scripts,
        finish=finish,
        required_metrics=required_metrics,
        measured=measured,
        stopped=stopped,
        message=message,
    )
    return phase_result(phase, hosts, controller_message(hosts, message))


def controller_message(hosts: Iterable[HostResult], message: str) -> str:
    """Return what Ansible said, if it failed as a whole."""
    return message if any(host.kind is Kind.CONTROLLER for host in hosts) else ""


def failure_of(event: Mapping[str, Any]) -> str:
    """Return the host that has failed by an event, as far as one event can tell; empty if none has.

    The failure of a task of the author's may be rescued later on, and is not counted.
    """
    data = event.get("event_data")
    if not isinstance(data, Mapping) or event.get("event") not in ("runner_on_failed", "runner_on_unreachable"):
        return ""
    final = _is_ours(event) or (event["event"] == "runner_on_unreachable" and not data.get("ignore_unreachable"))
    return str(data.get("host") or "") if final else ""


def left_in_background(events: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the hosts on which a script was started in the background of which nobody knows the end."""
    open_runs: dict[str, str] = {}
    for event in sorted(events, key=_counter):
        data = event.get("event_data")
        res = data.get("res") if isinstance(data, Mapping) else None
        if not isinstance(data, Mapping) or not isinstance(res, Mapping) or event.get("event") not in _FINAL:
            continue
        if not _is_ours(event) or not isinstance(res.get("run_id"), str):
            continue
        if res.get("background") is True:
            open_runs[res["run_id"]] = str(data.get("host"))
        else:
            open_runs.pop(res["run_id"], None)
    return tuple(dict.fromkeys(open_runs.values()))


def fold_hosts(
    events: Iterable[Mapping[str, Any]],
    expected: Sequence[str],
    *,
    scripts: int | Mapping[str, int] = 1,
    finish: str = "",
    required_metrics: Sequence[str] = (),
    measured: Container[str] | None = None,
    stopped: str = "",
    message: str = "",
) -> list[HostResult]:
    """Turn the events of a run into the results of its hosts.

    Args:
        events: events of ansible-runner that are known to be genuine.
        expected: the hosts that have to give a result.
        scripts: how many phase tasks a host has to get through; each its own number, where these differ.
        finish: name of one that has to be among them; empty, if any will do.
        required_metrics: names without which a success is none.
        measured: the hosts that owe them; all, if None.
        stopped: `canceled` or `timeout`, where the controller ended the run.
        message: what Ansible said outside of any task, where it failed.
    """
    told: dict[str, list[Mapping[str, Any]]] = {host: [] for host in expected}
    events = sorted(events, key=_counter)
    for event in events:
        data = event.get("event_data")
        if not isinstance(data, Mapping) or event.get("event") not in _FINAL:
            continue
        host = data.get("host")
        if isinstance(host, str) and host in told:
            told[host].append(event)

    def due(host: str) -> _Due:
        owed = required_metrics if measured is None or host in measured else ()
        return _Due(scripts if isinstance(scripts, int) else scripts.get(host, 1), finish, owed)

    hosts = [_host(host, told[host], due(host), stopped, message) for host in expected]
    return [*hosts, *_strangers(events, told)]


@dataclass(frozen=True, slots=True)
class _Due:
    """What a host has to give for a success."""

    scripts: int
    finish: str
    metrics: Sequence[str]

    def is_given(self, events: Sequence[Mapping[str, Any]], tasks: int) -> bool:
        """Whether so many phase tasks that went well, among these events, are enough."""
        named = not self.finish or any(_is_ours(e) and e["event_data"].get("task") == self.finish for e in events)
        return bool(tasks) and tasks >= self.scripts and named


def _strangers(events: Sequence[Mapping[str, Any]], expected: Container[str]) -> Iterator[HostResult]:
    """Yield the hosts that failed though nobody expected them: an imported playbook has hosts of its own."""
    stats = [event for event in events if event.get("event") == "playbook_on_stats"]
    data = stats[-1].get("event_data") if stats else None
    if not isinstance(data, Mapping):
        return
    for host in sorted({name for key in ("failures", "dark") for name in _names(data.get(key))}):
        if host in expected:
            continue
        failed = [e for e in events if _is_about(e, host) and _has_failed(e)]
        if failed:
            told = _of_script(host, failed[-1]) if _is_ours(failed[-1]) else _of_failure(host, failed[-1])
            yield told


def _names(counts: Any) -> Iterator[str]:
    if isinstance(counts, Mapping):
        yield from (name for name, count in counts.items() if count)


def _is_about(event: Mapping[str, Any], host: str) -> bool:
    data = event.get("event_data")
    return isinstance(data, Mapping) and data.get("host") == host and event.get("event") in _FINAL


def _host(
    host: str,
    events: Sequence[Mapping[str, Any]],
    due: _Due,
    stopped: str,
    message: str,
) -> HostResult:
    """Judge one host by what is known of it, the surest evidence first."""
    told = [(_task(event), _of_script(host, event)) for event in events if _is_ours(event)]
    good = list({task: result for task, result in told if result.kind is Kind.OK}.values())
    bad = [result for _, result in told if result.kind is not Kind.OK]
    if bad:
        status = worst(result.status for result in bad)
        return combine([*good, next(result for result in bad if result.status is status)])
    if due.is_given(events, len(good)):
        return _with_metrics(combine(good), due.metrics)
    failures = [event for event in events if not _is_ours(event) and _has_failed(event)]
    # Where something came after the failure it was rescued, or an `always` was at work: the end was ours then.
    if failures and not (stopped and failures[-1] is not events[-1]):
        last = _of_failure(host, failures[-1])
    else:
        last = _silent(host, stopped, message, bool(events))
    return combine([*good, last])


def _counter(event: Mapping[str, Any]) -> int:
    """Return the number that ansible-runner gives an event."""
    return _int(event.get("counter")) or 0


def _task(event: Mapping[str, Any]) -> str:
    data = event["event_data"]
    return str(data.get("task_uuid") or data.get("uuid"))


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
    rc = _int(res.get("rc"))
    proven = rc == 0 or (rc is None and res.get("rebooted") is True) or res.get("ended") is True
    if kind is Kind.OK and not (proven and event["event"] == "runner_on_ok"):
        return HostResult(host, Kind.CONTROLLER, f"a success that is none: {event['event']}, exit status {rc}")
    message = str(res.get("msg") or f"the phase task says '{kind}' and no more")
    metrics, left, exports = res.get("metrics"), res.get("left_running"), res.get("exports")
    return HostResult(
        host=host,
        kind=kind,
        message=message,
        rc=rc,
        metrics=dict(metrics) if isinstance(metrics, Mapping) else {},
        metrics_partial=bool(res.get("metrics_partial")),
        started=_time(res.get("started")),
        finished=_time(res.get("finished")),
        stdout=str(res.get("stdout", "")),
        stderr=str(res.get("stderr", "")),
        truncated=bool(res.get("truncated")),
        stdout_log=_text(res.get("stdout_log")),
        stderr_log=_text(res.get("stderr_log")),
        reconnects=_int(res.get("reconnects")) or 0,
        telemetry=_telemetry(res.get("telemetry")),
        clock_offset=_float(res.get("clock_offset")),
        clock_error=_float(res.get("clock_error")),
        exports={str(k): str(v) for k, v in exports.items()} if isinstance(exports, Mapping) else {},
        left_running=tuple(pid for pid in left if _int(pid) is not None) if isinstance(left, list | tuple) else (),
    )


def _of_failure(host: str, event: Mapping[str, Any]) -> HostResult:
    """Read the failure of an Ansible task, or of the connection before ours could start."""
    data = event["event_data"]
    res = data.get("res")
    # `reason` is what an include that failed has instead of `msg`.
    said = [res.get(key) for key in ("msg", "reason", "module_stderr")] if isinstance(res, Mapping) else []
    text = str(next(filter(None, said), ""))
    text = " ".join(text.split())
    task = str(data.get("task") or data.get("task_action") or "")
    if event["event"] == "runner_on_unreachable":
        kind = connection_kind(text)
        return HostResult(host, kind, f"{text} ({connection_hint(text)})", task=task)
    if connection_kind(text) is Kind.BECOME:
        return HostResult(host, Kind.BECOME, text, task=task)
    if _is_ours(event):
        return HostResult(host, Kind.CONTROLLER, text or "the phase task gave no result", task=task)
    rc = _int(res.get("rc")) if isinstance(res, Mapping) else None
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


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _telemetry(found: Any) -> tuple[tuple[datetime, str, Any], ...]:
    """Read samples; those that are none are left out."""
    samples = []
    for item in found if isinstance(found, list) else ():
        if isinstance(item, list) and len(item) == 3 and isinstance(item[1], str) and (time := _time(item[0])):
            samples.append((time, item[1], item[2]))
    return tuple(samples)


def _float(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
