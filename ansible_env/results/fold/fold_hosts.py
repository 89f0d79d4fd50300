"""The results of hosts from all events of a run, the most reliable evidence first."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_env.results.fold.events import counter, failure_of, final_data, has_failed, is_about, is_ours, task_of
from ansible_env.results.fold.host_results import of_failure, of_script, of_silence
from ansible_env.results.host_result import HostResult, combine
from ansible_env.results.metrics.validity import NO_RULES, MetricRules
from ansible_env.results.outcomes import Kind
from ansible_env.results.status import worst

Events = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Expected:
    """What the hosts of a run must report for a success."""

    scripts: int | Mapping[str, int] = 1
    """How many phase tasks must succeed on a host: one number for all hosts, or a number for each."""
    finish: str = ""
    """Name of a phase task that must be among them; empty if any will do."""
    rules: MetricRules = NO_RULES
    """What the metrics must be."""
    measured: Container[str] | None = None
    """The hosts that must report the required metrics; None for all."""

    def is_met(self, host: str, events: Events, tasks: int) -> bool:
        """Whether the events of a host, among which are `tasks` successful phase tasks, complete its phase."""
        due = self.scripts if isinstance(self.scripts, int) else self.scripts.get(host, 1)
        named = not self.finish or any(is_ours(e) and e["event_data"].get("task") == self.finish for e in events)
        return bool(tasks) and tasks >= due and named

    def checked(self, result: HostResult) -> HostResult:
        """Return the result of a host that succeeded, as a failure if its metrics break a rule."""
        measured = self.measured is None or result.host in self.measured
        rules = self.rules if measured else self.rules.without_required()
        kind, message = rules.fault(result.metrics) or (result.kind, result.message)
        return replace(result, kind=kind, message=message)


def fold_hosts(
    events: Iterable[Mapping[str, Any]],
    hosts: Sequence[str],
    expected: Expected = Expected(),
    *,
    stopped: str = "",
    message: str = "",
) -> list[HostResult]:
    """Return the results of the hosts, and of other hosts that failed.

    Args:
        events: events of ansible-runner that are known to be genuine.
        hosts: the hosts that must report a result.
        expected: what they must report for a success.
        stopped: `canceled` or `timeout` if the controller ended the run, else empty.
        message: what Ansible reported outside of any task, if it failed.
    """
    by_host: dict[str, list[Mapping[str, Any]]] = {host: [] for host in hosts}
    events = sorted(events, key=counter)
    for event in events:
        host = final_data(event).get("host")
        if isinstance(host, str) and host in by_host:
            by_host[host].append(event)
    results = [_host(host, by_host[host], expected, stopped, message) for host in hosts]
    return [*results, *_unexpected(events, by_host)]


def settled_result(host: str, events: Events, expected: Expected) -> HostResult | None:
    """Return the result of a host if its last event settles it, else None.

    Args:
        host: its name.
        events: the results of its tasks so far, in order; all of them are about this host.
        expected: what it must report for a success.
    """
    tasks = {task_of(event) for event in events if is_ours(event)}
    if failure_of(events[-1]) or (is_ours(events[-1]) and expected.is_met(host, events, len(tasks))):
        return _host(host, events, expected, "", "")
    return None


def controller_message(hosts: Iterable[HostResult], message: str) -> str:
    """Return Ansible's message if Ansible failed as a whole, else an empty text."""
    return message if any(host.kind is Kind.CONTROLLER for host in hosts) else ""


def _unexpected(events: Events, hosts: Container[str]) -> Iterator[HostResult]:
    """Yield the results of other hosts that failed: an imported playbook has its own hosts."""
    stats = [event for event in events if event.get("event") == "playbook_on_stats"]
    data = stats[-1].get("event_data") if stats else None
    if not isinstance(data, Mapping):
        return
    for host in sorted({name for key in ("failures", "dark") for name in _names(data.get(key))}):
        if host in hosts:
            continue
        failed = [e for e in events if is_about(e, host) and has_failed(e)]
        if failed:
            yield of_script(host, failed[-1]) if is_ours(failed[-1]) else of_failure(host, failed[-1])


def _names(counts: Any) -> Iterator[str]:
    if isinstance(counts, Mapping):
        yield from (name for name, count in counts.items() if count)


def _host(host: str, events: Events, expected: Expected, stopped: str, message: str) -> HostResult:
    """Return the result of one host, from the most reliable evidence that there is."""
    scripts = [(task_of(event), of_script(host, event)) for event in events if is_ours(event)]
    good = list({task: result for task, result in scripts if result.kind is Kind.OK}.values())
    bad = [result for _, result in scripts if result.kind is not Kind.OK]
    if bad:
        status = worst(result.status for result in bad)
        return combine([*good, next(result for result in bad if result.status is status)])
    if expected.is_met(host, events, len(good)):
        return expected.checked(combine(good))
    failures = [event for event in events if not is_ours(event) and has_failed(event)]
    # An event after the failure shows a `rescue` or `always` section. Then it was the controller that ended the run.
    if failures and not (stopped and failures[-1] is not events[-1]):
        last = of_failure(host, failures[-1])
    else:
        last = of_silence(host, stopped, message, bool(events))
    return combine([*good, last])
