"""Differences between the releases of mlos_bench that matter here.

Written for 0.6.2 and the main branch after it (2025-10):

- `Status` has the same members in both. 0.6.2 has no `parse`, and its `is_timed_out()` compares with FAILED. So
  statuses are converted by name, and its methods are not called.
- 0.6.2 keeps the contexts of environment and services open for a whole experiment; main enters and leaves them for
  each trial, and again for the teardown. So nothing that is needed later is kept in a context (see `runtime`).
- Only main has trial runners: it creates an environment and services for each, and sets the global
  `trial_runner_id`.
- Only main adds `experiment_id`, `trial_id` and `trial_runner_id` to the parameters of each environment.
"""

from __future__ import annotations

from mlos_bench.environments.status import Status as MlosStatus

from ansible_env.results.status import Status


def to_mlos(status: Status) -> MlosStatus:
    """Return mlos_bench's status of the same name."""
    return MlosStatus[status.name]
