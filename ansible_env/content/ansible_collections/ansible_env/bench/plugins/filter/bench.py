# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters for what scripts print, and for results."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from ansible.errors import AnsibleFilterError

try:
    from ansible_env.config.fields import PHASES
    from ansible_env.config.model import EnvironmentConfig
    from ansible_env.environment.role import group_result, judge
    from ansible_env.errors import AnsibleEnvError
    from ansible_env.results import aggregate as aggregates
    from ansible_env.results import phase_result
    from ansible_env.results.metrics.json_output import JsonMetrics
    from ansible_env.results.metrics.parse import parse
    from ansible_env.results.metrics.pattern import compile_pattern
    from ansible_env.results.metrics.validity import NO_RULES
    from ansible_env.results.status import Status
except ImportError as error:  # the collection was installed without the library
    LIBRARY_ERROR = error
else:
    LIBRARY_ERROR = None


def _plain(value):
    """Return plain data for values of Ansible's own types."""
    return json.loads(json.dumps(value, default=str))


FILTERS = {}


def _filter(function):
    """Make a function a filter, which raises Ansible's error for the library's errors."""

    def checked(*arguments, **named):
        if LIBRARY_ERROR is not None:
            raise AnsibleFilterError(
                f"the ansible_env library is needed: install it from its clone or wheel ({LIBRARY_ERROR})"
            )
        try:
            return function(*arguments, **named)
        except AnsibleEnvError as problem:
            raise AnsibleFilterError(str(problem)) from problem

    FILTERS[function.__name__] = checked
    return checked


@_filter
def metrics(text, pattern=None, json_line=False, paths=None):
    """Return the metrics in what a script printed."""
    return parse(
        str(text), compile_pattern(str(pattern)) if pattern else None, document=JsonMetrics.of(bool(json_line), paths)
    )


@_filter
def aggregate(sets, how=None):
    """Return one set of metrics for those of several hosts or repetitions."""
    how = {"*": how} if isinstance(how, str) else dict(how or {})
    unknown = [name for name in how.values() if aggregates.function(str(name)) is None]
    if unknown:
        raise AnsibleFilterError(f"there is no aggregate {unknown[0]!r}: {', '.join(aggregates.NAMES)}")
    return aggregates.group_metrics([_plain(item) for item in sets], _plain(how))


@_filter
def outcome(results, phase, host, failure=None, file=None):
    """Return the result of a phase on a host."""
    rules = EnvironmentConfig.load(Path(str(file))).metric_rules if file else NO_RULES
    return judge(str(host), [_plain(item) for item in results], _plain(failure), _plain(phase), rules)


@_filter
def group(hosts, hostvars, phase=None):
    """Return the result of a phase, or of the one that decides, on a group of hosts that the role has run on."""
    begun = {host: hostvars[host] for host in hosts if "environment_trial" in hostvars[host]}
    if not begun:
        return {}
    config = EnvironmentConfig.load(Path(str(next(iter(begun.values()))["environment_trial"]["file"])))
    groups = {}
    for name in [str(phase)] if phase else PHASES:
        results = {host: result for host in begun if (result := _result_of(host, begun[host], name))}
        if results:
            groups[name] = {"phase": name, **group_result(config, name, results), "hosts": _brief(results)}
    return groups.get(deciding_phase(groups), {})


@_filter
def deciding_phase(results):
    """Return the name of the phase that decides the status and the metrics of a trial, or None."""
    phases = {name: SimpleNamespace(name=name, status=Status[result["status"]]) for name, result in results.items()}
    decisive = phase_result.deciding_phase(phases)
    return decisive.name if decisive else None


def _brief(results):
    keys = ("status", "kind", "message", "metrics")
    return {host: {key: result.get(key) for key in keys} for host, result in results.items()}


def _result_of(host, variables, phase):
    """Return the last result of a host, also if Ansible lost the host; that of setup if setup failed."""
    results = variables.get("environment_results", {})
    for name in dict.fromkeys(["setup" if phase == "run" else phase, phase]):
        if name in results:
            result = _plain(results[name])
        else:
            trial = variables["environment_trial"]["roles"].get(name)
            tasks = [variables.get(v, {}) for v in (trial["registers"] if trial else ())]
            result = judge(host, [_plain(item) for item in tasks], None, _plain(trial)) if any(tasks) else None
        if result and (name == phase or result["status"] != "SUCCEEDED"):
            return result
    return None


class FilterModule:
    """The filters, by name."""

    def filters(self):
        return FILTERS
