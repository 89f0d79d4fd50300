"""Replay: metrics parsed from the logs of a trial again, so that a wrong pattern does not require another run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ansible_env.config.model import EnvironmentConfig
from ansible_env.errors import ConfigError, Problem
from ansible_env.results.file_patterns import bundle_path
from ansible_env.results.fold.events import PHASE_TASK
from ansible_env.results.host_result import HostResult
from ansible_env.results.metrics.parse import Value
from ansible_env.results.metrics.results_file import ResultsFile
from ansible_env.results.metrics.validity import DECIDED_BY_METRICS, MetricRules
from ansible_env.results.outcomes import Kind
from ansible_env.results.phase_result import PhaseResult, phase_result
from ansible_env.storage.bundle.bundle import RESULT, Bundle
from ansible_env.storage.bundle.reading import read_phases, read_result
from ansible_env.supervisor.capture import log_path
from ansible_env.supervisor.report import judge_metrics


def replay(bundle: Bundle, rules: Mapping[str, Any]) -> dict[str, PhaseResult]:
    """Return a trial's phases as these rules yield them. Raise ConfigError if there are no logs, or a rule is wrong."""
    # An environment with these rules, and nothing else that matters.
    config = EnvironmentConfig.from_mapping({"name": "replay", "run": ["true"], **rules})
    path = bundle.directory / RESULT
    phases = read_phases(read_result(path), path)
    if "run" not in phases:
        raise ConfigError(Problem("this trial did not run the benchmark: there are no metrics", file=path))
    run = phases["run"]
    scripts = _scripts(bundle)
    segments = _Segments(bundle)
    # A host that succeeded without a required metric was not expected to report it.
    owed = bundle.manifest["rules"].get("required_metrics") or ()
    free = {h.host for h in run.hosts.values() if h.kind is Kind.OK and any(n not in h.metrics for n in owed)}
    rules_of_free, rules_of_others = config.metric_rules.without_required(), config.metric_rules
    hosts = [
        _host(
            host,
            segments.of(host),
            config,
            rules_of_free if host.host in free else rules_of_others,
            scripts,
            config.results_of(_results(bundle, host, config)),
        )
        for host in run.hosts.values()
    ]
    stopped = any(host.kind is Kind.CANCELED for host in hosts) and not run.status.is_canceled()
    phases["run"] = phase_result(
        "run", hosts, run.message, policy=config.group_policy, dropped=run.dropped, stopped=stopped
    )
    return phases


def _host(
    host: HostResult,
    outputs: list[str] | None,
    config: EnvironmentConfig,
    rules: MetricRules,
    scripts: int,
    file: ResultsFile | None,
) -> HostResult:
    if outputs is None:  # it has no log: the script was not started
        return host
    kind, message = (Kind.OK, "") if host.kind in DECIDED_BY_METRICS else (host.kind, host.message)
    metrics: dict[str, Value] = {}
    for number, text in enumerate(outputs, 1):
        kind_of_script, problem, values = judge_metrics(
            Kind.OK,
            "",
            text,
            pattern=config.results_stdout_pattern,
            document=config.json_metrics if number == len(outputs) else None,
            rules=rules.without_required(),
            file=file if number == len(outputs) else None,
        )
        metrics |= values
        if kind_of_script is not Kind.OK and kind is Kind.OK:
            kind, message = kind_of_script, problem
    fault = rules.fault(metrics)
    if kind is Kind.OK and host.kind is not Kind.OK and len(outputs) < scripts:
        kind, message = Kind.METRICS_MISSING, f"only {len(outputs)} of {scripts} scripts ran"
    elif kind is Kind.OK and fault:
        kind, message = fault
    elif kind is Kind.OK:
        message = host.message if host.kind is Kind.OK else "the metrics are in the log"
    partial = bool(metrics) and kind not in DECIDED_BY_METRICS
    return replace(host, kind=kind, message=message, metrics=metrics, metrics_partial=partial)


def _results(bundle: Bundle, host: HostResult, config: EnvironmentConfig) -> bytes | None:
    """Return the content of the file with metrics that was collected from a host."""
    path = bundle_path(config.results_file or "")
    if path is None or path not in host.files:
        return None
    try:
        return (log_path(bundle.logs / "run", host.host, "files") / path).read_bytes()
    except OSError:
        return None


def _scripts(bundle: Bundle) -> int:
    """Return how many scripts the run phase has on each host; 1 if that differs from host to host."""
    try:
        playbook = (bundle.directory / "run.yml").read_text(encoding="utf-8")
    except OSError:
        return 1
    plays = yaml.load(playbook, Loader=yaml.BaseLoader)  # noqa: S506 - all values are text
    if len(plays) != 1:
        return 1
    arguments = [task.get(PHASE_TASK) for task in plays[0].get("tasks") or ()]
    return sum(isinstance(given, dict) and "script" in given for given in arguments)


class _Segments:
    """The output of each script of run on a host. One log holds all scripts, and those of earlier attempts."""

    def __init__(self, bundle: Bundle) -> None:
        self._logs = bundle.logs / "run"
        if not self._logs.is_dir():
            raise ConfigError(Problem("the logs of the trial are gone", file=self._logs))
        self._sizes = _sizes(bundle.directory / "results" / "run")

    def of(self, host: HostResult) -> list[str] | None:
        path = log_path(self._logs, host.host, "stdout")
        if not path.is_file():
            return None
        data = path.read_bytes()
        sizes = self._sizes.get(path.name) or [len(data)]
        pieces, end = [], len(data)
        for size in reversed(sizes):  # the last attempt is at the end
            pieces.append(data[max(0, end - size) : end])
            end -= size
        return [piece.decode("utf-8", "replace") for piece in reversed(pieces)]


def _sizes(directory: Path) -> dict[str, list[int]]:
    """Return the bytes that each script printed, in the order in which they ran, by the name of the log."""
    sizes: dict[str, list[tuple[str, int]]] = {}
    for path in directory.glob("*.json"):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            log, size = Path(data["stdout_log"]).name, int(data["stdout_bytes"])
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            continue
        sizes.setdefault(log, []).append((data.get("started") or "", size))
    return {log: [size for _, size in sorted(pairs)] for log, pairs in sizes.items()}
