# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action plugin of ansible_env.bench.phase: it does all of the work, with /bin/sh on the target."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from pathlib import Path

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

try:
    from ansible_collections.ansible_env.bench.plugins.plugin_utils.channel import Channel
    from ansible_collections.ansible_env.bench.plugins.plugin_utils.engine import EngineDirectory
    from ansible_collections.ansible_env.bench.plugins.plugin_utils.scripts import (
        collector_of,
        exported,
        problem_of,
        results_of,
        script_of,
    )

    from ansible_env.results.connections import never_connected
    from ansible_env.results.disturbance import DisturbanceLimits
    from ansible_env.results.metrics.json_output import JsonMetrics
    from ansible_env.results.metrics.validity import MetricRules
    from ansible_env.results.outcomes import Kind
    from ansible_env.results.requirements import HostRules
    from ansible_env.supervisor.capture import Capture, Masker, log_path
    from ansible_env.supervisor.ending import Pace
    from ansible_env.supervisor.facts import ask_facts
    from ansible_env.supervisor.follow import Follower
    from ansible_env.supervisor.interrupts import Interrupts
    from ansible_env.supervisor.protocol import State
    from ansible_env.supervisor.record import Record
    from ansible_env.supervisor.report import (
        accounts,
        collected,
        judge_exports,
        judge_metrics,
        nothing_to_run,
        one_line,
        refused,
        task_result,
    )
    from ansible_env.supervisor.script import Script
    from ansible_env.supervisor.telemetry import read_samples
    from ansible_env.supervisor.transport import Disconnected, NeverConnected, Stop, wait_for_host
    from ansible_env.supervisor.variables import LOG_DIR, RESULTS_DIR
    from ansible_env.supervisor.verdict import unreachable, verdict
except ImportError as error:  # the collection was installed without the library
    LIBRARY_ERROR = error
else:
    LIBRARY_ERROR = None

SETTLE = 5.0
"""Seconds after the end of a script in which a restart that it asked for has to begin."""

ARGUMENTS = {
    "script": {"type": "str"},
    "env": {"type": "dict", "default": {}},
    "secret_env": {"type": "dict", "default": {}, "no_log": True},
    "shell": {"type": "str", "default": "bash"},
    "chdir": {"type": "path"},
    "fail_fast": {"type": "bool", "default": False},
    "timeout": {"type": "float"},
    "grace": {"type": "float", "default": 5.0},
    "keep_running": {"type": "bool", "default": False},
    "may_reboot": {"type": "bool", "default": False},
    "results_stdout_pattern": {"type": "str"},
    "results_json": {"type": "bool", "default": False},
    "metrics": {"type": "dict", "default": {}},
    "results_file": {"type": "str"},
    "collect": {"type": "list", "elements": "str", "default": []},
    "collect_limit_mib": {"type": "int", "default": 100},
    "required_metrics": {"type": "list", "elements": "str", "default": []},
    "valid": {"type": "dict", "default": {}},
    "require": {"type": "dict", "default": {}},
    "disturbed_if": {"type": "dict", "default": {}},
    "resource_metrics": {"type": "bool", "default": False},
    "telemetry": {"type": "list", "elements": "dict", "default": []},
    "reconnect": {"type": "float", "default": 60.0},
    "poll": {"type": "int", "default": 1},
    "wait_boot": {"type": "float", "default": 0.0},
    "run_dir": {"type": "str", "default": "/tmp"},
    "attach": {"type": "bool", "default": False},
    "background": {"type": "bool", "default": False},
    "hold": {"type": "int", "default": 0},
    "release_at": {"type": "float"},
    "lease": {"type": "str"},
    "release_lease": {"type": "str"},
    "clock_offset": {"type": "float", "default": 0.0},
    "run_id": {"type": "str"},
    "end": {"type": "str", "choices": ["over", "canceled"]},
    "host_env": {"type": "dict", "default": {}},
    "secret_host_env": {"type": "dict", "default": {}},
    "export_patterns": {"type": "dict", "default": {}},
    "export_values": {"type": "dict", "default": {}},
    "exports_from": {"type": "list", "elements": "dict", "default": []},
    "exports_known": {"type": "dict", "default": {}},
    "step": {"type": "int", "default": 1},
}
VALIDATOR = ArgumentSpecValidator(ARGUMENTS)  # here, where it is made once for all hosts


