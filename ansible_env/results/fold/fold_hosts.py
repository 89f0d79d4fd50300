"""What all events together say of each host, the surest evidence first."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_env.results.fold.events import FINAL, counter, has_failed, is_about, is_ours, task_of
from ansible_env.results.fold.host_results import of_failure, of_script, silent
from ansible_env.results.host_result import HostResult, combine
from ansible_env.results.outcomes import Kind
from ansible_env.results.status import worst


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
    events = sorted(events, key=counter)
    for event in events:
        data = event.get("event_data")
        if not isinstance(data, Mapping) or event.get("event") not in FINAL:
            continue
        host = data.get("host")
        if isinstance(host, str) and host in told:
            told[host].append(event)

    def due(host: str) -> _Due:
        owed = required_metrics if measured is None or host in measured else ()
        return _Due(scripts if isinstance(scripts, int) else scripts.get(host, 1), finish, owed)

    hosts = [_host(host, told[host], due(host), stopped, message) for host in expected]
    return [*hosts, *_strangers(events, told)]


def controller_message(hosts: Iterable[HostResult], message: str) -> str:
    """Return what Ansible said, if it failed as a whole."""
    return message if any(host.kind is Kind.CONTROLLER for host in hosts) else ""


@dataclass(frozen=True, slots=True)
class _Due:
    """What a host has to give for a success."""

    scripts: int
    finish: str
    metrics: Sequence[str]

    def is_given(self, events: Sequence[Mapping[str, Any]], tasks: int) -> bool:
        """Whether so many phase tasks that went well, among these events, are enough."""
        named = not self.finish or any(is_ours(e) and e["event_data"].get("task") == self.finish for e in events)
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
        failed = [e for e in events if is_about(e, host) and has_failed(e)]
        if failed:
            told = of_script(host, failed[-1]) if is_ours(failed[-1]) else of_failure(host, failed[-1])
            yield told


def _names(counts: Any) -> Iterator[str]:
    if isinstance(counts, Mapping):
        yield from (name for name, count in counts.items() if count)


def _host(
    host: str,
    events: Sequence[Mapping[str, Any]],
    due: _Due,
    stopped: str,
    message: str,
) -> HostResult:
    """Judge one host by what is known of it, the surest evidence first."""
    told = [(task_of(event), of_script(host, event)) for event in events if is_ours(event)]
    good = list({task: result for task, result in told if result.kind is Kind.OK}.values())
    bad = [result for _, result in told if result.kind is not Kind.OK]
    if bad:
        status = worst(result.status for result in bad)
        return combine([*good, next(result for result in bad if result.status is status)])
    if due.is_given(events, len(good)):
        return _with_metrics(combine(good), due.metrics)
    failures = [event for event in events if not is_ours(event) and has_failed(event)]
    # Where something came after the failure it was rescued, or an `always` was at work: the end was ours then.
    if failures and not (stopped and failures[-1] is not events[-1]):
        last = of_failure(host, failures[-1])
    else:
        last = silent(host, stopped, message, bool(events))
    return combine([*good, last])


def _with_metrics(result: HostResult, required: Sequence[str]) -> HostResult:
    missing = [name for name in required if name not in result.metrics]
    if not missing:
        return result
    return replace(result, kind=Kind.METRICS_MISSING, message=f"not in the output: {', '.join(missing)}")
