"""An engine without Ansible, and the events that a real one yields."""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from ansible_env.engine.inventory import Inventory
from ansible_env.engine.protocol import Cancellation, Engine, EngineRun, Job, Listener, Options
from ansible_env.errors import InventoryError
from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.metrics.json_output import JsonMetrics
from ansible_env.results.metrics.validity import MetricRules
from ansible_env.results.outcomes import OUTCOMES, Kind
from ansible_env.supervisor.report import judge_metrics

_uuids = itertools.count()


def phase_event(
    host: str, *, kind: Kind | str = Kind.OK, rc: int | None = 0, task_uuid: str | None = None, **result: Any
) -> dict[str, Any]:
    """Return the event of a phase task on one host. Further arguments are fields of its result."""
    status = OUTCOMES[Kind(kind)].status
    res = {"ansible_env": 1, "status": status.name, "kind": str(kind), "msg": str(kind), "rc": rc, **result}
    event = "runner_on_ok" if status.is_succeeded() else "runner_on_failed"
    if kind in (Kind.UNREACHABLE, Kind.AUTH):
        event = "runner_on_unreachable"
    return task_event(host, event, action=PHASE_TASK, res=res, task_uuid=task_uuid)


def task_event(
    host: str,
    event: str = "runner_on_ok",
    *,
    action: str = "ansible.builtin.command",
    task: str = "a task",
    res: Mapping[str, Any] | None = None,
    task_uuid: str | None = None,
    **data: Any,
) -> dict[str, Any]:
    """Return the event of any Ansible task on one host."""
    uuid = task_uuid or f"task-{next(_uuids)}"
    return {
        "event": event,
        "event_data": {"host": host, "task": task, "task_action": action, "task_uuid": uuid, "res": res, **data},
    }


def unreachable_event(host: str, message: str = "Failed to connect to the host via ssh") -> dict[str, Any]:
    """Return the event of an unreachable host."""
    return task_event(
        host, "runner_on_unreachable", action=PHASE_TASK, res={"unreachable": True, "changed": False, "msg": message}
    )


def stats_event() -> dict[str, Any]:
    """Return the event that ends a run."""
    return {"event": "playbook_on_stats", "event_data": {}}


