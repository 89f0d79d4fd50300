"""The time after which the controller ends a run. Targets end scripts; this is for connections and tasks that hang."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.steps import steps_of
from ansible_env.engine.arguments import MAX_FORKS
from ansible_env.supervisor.collect import Wanted

SLACK = 15.0
"""Seconds beyond a script's own deadline and grace until the controller ends a run, because connecting takes time."""


def outer_deadline(
    config: EnvironmentConfig, phase: str, hosts: int, forks: int | None, *, tasks: bool
) -> float | None:
    """Return the seconds after which a run is ended; None for never. `tasks` of Ansible have no other deadline."""
    timeout: float | None = getattr(config.timeouts, phase)
    if timeout is None:
        return None
    steps = list(steps_of(getattr(config, phase))) if phase != "boot" else []
    scripts = max(1, sum(step.is_script for step in steps))
    collecting = _collecting(config) if phase == "run" else 0
    alone = timeout + config.timeouts.grace + SLACK + collecting
    return rounds(forks, batches(config.serial, hosts)) * (timeout + collecting if tasks else scripts * alone)


def _collecting(config: EnvironmentConfig) -> int:
    """Return the longest time for which files are collected from a host."""
    return Wanted(config.collect, config.results_file, config.collect_limit_mib).seconds


def rounds(forks: int | None, sizes: Iterable[int]) -> int:
    """Return how often so many forks have to begin with another host, in batches of these sizes."""
    return sum(math.ceil(size / (forks or MAX_FORKS)) for size in sizes)


def batches(serial: Sequence[int | str], hosts: int) -> list[int]:
    """Return the sizes of the batches that Ansible makes of so many hosts (ansible/utils/helpers.py, pct_to_int).

    The last size is used for as long as there are hosts.
    """
    sizes: list[int] = []
    wanted = list(serial) or [max(hosts, 1)]
    left = hosts
    while left > 0:
        size = wanted.pop(0) if len(wanted) > 1 else wanted[0]
        number = max(1, int(hosts * float(size.rstrip("% ")) / 100)) if isinstance(size, str) else size
        sizes.append(min(number, left))
        left -= number
    return sizes
