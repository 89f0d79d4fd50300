"""Rules for metrics and hosts and budgets on the command line, and the baseline to compare with."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ansible_env.cli.options import Judged
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.text import nearest
from ansible_env.errors import ConfigError, Problem
from ansible_env.results.assertions import (
    COMPARISONS,
    Assertion,
    AssertionResult,
    AssertionSyntaxError,
    check_assertions,
    parse_assertion,
)
from ansible_env.results.file_patterns import check_pattern
from ansible_env.results.metrics.validity import ANY, FINITE, ValidRule, parse_rule
from ansible_env.results.requirements import COMMANDS, HostRules, RequirementSyntaxError
from ansible_env.results.values import is_number
from ansible_env.storage.bundle.bundle import MANIFEST, RESULT, Bundle
from ansible_env.storage.bundle.reading import read_result
from ansible_env.storage.selection import select
from ansible_env.storage.store import Store

_T = TypeVar("_T")
_TEXT = re.compile(r"\s*(.+?)\s*((?:>=|<=|==|!=|>|<).*)", re.DOTALL)
_REQUIREMENT = re.compile(r"\s*(\w+)\s*(?:=(?!=)|(?=[<>=!]))\s*(.*\S)\s*", re.DOTALL)
_WORD = re.compile(rf"\s*(\S.*?)\s+({ANY}|{FINITE})\s*")


@dataclass(frozen=True, slots=True)
class Budgets:
    """The assertions of a call."""

    budgets: Sequence[Assertion] = ()
    baseline: Mapping[str, float] | None = None

    def judge(self, metrics: Sequence[Mapping[str, Any]]) -> list[AssertionResult]:
        """Check the trials together, by the median of each metric."""
        return check_assertions(self.budgets, medians(metrics), self.baseline) if metrics else []


def open_budgets(config: EnvironmentConfig, options: Judged) -> Budgets:
    """Return the budgets of the environment file and of the command line, before a host is touched.

    Raise ConfigError if one cannot be read, or needs a baseline that does not exist; StoreError for a bad store.
    """
    budgets = [*config.assertions, *map(_budget, options.asserted or [])]
    baseline, store = options.baseline, options.store
    needing = [budget for budget in budgets if budget.needs_baseline]
    if not needing:
        return Budgets(budgets)
    if baseline is None and config.baseline is None:
        hint = "--baseline: a JSON file, a bundle, or trials of the store"
        raise ConfigError(Problem("there is no baseline", f"assert.{needing[0].metric}", config.source, hint=hint))
    reference = (baseline, Path()) if baseline is not None else (str(config.baseline), config.base_dir)
    metrics = read_baseline(*reference, store)
    for budget in needing:
        if budget.metric not in metrics:
            what = f"the baseline {baseline or config.baseline} has no number for the metric {budget.metric!r}"
            raise ConfigError(Problem(what, f"assert.{budget.metric}", hint=nearest(budget.metric, metrics)))
    return Budgets(budgets, metrics)


def with_rules(config: EnvironmentConfig, texts: Sequence[str]) -> EnvironmentConfig:
    """Return an environment with further rules for metrics, those of `--valid`. Raise ConfigError for a bad one."""
    return config.model_copy(update={"valid": (*config.valid, *map(_rule, texts))}) if texts else config


def with_requirements(config: EnvironmentConfig, texts: Sequence[str]) -> EnvironmentConfig:
    """Return an environment with further rules for hosts, those of `--require`. Raise ConfigError for a bad one.

    A rule replaces that of the environment file for the same fact; programs are added.
    """
    rules = dict(config.require.to_plain())
    for text in texts:
        match = _REQUIREMENT.fullmatch(text)
        if match is None:
            hint = "--require governor=performance, --require 'load_1m < 0.5'"
            raise ConfigError(Problem(f"{text!r} is not FACT and a value", "--require", hint=hint))
        fact, value = match.groups()
        names = [*rules.get(COMMANDS, ()), *(name.strip() for name in value.split(","))]
        rules[fact] = list(dict.fromkeys(names)) if fact == COMMANDS else value
        try:
            HostRules.parse({fact: rules[fact]})
        except RequirementSyntaxError as error:
            raise ConfigError(Problem(str(error), f"--require {fact}", hint=error.hint or None)) from None
    return config.model_copy(update={"require": HostRules.parse(rules)}) if texts else config


def with_files(config: EnvironmentConfig, patterns: Sequence[str]) -> EnvironmentConfig:
    """Return an environment that collects further files, those of `--collect`. Raise ConfigError for a bad pattern."""
    more = [check_pattern(pattern, "--collect") for pattern in patterns]
    return config.model_copy(update={"collect": tuple(dict.fromkeys([*config.collect, *more]))}) if more else config


def _rule(text: str) -> ValidRule:
    match = _WORD.fullmatch(text) or _TEXT.fullmatch(text)
    if match is None:
        raise ConfigError(Problem(f"{text!r} is not METRIC and a rule", "--valid", hint="--valid 'throughput > 0'"))
    return _parsed(parse_rule, match, "--valid")


def read_baseline(reference: str, base_dir: Path, store: str | None) -> dict[str, float]:
    """Return the metrics of a JSON file, of a bundle, or the medians of trials in the store.

    Raise ConfigError if nothing has this name, or it has no metrics; StoreError if the store cannot be read.
    """
    path = base_dir / Path(reference).expanduser()
    if (path / MANIFEST).is_file():
        bundle = Bundle.open(path)
        return medians([read_result(bundle.directory / RESULT).get("metrics") or {}])
    if path.is_file():
        return medians(_in_file(path))
    with Store(store) as opened:
        trials = [trial for trial in select(opened, reference) if trial.status.is_succeeded()]
    if not trials:
        raise ConfigError(Problem("none of these trials has succeeded", "--baseline", hint=reference))
    return medians([trial.metrics for trial in trials])


def medians(sets: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return the median of each metric that is a number."""
    values: dict[str, list[float]] = {}
    for metrics in sets:
        for name, value in metrics.items():
            if is_number(value):
                values.setdefault(name, []).append(float(value))
    return {name: statistics.median(numbers) for name, numbers in values.items()}


