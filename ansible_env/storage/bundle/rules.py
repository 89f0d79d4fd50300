"""How metrics are made of output: what a bundle has to know so that they can be made again."""

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
    """Return the keys of an environment file that metrics depend on."""
    found: dict[str, Any] = json.loads(config.model_dump_json(include=set(RULES)))
    return {name: value for name, value in found.items() if value is not None}


def config_of(rules: Mapping[str, Any]) -> EnvironmentConfig:
    """Return an environment that has these rules, and nothing else of interest.

    Raises:
        ConfigError: one of them is wrong.
    """
    return EnvironmentConfig.from_mapping({"name": "replay", "run": ["true"], **rules})


def scripts_in(playbook: str) -> int:
    """Return how many scripts a rendered phase has on each of its hosts; 1 where that differs from host to host."""
    plays = yaml.load(playbook, Loader=yaml.BaseLoader)  # noqa: S506 - all values are text
    if len(plays) != 1:
        return 1
    tasks = [task for play in plays for task in play.get("tasks") or ()]
    return sum(1 for task in tasks if isinstance(task.get(PHASE_TASK), dict) and "script" in task[PHASE_TASK])
