"""The rules that turn output into metrics. A bundle keeps them so that `replay` can apply them again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from ansible_env.config.model import EnvironmentConfig
from ansible_env.results.fold.events import PHASE_TASK

RULES = frozenset(
    {
        "results_stdout_pattern", "results_json", "required_metrics",
        "success", "max_unreachable", "aggregate", "per_host_metrics",
    }
)  # fmt: skip


def rules_of(config: EnvironmentConfig) -> dict[str, Any]:
    """Return the keys of an environment file that determine its metrics."""
    rules: dict[str, Any] = json.loads(config.model_dump_json(include=set(RULES)))
    return {name: value for name, value in rules.items() if value is not None}


def config_of(rules: Mapping[str, Any]) -> EnvironmentConfig:
    """Return an environment with these rules, and nothing else that matters. Raise ConfigError for a wrong rule."""
    return EnvironmentConfig.from_mapping({"name": "replay", "run": ["true"], **rules})


def scripts_in(playbook: str) -> int:
    """Return how many scripts a rendered phase has on each host; 1 if that differs from host to host."""
    plays = yaml.load(playbook, Loader=yaml.BaseLoader)  # noqa: S506 - all values are text
    if len(plays) != 1:
        return 1
    tasks = [task for play in plays for task in play.get("tasks") or ()]
    return sum(1 for task in tasks if isinstance(task.get(PHASE_TASK), dict) and "script" in task[PHASE_TASK])
