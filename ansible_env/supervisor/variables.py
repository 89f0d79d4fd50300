"""Environment variables with which an engine passes settings to the processes of its run and to the phase task."""

from __future__ import annotations

ENGINE_RUN = "ANSIBLE_ENV_ENGINE_RUN"
"""The id of the run, which marks every local process of it."""
OWNER = "ANSIBLE_ENV_OWNER"
"""The process that the run belongs to, as `owner.Owner` writes it."""
PRIVATE_DIR = "ANSIBLE_ENV_PRIVATE_DIR"
"""Directory of the run: the files `workers` and `cancel`, and logs/ if the output is followed, are in it."""
RUN_KEY = "ANSIBLE_ENV_RUN_KEY"
"""The key from which the names of runs on the targets derive."""
LEASE = "ANSIBLE_ENV_LEASE"
"""The lease that scripts take on their targets, as `Lease.to_text` writes it."""
RESULTS_DIR = "ANSIBLE_ENV_RESULTS_DIR"
"""Directory for results that survive their controller."""
LOG_DIR = "ANSIBLE_ENV_LOG_DIR"
"""Directory for the output of scripts; by default logs/ of the private directory, if it exists."""

PER_RUN = frozenset(
    (
        *(ENGINE_RUN, PRIVATE_DIR, LOG_DIR, RUN_KEY, LEASE, RESULTS_DIR),
        *("ANSIBLE_LOCAL_TEMP", "JOB_ID", "AWX_ISOLATED_DATA_DIR"),
    )
)
"""Variables that differ between runs and are read when needed. Ansible may read all others at its import."""
