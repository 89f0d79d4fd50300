"""From events to the result of a phase, with the default policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_env.results.fold.fold_hosts import Expected, controller_message, fold_hosts
from ansible_env.results.phase_result import PhaseResult, phase_result


def fold(
    phase: str,
    events: Iterable[Mapping[str, Any]],
    hosts: Sequence[str],
    *,
    stopped: str = "",
    message: str = "",
    **expected: Any,
) -> PhaseResult:
    """Return the result; further arguments are fields of `Expected`."""
    results = fold_hosts(events, hosts, Expected(**expected), stopped=stopped, message=message)
    return phase_result(phase, results, controller_message(results, message))
