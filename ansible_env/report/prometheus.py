"""The last trial as a file for the textfile collector of Prometheus' node_exporter.

https://github.com/prometheus/node_exporter#textfile-collector. Importing this needs the extra `prometheus`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from ansible_env.common import get_logger
from ansible_env.errors import ConfigError, Problem
from ansible_env.report.trial_file import TrialFile
from ansible_env.results.metrics.parse import Value
from ansible_env.results.trial import Trial

logger = get_logger(__name__)


class PrometheusFile(TrialFile):
    """The last trial, for the textfile collector. The file is written whole, or not at all."""

    def __init__(self, path: Path, report: Callable[[str], object] = logger.warning) -> None:
        """Take a path, and a function that is called with a message if the file cannot be written.

        Raises:
            ConfigError: the path does not end with .prom, or there is no such directory.
        """
        super().__init__(report)
        self._path = path.expanduser().absolute()
        if path.suffix != ".prom":
            raise ConfigError(Problem("must end with .prom: node_exporter reads no other", "--prometheus", path))
        if not self._path.parent.is_dir():
            raise ConfigError(Problem("there is no such directory", "--prometheus", self._path.parent))

    def write(self, trial: Trial) -> None:
        """Write the results of a trial.

        Raises:
            ConfigError: the file cannot be written.
        """
        registry = CollectorRegistry()
        of = {"environment": trial.environment}
        _gauge(registry, "trial", "Number of the last trial.", of, trial.number)
        _gauge(registry, "trial_success", "Whether it succeeded.", of, trial.status.is_succeeded())
        _gauge(registry, "trial_duration_seconds", "How long it took.", of, trial.elapsed)
        end = (trial.finished or trial.started).timestamp()
        _gauge(registry, "trial_finished_timestamp_seconds", "When it ended.", of, end)
        host_success = _labelled(registry, "host_success", "Whether a host succeeded.", "environment", "host", "kind")
        value = _labelled(registry, "metric", "A metric of a host.", "environment", "host", "metric")
        group = _labelled(registry, "group_metric", "A metric of all hosts together.", "environment", "metric")
        for host in trial.host_results.values():
            host_success.labels(trial.environment, host.host, str(host.kind)).set(host.status.is_succeeded())
            for name, number in _numbers(host.metrics):
                value.labels(trial.environment, host.host, name).set(number)
        for name, number in _numbers(trial.deciding.metrics if trial.deciding else {}):
            group.labels(trial.environment, name).set(number)
        try:
            write_to_textfile(str(self._path), registry)
        except OSError as error:
            raise ConfigError(Problem(f"cannot be written: {error.strerror}", "--prometheus", self._path)) from error


def _labelled(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"ansible_env_{name}", text, labels, registry=registry)


def _gauge(registry: CollectorRegistry, name: str, text: str, labels: dict[str, str], value: float) -> None:
    _labelled(registry, name, text, *labels).labels(*labels.values()).set(value)


def _numbers(metrics: object) -> list[tuple[str, float]]:
    values: dict[str, Value] = dict(metrics)  # type: ignore[call-overload]
    return [
        (name, float(value))
        for name, value in values.items()
        if isinstance(value, int | float) and not (isinstance(value, float) and math.isnan(value))
    ]