def _budget(text: str) -> Assertion:
    match = _TEXT.fullmatch(text)
    if match is None:
        hint = "--assert 'throughput >= 0.95 * baseline'"
        raise ConfigError(Problem(f"{text!r} is not METRIC and a comparison", "--assert", hint=hint))
    return _parsed(parse_assertion, match, "--assert")


def _parsed(parse: Callable[[str, str], _T], match: re.Match[str], option: str) -> _T:
    """Parse the metric and the text of an option. Raise ConfigError for a bad one."""
    if match[1].endswith(("=", "<", ">", "!")):
        hint = f"the comparisons are {' '.join(COMPARISONS)}"
        raise ConfigError(Problem(f"{match[0]!r} has no comparison", option, hint=hint))
    try:
        return parse(match[1], match[2])
    except AssertionSyntaxError as error:
        raise ConfigError(Problem(str(error), f"{option} {match[1]}")) from None


def _in_file(path: Path) -> list[Mapping[str, Any]]:
    """Return the metrics in a file: a mapping of them, or what `-o json` and `-o jsonl` printed."""
    try:
        text = path.read_text(encoding="utf-8")
        try:
            data = json.loads(text)
        except ValueError:
            data = {"trials": [json.loads(line) for line in text.splitlines() if line.strip()]}
        if not isinstance(data, Mapping):
            raise TypeError("it is not a mapping")
        trials = data.get("trials", [data])
        sets = [trial.get("metrics", trial) for trial in trials if trial.get("status", "SUCCEEDED") == "SUCCEEDED"]
        if not sets or not all(isinstance(metrics, Mapping) for metrics in sets):
            raise TypeError("it contains no metrics")
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        hint = "a mapping of metrics to numbers, or what `trial -o json` printed"
        raise ConfigError(Problem(f"cannot be used as a baseline: {error}", "--baseline", path, hint=hint)) from error
    return sets
