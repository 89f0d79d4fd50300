"""An engine without Ansible, and the events that a real one yields."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from ansible_env.engine.inventory import Inventory
from ansible_env.engine.protocol import Cancellation, Engine, EngineRun, Job, Listener, Options
from ansible_env.errors import InventoryError
from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.outcomes import OUTCOMES, Kind

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
    """An engine that runs nothing: a function returns the result of each script on each host.

        engine = FakeEngine(["db1", "db2"], lambda phase, host, task: {"metrics": {"score": 42}})
        env = RemoteEnv(config=config, engine=engine)

    The function gets the phase, the host and the arguments of the phase task. It returns fields of the result. The
    defaults are those of a success.
    """

    def __init__(
        self,
        hosts: Sequence[str] = ("localhost",),
        answer: Callable[[str, str, Mapping[str, Any]], Mapping[str, Any]] | None = None,
    ) -> None:
        self._hosts = tuple(hosts)
        self._answer = answer or (lambda phase, host, task: {})
        self.jobs: list[Job] = []
        """The jobs that it has run."""
        self.closed = False

    def hosts(self, inventory: Inventory, pattern: str, limit: str | None, options: Options) -> Sequence[str]:
        """Return its hosts."""
        if not self._hosts:
            raise InventoryError(f"no host matches {pattern!r}")
        return self._hosts

    def run(self, job: Job, *, listener: Listener | None = None, cancel: Cancellation | None = None) -> EngineRun:
        """Return the events of a run in which each script had the result that the function returns."""
        if job.is_syntax_check:
            return EngineRun((), 0)
        self.jobs.append(job)
        if cancel is not None and cancel.requested:
            return EngineRun((), None, cancel.reason)
        events: list[dict[str, Any]] = []
        failed: set[str] = set()
        for number, (phase, task) in enumerate(_phase_tasks(job.playbook)):
            for host in self._hosts:
                if host in failed or (
                    job.hosts and host not in job.hosts
                ):  # Ansible removes a failed one from the play
                    continue
                fields = {"rc": 0, **(self._answer(phase, host, task) if task.get("script") else {})}
                fields.setdefault("kind", Kind.EXIT if fields["rc"] else Kind.OK)
                if cancel is not None and cancel.requested:
                    return EngineRun(tuple(events), None, cancel.reason)
                events.append(phase_event(host, task_uuid=f"task-{number}", **fields))
                if fields["kind"] != Kind.OK:
                    failed.add(host)
                if listener is not None:
                    listener.on_event(events[-1])
                    if fields.get("stdout"):
                        listener.on_output(host, "stdout", fields["stdout"])
        return EngineRun((*events, stats_event()), 2 if failed else 0)

    def close(self) -> None:
        """Record that the engine was closed."""
        self.closed = True


class _TagLoader(yaml.SafeLoader):
    pass


# !unsafe, and !vault in an author's own task
_TagLoader.add_multi_constructor("!", lambda loader, tag, node: loader.construct_scalar(node))


def _phase_tasks(playbook: str) -> list[tuple[str, Mapping[str, Any]]]:
    plays = yaml.load(playbook, Loader=_TagLoader)  # noqa: S506 - a SafeLoader with Ansible's tags
    return [
        (play["name"].split()[0].lower(), task[PHASE_TASK])
        for play in plays
        for task in play["tasks"]
        if PHASE_TASK in task
    ]
