"""The rules that turn output into metrics. A bundle keeps them so that `replay` can apply them again."""

from __future__ import annotations

import json
from typing import Any

from ansible_env.config.model import EnvironmentConfig

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
