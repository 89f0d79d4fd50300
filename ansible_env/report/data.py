"""The data of a report: the trials of an experiment, and what can be plotted of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from ansible_env.config.text import nearest
from ansible_env.errors import ConfigError
from ansible_env.storage.database.read import parse_best
from ansible_env.storage.database.records import Sample, StoredAssertion, StoredHost, StoredTrial
from ansible_env.storage.store import Store

MAX_FOR_HOSTS = 1000
"""The newest trials, whose hosts are read."""
MAX_CATEGORIES = 30
"""Most values of a parameter of text. One with more values is an identifier, not a setting."""
_OF_THE_TRIAL = ("trial_id", "trial_runner_id", "experiment_id")
_USUAL_GOALS = ("score",)


@dataclass(frozen=True, slots=True)
class Goal:
    """The metric to optimize."""

    metric: str
    up: bool
    """Whether more is better."""

    def __str__(self) -> str:
        return f"{self.metric}, {'more' if self.up else 'less'} is better"

    def best(self, trials: Iterable[StoredTrial]) -> list[StoredTrial]:
        """Return the trials that succeeded and have the metric, the best first."""
        values = [(as_number(trial.metrics.get(self.metric)), trial) for trial in trials if trial.status.is_succeeded()]
        known = [(value, trial) for value, trial in values if value is not None]
        return [trial for _, trial in sorted(known, key=lambda pair: -pair[0] if self.up else pair[0])]


@dataclass(frozen=True)
class ReportData:
    """The trials of an experiment."""

    experiment: str
    trials: list[StoredTrial]
    """The oldest trial first."""
    hosts: list[StoredHost] = field(default_factory=list)
    """Results of the newest trials, from the deciding phase of each."""
    telemetry: tuple[StoredTrial, list[Sample]] | None = None
    """Samples of the best trial that has some, or of the last one."""
    goal: Goal | None = None
    store: str = ""
    assertions: list[StoredAssertion] = field(default_factory=list)
    made: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def numbers_repeat(self) -> bool:
        """Whether several trials have the same number, as those of several calls; only their ids differ then."""
        return len({trial.number for trial in self.trials}) < len(self.trials)

    def name_of(self, trial: StoredTrial) -> str:
        """Return the number of a trial, or its id in the store if numbers repeat."""
        return str(trial.id if self.numbers_repeat else trial.number)

    @cached_property
    def places(self) -> dict[int, int]:
        """The place of each trial on an axis, by id: its number, or its place in the order of time."""
        order = enumerate(self.trials, 1)
        return {trial.id: place if self.numbers_repeat else trial.number for place, trial in order}

    @cached_property
    def succeeded(self) -> list[StoredTrial]:
        """The trials that succeeded."""
        return [trial for trial in self.trials if trial.status.is_succeeded()]

    def metrics(self, *, varied: bool = False) -> list[str]:
        """Return the metrics that are numbers: the goal, then the most frequent ones. `varied` omits constant ones."""
        names = [name for name, varies in self._metrics.items() if not varied or varies]
        first = [self.goal.metric] if self.goal and self.goal.metric in names else []
        return [*first, *(name for name in names if name not in first)]

    @cached_property
    def _metrics(self) -> dict[str, bool]:
        """The metrics, ordered by how many trials have them, and whether their values vary."""
        counts: Counter[str] = Counter()
        values: dict[str, set[float]] = {}
        for trial in self.trials:
            for name, value in trial.metrics.items():
                if (number := as_number(value)) is not None:
                    counts[name] += 1
                    values.setdefault(name, set()).add(number)
        return {name: len(values[name]) > 1 for name, _ in counts.most_common()}

    def params(self) -> list[str]:
        """Return the parameters that vary between trials and are settings rather than identifiers."""
        return self._params

    @cached_property
    def _params(self) -> list[str]:
        values: dict[str, set[str]] = {}
        numeric: dict[str, bool] = {}
        for trial in self.trials:
            for name, value in trial.params.items():
                values.setdefault(name, set()).add(str(value))
                numeric[name] = numeric.get(name, True) and as_number(value) is not None
        return [
            name
            for name, distinct in values.items()
            if name not in _OF_THE_TRIAL and len(distinct) > 1 and (numeric[name] or len(distinct) <= MAX_CATEGORIES)
        ]

    def kinds(self) -> Counter[str]:
        """Return how often hosts failed, by kind."""
        return Counter(host.kind for host in self.hosts if not host.status.is_succeeded())


def collect(store: Store, experiment: str, best: str | None = None) -> ReportData:
    """Read the data of a report from a store.

    Args:
        store: the store.
        experiment: name of the experiment.
        best: `metric:max` or `metric:min`. By default, a metric called `score` is maximized, if there is one.

    Raises:
        ConfigError: there is no such experiment, or no trial has the metric.
        StoreError: the store cannot be read.
    """
    trials = store.trials(experiment)
    if not trials:
        names = [known.name for known in store.experiments()]
        hint = nearest(experiment, names) or (f"there are: {', '.join(names[:10])}" if names else "it is empty")
        raise ConfigError(f"the store {store.name} has no experiment {experiment!r} ({hint})")
    goal = _goal(trials, best)
    candidates = [*(goal.best(trials)[:1] if goal else []), *reversed(trials[-20:])]
    telemetry = next(((trial, samples) for trial in candidates if (samples := store.telemetry(trial))), None)
    newest = trials[-MAX_FOR_HOSTS:]
    return ReportData(
        experiment, trials, store.hosts(newest), telemetry, goal, store.name, assertions=store.assertions(trials)
    )


def _goal(trials: list[StoredTrial], best: str | None) -> Goal | None:
    known = dict.fromkeys(name for trial in trials for name in trial.metrics)
    if best is not None:
        metric, direction = parse_best(best)
        if metric not in known:
            hint = nearest(metric, known) or "run a trial that has it"
            raise ConfigError(f"--best {best}: no trial has the metric {metric!r} ({hint})")
        return Goal(metric, direction == "max")
    return next((Goal(name, up=True) for name in _USUAL_GOALS if name in known), None)


def as_number(value: object) -> float | None:
    """Return a value that can be plotted, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