@contextlib.contextmanager
def _not_shown(secret):
    """Keep connection plugins from showing, with -vvv, all that the host sends: no secret is masked in that."""
    display = Display()
    before = {name: getattr(display, name) for name in ("verbosity", "log_verbosity") if hasattr(display, name)}
    try:
        for name in before if secret else ():
            setattr(display, name, 0)
        yield
    finally:
        for name, value in before.items():
            setattr(display, name, value)


def _untagged(value):
    """Return a task's arguments as plain data: to copy a text together with its origin takes thirty times as long."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return {_untagged(key): _untagged(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    return value


class ActionModule(ActionBase):
    """Runs one script on one host."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        if LIBRARY_ERROR is not None:
            raise AnsibleActionFail(
                f"the ansible_env library is needed: install it from its clone or wheel ({LIBRARY_ERROR})"
            )
        checked = VALIDATOR.validate(_untagged(self._task.args))
        if checked.error_messages:
            message = checked.errors.msg
            if isinstance(checked.errors[0], UnsupportedError):
                message = f"Unsupported parameters for ({self._load_name}) module: {message}"
            return {**result, **refused(Kind.REJECTED, message)}
        arguments = checked.validated_parameters
        # Ansible's timeout of a task would end the waiting, not the script.
        signal.alarm(0)
        if self._task.timeout and not EngineDirectory():  # the deadlines of an engine's phase hold
            arguments["timeout"] = min(arguments["timeout"] or math.inf, float(self._task.timeout))
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": "check mode: the script was not run"}
        result.update(self._phase(arguments, task_vars or {}))
        return result

    def _phase(self, arguments, task_vars):
        problem = problem_of(arguments)
        if problem:
            return refused(Kind.REJECTED, problem)
        if arguments["release_at"] is not None:
            return self._release(arguments)
        if arguments["release_lease"] is not None:
            return self._release_lease(arguments)
        if not any(arguments[name] for name in ("wait_boot", "require", "collect")) and arguments["script"] is None:
            return nothing_to_run()
        arguments["env"] = {**self._environment(), **arguments["env"], **exported(arguments, task_vars)}
        problem = self._host_values(arguments, task_vars) or problem_of(arguments)
        if problem:
            return refused(Kind.REJECTED, problem)
        host = task_vars.get("inventory_hostname", "host")
        script = script_of(arguments, host)
        record = Record(os.environ.get(RESULTS_DIR), script.run_id)
        result = record.result()
        if result is not None:
            return result
        logs = None if self._task.no_log else EngineDirectory().logs()
        secrets = list(arguments["secret_env"].values())
        capture = Capture(logs, host, secrets, keep=LOG_DIR in os.environ and logs is not None)
        result = self._run_script(arguments, script, capture, record, host)
        if arguments["background"]:
            return result  # how the script ended is not known yet
        record.write_result(result)
        if result.get("metrics") and not EngineDirectory() and not self._task.no_log:
            # Run by hand, a task that is ok would show nothing of what it measured.
            self._display.display(f"{host}: {one_line(result['metrics'])}")
        return result

    def _run_script(self, arguments, script, capture, record, host):
        """Start or follow the script, and return the result of the task."""
        engine, follower = EngineDirectory(), None
        files = log_path(Path(os.environ[LOG_DIR]), host, "files") if capture.keep else None
        try:
            with self._channel(script, host, engine, bool(arguments["secret_env"])) as channel:
                if arguments["wait_boot"]:
                    wait_for_host(channel, arguments["wait_boot"])
                if arguments["require"] and not arguments["attach"] and (problem := _unmet(channel, arguments)):
                    return refused(Kind.UNFIT, problem)
                collector = collector_of(arguments, channel, files)
                if arguments["script"] is None:
                    return {**nothing_to_run(), **collected(collector.collect())}
                settle = SETTLE if arguments["may_reboot"] else 0
                pace = Pace(tick=arguments["poll"], reconnect=arguments["reconnect"], settle=settle)
                collect = collector.collect if collector.wanted else None
                follower = Follower(channel, script, capture.write, pace, record.write_boot_id, collect)
                if not arguments["attach"]:
                    record.begin()
                if arguments["background"]:
                    launched = _launched(follower.launch(), script, capture)
                    return {**launched, **_staged(follower)} if arguments["hold"] else launched
                ending = _follow(follower, arguments, record)
                # Ansible sends a second signal soon, after which nobody waits until the host confirms the end.
                engine.unfinished = ending.stopped == "canceled" and not engine.is_stopped and _may_run(ending)
        except NeverConnected as never:
            if follower and follower.may_run:
                return {**_never(str(never)), "run_id": script.run_id, "may_run": True}
            record.withdraw()
            return _never(str(never))
        except Stop as stop:  # before the follower began; it handles later ones itself
            kind = Kind.TIMEOUT if stop.reason == "timeout" else Kind.CANCELED
            return refused(kind, "the phase was ended before the script was started")
        finally:
            capture.close()
        return _judged(arguments, script, ending, capture, collector.collection, begun=record.may_have_begun)

    @contextlib.contextmanager
    def _channel(self, script, host, engine, secret):
        """Yield the connection to the host, while signals and the script's deadline can interrupt it."""
        deadline = None if script.timeout is None else script.timeout + script.grace + 1
        # Signals are handled before the engine knows whom to send them, and its request is checked after that.
        with Interrupts(deadline, engine.reason) as interrupts, engine.waiting(host), _not_shown(secret):
            if engine.is_stopped:
                raise Stop(engine.reason())
            yield Channel(self, interrupts)

    def _release_lease(self, arguments):
        """Give back the lease of a trial."""
        with Interrupts(None, lambda: "canceled") as interrupts:
            script = Script(text="", run_id="", base=arguments["run_dir"])
            try:
                Follower(Channel(self, interrupts), script, lambda out, err: None).release_lease(
                    arguments["release_lease"]
                )
            except Disconnected as broken:
                return _never(str(broken))
            except Stop:
                return refused(Kind.CANCELED, "the phase was ended before the lease was given back")
        return nothing_to_run()

    def _release(self, arguments):
        """Release a staged script."""
        with Interrupts(None, lambda: "canceled") as interrupts:
            script = Script(text="", run_id=arguments["run_id"] or "", base=arguments["run_dir"])
            try:
                reply = Follower(Channel(self, interrupts), script, lambda out, err: None).release(
                    arguments["release_at"] + arguments["clock_offset"]
                )
            except NeverConnected as never:
                return _never(str(never))
            except Stop:
                return refused(Kind.CANCELED, "the phase was ended before the script was released")
        if reply is not None and reply.state is State.NO_SPACE:
            return refused(Kind.NO_SPACE, f"the script was not started: {script.base} on the host is full")
        if reply is None or reply.state is not State.RUNNING:
            return refused(Kind.LOST_RESULT, "the script that was staged is not there any more")
        return nothing_to_run()

    def _environment(self):
        """Return the environment variables that the keyword `environment` of task, block and play sets."""
        variables = {}
        self._compute_environment_string(variables)
        return {str(name): str(value) for name, value in variables.items()}

    def _host_values(self, arguments, task_vars):
        """Add the values of the host's own variables to the environment variables; return what is wrong with them."""
        for source, into in (("host_env", "env"), ("secret_host_env", "secret_env")):
            values = {}
            for name, variable in arguments[source].items():
                if variable not in task_vars:
                    return f"the host has no variable {variable!r}, which {name} is made from"
                try:
                    value = self._templar.template(task_vars[variable])
                except AnsibleError as problem:
                    return f"the variable {variable!r} cannot be read: {problem}"
                if isinstance(value, (dict, list, tuple)) or value is None:
                    return f"the variable {variable!r} is no text or number"
                values[name] = str(value)
            arguments[into] = {**arguments[into], **values}
        return None


