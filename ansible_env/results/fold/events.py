"""Questions about a single event of ansible-runner: its host and task, and whether it is a failure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

PHASE_TASK = "ansible_env.bench.phase"
"""The task whose results decide how a host ended."""
FINAL = ("runner_on_ok", "runner_on_failed", "runner_on_unreachable", "runner_on_skipped")
"""Events that hold the result of a task on a host."""


def failure_of(event: Mapping[str, Any]) -> str:
    """Return the host whose failure the event proves, or an empty text.

    The failure of one of the author's own tasks does not count: a later task may rescue it.
    """
    data = event.get("event_data")
    if not isinstance(data, Mapping) or event.get("event") not in ("runner_on_failed", "runner_on_unreachable"):
        return ""
    final = is_ours(event) or (event["event"] == "runner_on_unreachable" and not data.get("ignore_unreachable"))
    return str(data.get("host") or "") if final else ""


def final_data(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the data of the result of a task on a host; empty for an event that is none."""
    data = event.get("event_data")
    return data if isinstance(data, Mapping) and event.get("event") in FINAL else {}


def left_in_background(events: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the hosts on which a background script was started whose end is not known."""
    open_runs: dict[str, str] = {}
    for event in sorted(events, key=counter):
        data = final_data(event)
        res = data.get("res")
        if not isinstance(res, Mapping) or not is_ours(event) or not isinstance(res.get("run_id"), str):
            continue
        if res.get("background") is True:
            open_runs[res["run_id"]] = str(data.get("host"))
        else:
            open_runs.pop(res["run_id"], None)
    return tuple(dict.fromkeys(open_runs.values()))


def open_runs(events: Iterable[Mapping[str, Any]]) -> tuple[dict[str, set[str]], set[str]]:
    """Return the names of the scripts of each host whose end is not known, and the names of those that have ended.

    The empty name is that of a script whose phase task failed without a result of ours.
    """
    opened: dict[str, set[str]] = {}
    closed: set[str] = set()
    for event in sorted(events, key=counter):
        data = final_data(event)
        if not data or not is_ours(event):
            continue
        res, runs = data.get("res"), opened.setdefault(str(data.get("host")), set())
        if not isinstance(res, Mapping) or "ansible_env" not in res:
            runs.add("")
        elif isinstance(run := res.get("run_id"), str):
            if res.get("background") is True or res.get("may_run") is True:
                runs.add(run)
                closed.discard(run)
            else:
                runs.discard(run)
                closed.add(run)
    return opened, closed


def leased_hosts(events: Iterable[Mapping[str, Any]]) -> dict[str, bool]:
    """Return the hosts on which scripts took a lease, and whether the lease is still held there."""
    hosts: dict[str, bool] = {}
    for event in sorted(events, key=counter):
        data = event.get("event_data")
        res = data.get("res") if isinstance(data, Mapping) and event.get("event") in FINAL else None
        if isinstance(data, Mapping) and isinstance(res, Mapping) and is_ours(event) and "leased" in res:
            hosts[str(data.get("host"))] = res["leased"] is not False
    return hosts


def is_about(event: Mapping[str, Any], host: str) -> bool:
    """Whether the event is the result of a task on this host."""
    return bool(final_data(event).get("host") == host)


def counter(event: Mapping[str, Any]) -> int:
    """Return the number that ansible-runner gave the event."""
    number = event.get("counter")
    return number if isinstance(number, int) and not isinstance(number, bool) else 0


def task_of(event: Mapping[str, Any]) -> str:
    """Return an identifier of the event's task."""
    data = event["event_data"]
    return str(data.get("task_uuid") or data.get("uuid"))


def is_ours(event: Mapping[str, Any]) -> bool:
    """Whether the event is the result of a phase task that was not skipped."""
    data = event["event_data"]
    return bool(data.get("task_action") == PHASE_TASK and event["event"] != "runner_on_skipped")


def has_failed(event: Mapping[str, Any]) -> bool:
    """Whether the event's task failed on the host or could not reach it, and the failure is not ignored."""
    if event["event"] == "runner_on_unreachable":
        return True
    return event["event"] == "runner_on_failed" and not event["event_data"].get("ignore_errors")
