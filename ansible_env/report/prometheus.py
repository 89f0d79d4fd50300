"""The last trial as a file for the textfile collector of Prometheus' node_exporter.

https://github.com/prometheus/node_exporter#textfile-collector. Importing this needs the extra `prometheus`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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
        """Use a path; a function receives a message if the file cannot be written.

        Raises:
            ConfigError: the path does not end with .prom, or there is no such directory.
        """
        if path.suffix != ".prom":
            raise ConfigError(Problem("must end with .prom: node_exporter reads no other", "--prometheus", path))
        super().__init__(path, report, "--prometheus")

    def write(self, trial: Trial) -> None:
        """Write the results of a trial. Raise ConfigError if the file cannot be written."""
        registry = CollectorRegistry()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"ansible_env_{name}", text, ("environment", *labels), registry=registry)

        end = (trial.finished or trial.started).timestamp()
        for name, text, number in (
            ("trial", "Number of the last trial.", trial.number),
            ("trial_success", "Whether it succeeded.", trial.status.is_succeeded()),
            ("trial_duration_seconds", "How long it took.", trial.elapsed),
            ("trial_finished_timestamp_seconds", "When it ended.", end),
        ):
            gauge(name, text).labels(trial.environment).set(number)
        host_success = gauge("host_success", "Whether a host succeeded.", "host", "kind")
        value = gauge("metric", "A metric of a host.", "host", "metric")
        group = gauge("group_metric", "A metric of all hosts together.", "metric")
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


def _numbers(metrics: Mapping[str, Value]) -> list[tuple[str, float]]:
    numbers = [(name, float(value)) for name, value in metrics.items() if isinstance(value, int | float)]
    return [(name, number) for name, number in numbers if not math.isnan(number)]
