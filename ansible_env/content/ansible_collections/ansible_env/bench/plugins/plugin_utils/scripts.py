# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the arguments of a phase task to a script."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import uuid
from collections.abc import Mapping

with contextlib.suppress(ImportError):  # without the library: the action plugin reports that
    from ansible_env.results.disturbance import DisturbanceLimits
    from ansible_env.results.exports import compile_export, join_exports
    from ansible_env.results.file_patterns import check_pattern
    from ansible_env.results.metrics.json_output import JsonMetrics
    from ansible_env.results.metrics.pattern import compile_pattern
    from ansible_env.results.metrics.results_file import ResultsFile, file_document
    from ansible_env.results.metrics.validity import MetricRules
    from ansible_env.results.requirements import HostRules
    from ansible_env.supervisor.collect import Collector, Wanted
    from ansible_env.supervisor.lease import Lease
    from ansible_env.supervisor.script import Script, run_id
    from ansible_env.supervisor.telemetry import probes_of
    from ansible_env.supervisor.variables import LEASE, RUN_KEY

ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
NOT_FOR_SCRIPTS = re.compile(r"(ANSIBLE|AWX|RUNNER)_\w+\Z|(JOB_ID|PROJECT_UPDATE_ID|AD_HOC_COMMAND_ID|MAX_EVENT_RES)\Z")
"""What a script on the `local` connection would inherit: an ansible run inside it must not take part in ours."""


def script_of(arguments, host):
    """Return the script that the arguments of a phase task describe."""
    text = arguments["script"] or ""
    return Script(
        text=f"set -e\n{text}" if arguments["fail_fast"] else text,
        run_id=arguments["run_id"] or _run_id(host, arguments["step"]),
        env={**arguments["env"], **arguments["secret_env"]},
        shell=arguments["shell"],
        timeout=arguments["timeout"],
        grace=arguments["grace"],
        reap=not arguments["keep_running"],
        hold=arguments["hold"],
        chdir=arguments["chdir"],
        probes=probes_of(arguments["telemetry"]),
        unset=sorted(name for name in os.environ if NOT_FOR_SCRIPTS.match(name)),
        base=arguments["run_dir"],
        lease=_lease(arguments["lease"] or os.environ.get(LEASE)),
    )


def collector_of(arguments, channel, directory):
    """Return what collects files into a directory on the controller."""
    wanted = Wanted(arguments["collect"], arguments["results_file"], arguments["collect_limit_mib"])
    home = 'cd "${HOME:-/}" || cd /'
    start = f"cd {shlex.quote(arguments['chdir'])} || cd /" if arguments["chdir"] else home
    return Collector(channel, wanted, directory, list(arguments["secret_env"].values()), start, channel.extend)


def results_of(arguments, collection):
    """Return the file with metrics, as it was collected, or None if there is to be none."""
    name = arguments["results_file"]
    if not name:
        return None
    document = file_document(arguments["results_json"], arguments["metrics"])
    return ResultsFile(name, collection.results, collection.problem, document)


def _lease(text):
    return Lease.of_text(text) if text else None


def exported(arguments, task_vars):
    """Return what earlier tasks of the playbook, or an earlier attempt, exported, as PhaseResult.exports has it."""
    exports = {host: dict(values) for host, values in arguments["exports_known"].items()}
    hostvars, groups = task_vars.get("hostvars", {}), task_vars.get("groups", {})
    for task in arguments["exports_from"]:
        pattern = task["hosts"]
        # A pattern that is more than a name selects any host: one that has not run the task has no such variable.
        for host in groups.get(pattern) or ([pattern] if pattern in hostvars else groups.get("all", ())):
            variables = hostvars.raw_get(host)  # no value is templated on the way
            result = variables.get(task["register"]) if isinstance(variables, Mapping) else None
            if isinstance(result, Mapping) and isinstance(result.get("exports"), Mapping):
                exports.setdefault(host, {}).update({name: str(value) for name, value in result["exports"].items()})
    order = {host: number for number, host in enumerate(groups.get("all", ()))}
    return join_exports(exports[host] for host in sorted(exports, key=lambda host: order.get(host, -1)))


def _run_id(host, step):
    """Return the name of a script: one that its controller can derive, too, where there is a key."""
    key = os.environ.get(RUN_KEY)
    return run_id(key, step, host) if key else uuid.uuid4().hex


def _text(value):
    """Return a number as the text of an environment variable: Ansible makes numbers of templates."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _variable_problem(name, value):
    if not ENV_NAME.match(name):
        return f"{name!r} cannot be the name of an environment variable"
    if not isinstance(value, str):
        return f"env: the value of {name} is {type(value).__name__}, not a string; quote it"
    if "\0" in value:
        return f"env: the value of {name} holds a NUL character"
    return None


def _check_files(arguments):
    for pattern in arguments["collect"]:
        check_pattern(pattern)
    if arguments["results_file"] is not None:
        check_pattern(arguments["results_file"], "results_file")


def problem_of(arguments):
    """Return what is wrong with the arguments, or None. Numbers among the environment variables become text."""
    if arguments["timeout"] is not None and arguments["timeout"] <= 0:
        return "timeout must be more than 0 seconds"
    if "\0" in (arguments["script"] or ""):
        return "the script holds a NUL character"
    for source in ("env", "secret_env"):
        arguments[source] = {name: _text(value) for name, value in arguments[source].items()}
    for name, value in {**arguments["env"], **arguments["secret_env"]}.items():
        if problem := _variable_problem(name, value):
            return problem
    try:
        probes_of(arguments["telemetry"])
        if arguments["results_stdout_pattern"]:
            compile_pattern(arguments["results_stdout_pattern"])
        for pattern in arguments["export_patterns"].values():
            compile_export(pattern)
        JsonMetrics.of(arguments["results_json"], arguments["metrics"])
        _check_files(arguments)
        MetricRules.parse((), arguments["valid"])
        HostRules.parse(arguments["require"])
        DisturbanceLimits.parse(arguments["disturbed_if"])
    except ValueError as error:
        return str(error)
    return None