class FakeEngine(Engine):
    r"""An engine that runs nothing: a function returns the result of each script on each host.

        engine = FakeEngine(["db1", "db2"], lambda phase, host, task: {"stdout": "score=42\n"})
        env = RemoteEnv(config=config, engine=engine)

    The function gets the phase, the host and the arguments of the phase task. It returns fields of the result. The
    defaults are those of a success that takes no time; metrics are read from `stdout` with the patterns of the
    environment, as on a target. `elapsed` is the duration of the script in seconds. Ansible tasks, roles and imported
    playbooks always succeed.

    A host pattern may name hosts and groups of the engine, with `:`, `,`, `&`, `!` and `*`, as in Ansible.
    """

    def __init__(
        self,
        hosts: Sequence[str] = ("localhost",),
        answer: Callable[[str, str, Mapping[str, Any]], Mapping[str, Any]] | None = None,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Use hosts, the function that answers for them, and the names of the hosts in each group."""
        self._hosts = tuple(hosts)
        self._groups = dict(groups or {})
        self._answer = answer or (lambda phase, host, task: {})
        self.jobs: list[Job] = []
        """The jobs that it has run."""
        self.closed = False

    def hosts(self, inventory: Inventory, pattern: str, limit: str | None, options: Options) -> Sequence[str]:
        """Return the hosts that a pattern selects. See `Engine.hosts`."""
        if hosts := self._selected(pattern, limit):
            return hosts
        raise InventoryError(f"no host matches {pattern!r}" + (f" within the limit {limit!r}" if limit else ""))

    def run(self, job: Job, *, listener: Listener | None = None, cancel: Cancellation | None = None) -> EngineRun:
        """Return the events of a run in which each script had the result that the function returns."""
        if job.is_syntax_check:
            return EngineRun((), 0)
        self.jobs.append(job)
        cancel = cancel or Cancellation()
        events: list[dict[str, Any]] = []
        failed: set[str] = set()
        for number, (phase, pattern, named) in enumerate(_phase_tasks(job.playbook)):
            task = named[PHASE_TASK]
            for host in self._selected(pattern, job.limit):
                if host in failed or (job.hosts and host not in job.hosts):
                    continue  # Ansible removes a host that has failed from the play
                result = self._result(phase, host, task) if not cancel.requested else {}
                if cancel.requested:
                    return EngineRun(tuple(events), None, cancel.reason)
                events.append(phase_event(host, task_uuid=f"task-{number}", **result))
                events[-1]["event_data"]["task"] = named.get("name")
                if result["kind"] != Kind.OK:
                    failed.add(host)
                if listener is not None:
                    _notify(listener, host, events[-1])
        return EngineRun((*events, stats_event()), 2 if failed else 0)

    def close(self) -> None:
        """Record that the engine was closed."""
        self.closed = True

    def _result(self, phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of a phase task on one host."""
        if not task.get("script"):
            return {"rc": 0, "kind": Kind.OK}
        begin = datetime.now(UTC)
        result: dict[str, Any] = {"rc": 0, **self._answer(phase, host, task)}
        elapsed = result.setdefault("elapsed", 0.0)
        times = {"start": begin.isoformat(), "end": (begin + timedelta(seconds=elapsed)).isoformat()}
        result = times | result
        result.setdefault("kind", Kind.EXIT if result["rc"] else Kind.OK)
        if "metrics" not in result and "stdout" in result:
            message = str(result.get("msg", result["kind"]))
            result["kind"], result["msg"], result["metrics"] = _judged(Kind(result["kind"]), message, result, task)
        return result

    def _selected(self, pattern: str, limit: str | None) -> tuple[str, ...]:
        """Return the hosts that a pattern selects within a limit."""
        named = self._named(pattern)
        within = self._named(limit) if limit else named
        return tuple(host for host in self._hosts if host in named & within)

    def _named(self, pattern: str) -> set[str]:
        """Return the hosts of a pattern: unions first, then intersections, then exclusions, as in Ansible."""
        parts = [part for part in re.split("[,:]", pattern) if part]
        unions = [part for part in parts if part[0] not in "&!"] or ["all"]
        named = {host for part in unions for host in self._matching(part)}
        for part in parts:
            if part[0] == "&":
                named &= self._matching(part[1:])
            elif part[0] == "!":
                named -= self._matching(part[1:])
        return named

    def _matching(self, name: str) -> set[str]:
        if name in self._groups:
            return set(self._groups[name])
        return {host for host in self._hosts if name == "all" or fnmatch.fnmatchcase(host, name)}


def _judged(
    kind: Kind, message: str, result: Mapping[str, Any], task: Mapping[str, Any]
) -> tuple[Kind, str, Mapping[str, Any]]:
    """Return kind, message and metrics, as the phase task makes them of the output."""
    return judge_metrics(
        kind,
        message,
        [str(result["stdout"])],
        pattern=task.get("results_stdout_pattern"),
        document=JsonMetrics.of(bool(task.get("results_json")), task.get("metrics")),
        rules=MetricRules.parse(task.get("required_metrics", ()), task.get("valid", {})),
    )


def _notify(listener: Listener, host: str, event: Mapping[str, Any]) -> None:
    listener.on_event(event)
    for stream in ("stdout", "stderr"):
        if text := event["event_data"]["res"].get(stream):
            listener.on_output(host, stream, text)


class _TagLoader(yaml.SafeLoader):
    pass


# !unsafe, and !vault in an author's own task
_TagLoader.add_multi_constructor("!", lambda loader, tag, node: loader.construct_scalar(node))


def _phase_tasks(playbook: str) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return the phase, the host pattern and the task of each phase task."""
    plays = yaml.load(playbook, Loader=_TagLoader)  # noqa: S506 - a SafeLoader with Ansible's tags
    return [
        (play["name"].split()[0].lower(), play["hosts"], task)
        for play in plays
        for task in play.get("tasks", ())
        if PHASE_TASK in task
    ]
