"""From events to the result of a phase, as a phase with the default policy has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_env.results.fold.fold_hosts import controller_message, fold_hosts
from ansible_env.results.phase_result import PhaseResult, phase_result


def fold(phase: str, events: Iterable[Mapping[str, Any]], expected: Sequence[str], **due: Any) -> PhaseResult:
    """Return the result; further arguments are those of `fold_hosts`."""
    hosts = fold_hosts(events, expected, **due)
    return phase_result(phase, hosts, controller_message(hosts, due.get("message", "")))