def _unmet(channel, arguments):
    """Return what the host must be and is not; empty if it meets all."""
    rules = HostRules.parse(arguments["require"])
    try:
        return rules.problem(ask_facts(channel, rules.facts, rules.commands, arguments["run_dir"]))
    except Disconnected as broken:
        raise NeverConnected(str(broken)) from broken  # nothing was to be started


def _follow(follower, arguments, record):
    """Start the script and follow it, or follow or end one that was started before; return how it ended."""
    if not arguments["attach"]:
        return follower.start()
    if arguments["end"]:
        return follower.end(arguments["end"], record.boot_id())
    return follower.resume(record.boot_id())


def _may_run(ending):
    """Whether the script may run on, for all that is known of how it ended."""
    return bool(ending.broken) or ending.reply.state is State.RUNNING


def _judged(arguments, script, ending, capture, collection, *, begun):
    """Return the result of a script that was followed to its end."""
    kind, message = verdict(
        ending, script, may_reboot=arguments["may_reboot"], attached=arguments["attach"] and not begun
    )
    ended = kind is Kind.CANCELED and arguments["end"] == "over" and ending.reply.why == "over"
    if ended:
        kind, message = Kind.OK, "ended when the others were done"
    file = results_of(arguments, collection)
    if file is not None and kind is Kind.OK and collection.broken:
        kind, message = Kind.UNREACHABLE, f"the script succeeded, but {file.name} is missing: {collection.problem}"
    document = JsonMetrics.of(arguments["results_json"], arguments["metrics"]) if file is None else None
    kind, message, metrics = judge_metrics(
        kind,
        message,
        capture.out.pieces() if arguments["results_stdout_pattern"] or document else (),
        pattern=arguments["results_stdout_pattern"],
        document=document,
        rules=MetricRules.parse(arguments["required_metrics"], arguments["valid"]),
        file=file,
    )
    exports = {name: str(value) for name, value in arguments["export_values"].items()}
    if arguments["export_patterns"]:
        kind, message, values = judge_exports(kind, message, capture.out.pieces, arguments["export_patterns"])
        exports |= values
    samples = Masker(list(arguments["secret_env"].values())).feed(ending.samples, last=True)
    telemetry = read_samples(samples, script.probes, script.run_id)
    result = task_result(kind, message, script, ending, capture, metrics=metrics, telemetry=telemetry)
    result |= collected(collection)
    result |= accounts(ending.reply, DisturbanceLimits.parse(arguments["disturbed_if"]))
    if arguments["resource_metrics"]:
        result["metrics"] = {**result.get("resources", {}), **result["metrics"]}
    return {**result, **({"exports": exports} if exports else {}), **({"ended": True} if ended else {})}


def _launched(ending, script, capture):
    """Return the result of a script that was started in the background."""
    if ending.stopped or ending.broken or ending.reply.state not in (State.RUNNING, State.DONE):
        kind, message = verdict(ending, script)
        return task_result(kind, message, script, ending, capture, metrics={})
    started = {**nothing_to_run(), "changed": True, "msg": "started in the background", "run_id": script.run_id}
    return {**started, "background": True, **({"leased": True} if script.lease is not None else {})}


def _staged(follower):
    """Return the data for a common start: the clock of the host, and the time of staging."""
    offset, error = follower.clock() or (0.0, 0.0)
    return {"clock_offset": offset, "clock_error": error, "staged": time.time()}


def _never(text):
    """Return the result for a host that could not be reached."""
    kind, message = unreachable(text)
    if text.startswith("no answer from") and not never_connected(text):
        kind, message = Kind.INTERPRETER, text
    return refused(kind, message)
