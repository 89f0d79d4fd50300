"""An environment in a play of the user, for the role of the collection `ansible_env.bench`.

Each phase becomes a role in a directory, which the play includes: the same tasks as in the playbook that an engine
would run, each with its result in a variable. `judge` turns these variables into results, as for an engine's events.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import shutil
import socket
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_env.config.checks import known_names
from ansible_env.config.expand import references
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.parameters import selected_groups
from ansible_env.config.steps import steps_of
from ansible_env.config.text import nearest
from ansible_env.environment.deadlines import outer_deadline
from ansible_env.environment.leases import is_wanted, new_lease
from ansible_env.environment.trial_parameters import TrialParameters
from ansible_env.errors import ConfigError, ParameterError, Problem
from ansible_env.playbook.plays import become_of, render, render_release
from ansible_env.playbook.tasks import exports_of
from ansible_env.playbook.yaml_text import to_yaml, unsafe
from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.fold.fold_hosts import Expected, fold_hosts
from ansible_env.results.host_result import HostResult
from ansible_env.results.metrics.validity import NO_RULES, MetricRules
from ansible_env.results.outcomes import OUTCOMES, Kind
from ansible_env.results.phase_result import phase_result
from ansible_env.supervisor.lease import Lease

_ROLE_DIRS = {"tasks", "handlers", "vars", "defaults", "meta"}


@dataclass(frozen=True, slots=True)
class RoleEnvironment:
    """An environment with its parameters for one trial."""

    config: EnvironmentConfig
    parameters: TrialParameters

    @classmethod
    def load(cls, path: Path, params: Mapping[str, Any]) -> RoleEnvironment:
        """Read an environment file, for a trial with these parameters.

        Raise ConfigError for a faulty file; ParameterError if a parameter is unknown or missing, or has a bad value.
        """
        config = EnvironmentConfig.load(path).for_one_trial
        known = known_names(config, selected_groups(config, None, params.get("tunable_params_map")))
        known |= references(list(config.const_args.values()))
        problems = [
            Problem("there is no parameter of this name", str(name), path, hint=nearest(name, known))
            for name in params
            if name not in known and name != "tunable_params_map"
        ]
        if problems:
            raise ParameterError(problems)
        parameters = TrialParameters(config, config.name, params, None)
        parameters.assign()
        return cls(config, parameters)

    def describe(self) -> dict[str, Any]:
        """Return the description of the environment, as plain data without secrets."""
        config = self.config
        return {
            "name": config.name,
            "file": str(config.source.absolute()) if config.source else None,
            "hosts": config.hosts,
            "gather_facts": config.gather_facts,
            "params": self.parameters.public,
            "phases": list(config.phases),
        }

    def roles(self, directory: Path, token: str, *, hosts: int = 1, forks: int | None = None) -> dict[str, Any]:
        """Write each phase as a role below a directory; return where it is, and which variables get its results.

        No other user may be able to write in that directory. `token` is in the variables' names, and distinguishes the
        trials of a play. If the trials use their hosts alone, `release` is one more role: it gives the hosts back.
        Raise ConfigError if a phase cannot be a role.
        """
        if not is_wanted(self.config):
            return {phase: self._role(phase, directory, token, None) for phase in self.config.phases}
        holder = hashlib.sha256(f"{socket.gethostname()} {token}".encode()).hexdigest()[:32]
        roles = {}
        for phase in self.config.phases:
            deadline = outer_deadline(self.config, phase, hosts, forks, tasks=False)
            roles[phase] = self._role(phase, directory, token, new_lease(self.config, holder, "role", deadline))
        (play,) = render_release(self.config, holder).plays
        release = {"name": play["name"], **become_of(self.config), "block": play["tasks"], "ignore_errors": True}
        roles["release"] = {"role": str(_written(directory, {"tasks/main.yml": to_yaml([release])}, None))}
        return roles

    def _role(self, phase: str, directory: Path, token: str, lease: Lease | None) -> dict[str, Any]:
        earlier = itertools.takewhile(lambda name: name != phase, self.config.phases)
        exports = [each for name in earlier for each in exports_of(name, tuple(steps_of(getattr(self.config, name))))]
        playbook = render(self.config, phase, self.parameters.params, self.parameters.env, exports=exports)
        if len(playbook.plays) != 1 or "tasks" not in playbook.plays[0]:
            what = f"{phase!r} has its own plays, which cannot be in a role"
            hint = "run it with ansible-env, or import the playbook before the role"
            raise ConfigError(Problem(what, phase, self.config.source, hint=hint))
        (play,) = playbook.plays
        tasks, registers = _registered(play["tasks"], f"environment_{phase}_{token}")
        if lease is not None:
            tasks = [_with_lease(task, lease) for task in tasks]
        block = {
            "name": play["name"],
            **become_of(self.config),
            "block": [_with_neighbour(t, self.config.base_dir) for t in tasks],
        }
        files = {
            "tasks/main.yml": to_yaml([block]),
            "handlers/main.yml": to_yaml(list(play.get("handlers", ()))),
            "vars/main.yml": to_yaml(dict(play.get("vars", {}))),
        }
        path = _written(directory, files, self.config.base_dir.absolute())
        return {"role": str(path), "registers": registers, "scripts": playbook.scripts, "finish": playbook.finish}


def judge(
    host: str,
    results: Sequence[Mapping[str, Any]],
    failure: Mapping[str, Any] | None,
    phase: Mapping[str, Any],
    rules: MetricRules = NO_RULES,
) -> dict[str, Any]:
    """Return the result of a phase on a host, as `HostResult.to_dict` returns it.

    `results` are those of the phase tasks that were run, in order; `failure` has `task`, `action` and `result` of the
    task that failed, if one did; `phase` is the phase's item of `RoleEnvironment.roles`.
    """
    names = [""] * (len(phase["registers"]) - 1) + [str(phase["finish"])]
    tasks = zip(names, phase["registers"], results, strict=False)
    events = [_event(host, PHASE_TASK, name, uuid, result) for name, uuid, result in tasks if result]
    if failure:
        name, action = str(failure.get("task") or ""), str(failure.get("action") or "")
        events.append(_event(host, action, name, "failure", {**failure["result"], "failed": True}))
    events = [{**event, "counter": number} for number, event in enumerate(events, 1)]
    (host_result,) = fold_hosts(events, (host,), Expected(phase["scripts"], phase["finish"], rules))
    return host_result.to_dict()


def group_result(config: EnvironmentConfig, phase: str, hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return status and metrics of a group from the results of `judge` for its hosts."""
    results = [
        HostResult(
            name,
            Kind(host["kind"]) if host.get("kind") in OUTCOMES else Kind.NOT_RUN,
            str(host.get("message", "")),
            metrics=host.get("metrics") or {},
        )
        for name, host in hosts.items()
    ]
    group = phase_result(phase, results, policy=config.group_policy)
    return {"status": group.status.name, "metrics": dict(group.metrics)}


def _event(host: str, action: str, name: str, uuid: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event that an engine would report for the result of a task."""
    how = next((how for how in ("skipped", "unreachable", "failed") if result.get(how)), "ok")
    data = {"host": host, "task": name, "task_action": action, "task_uuid": uuid, "res": dict(result)}
    return {"event": f"runner_on_{how}", "event_data": data}


def _registered(tasks: Iterable[Mapping[str, Any]], prefix: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return tasks, the phase tasks among them with `register`, and the names of the variables."""
    registered: list[dict[str, Any]] = []
    names: list[str] = []
    for task in tasks:
        if PHASE_TASK in task:  # one of the author's may be registered already
            names.append(str(task.get("register") or f"{prefix}_{len(names) + 1}"))
            task = {**task, "register": names[-1]}
        registered.append(dict(task))
    return registered, names


def _with_lease(task: dict[str, Any], lease: Lease) -> dict[str, Any]:
    """Have a phase task that starts a script take a lease."""
    arguments = task.get(PHASE_TASK, {})
    return {**task, PHASE_TASK: {**arguments, "lease": unsafe(lease.to_text())}} if "script" in arguments else task


def _with_neighbour(task: dict[str, Any], base_dir: Path) -> dict[str, Any]:
    """Name a role beside the environment file by its path: Ansible looks for roles beside the playbook."""
    for action in ("ansible.builtin.import_role", "ansible.builtin.include_role"):
        arguments = task.get(action)
        if isinstance(arguments, Mapping) and (path := base_dir.absolute() / "roles" / str(arguments["name"])).is_dir():
            return {**task, action: {**arguments, "name": str(path)}}
    return task


def _written(directory: Path, files: Mapping[str, str], base_dir: Path | None) -> Path:
    """Write a role once, under a name made from its content: several forks may do so at the same time."""
    key = hashlib.sha256(json.dumps([str(base_dir), files]).encode()).hexdigest()[:16]
    path = directory / f"environment-{key}"
    if path.is_dir():
        return path
    scratch = Path(tempfile.mkdtemp(prefix="new-", dir=directory))
    for name, text in files.items():
        (scratch / name).parent.mkdir()
        (scratch / name).write_text(text, encoding="utf-8")
    for entry in base_dir.iterdir() if base_dir is not None else ():  # templates and files of its tasks
        if entry.name not in _ROLE_DIRS:
            (scratch / entry.name).symlink_to(entry)
    with contextlib.suppress(OSError):  # another one was faster
        scratch.rename(path)
    shutil.rmtree(scratch, ignore_errors=True)
    return path
