"""Environment variables by which an engine speaks to the processes of its run, and to the phase task among them."""

from __future__ import annotations

ENGINE_RUN = "ANSIBLE_ENV_ENGINE_RUN"
"""The run: this marks every local process of it."""
OWNER = "ANSIBLE_ENV_OWNER"
"""The process that the run belongs to, as `owner.Owner` writes it."""
PRIVATE_DIR = "ANSIBLE_ENV_PRIVATE_DIR"
"""Directory of the run: the files `workers` and `cancel`, and logs/ if somebody follows, are in it."""
RUN_KEY = "ANSIBLE_ENV_RUN_KEY"
"""What the runs on the targets get their names from."""
RESULTS_DIR = "ANSIBLE_ENV_RESULTS_DIR"
"""Directory where results outlive their controller."""
LOG_DIR = "ANSIBLE_ENV_LOG_DIR"
"""Directory that keeps what scripts print; else logs/ of the private one, if it is there."""

PER_RUN = frozenset(
    (ENGINE_RUN, PRIVATE_DIR, LOG_DIR, RUN_KEY, RESULTS_DIR, "ANSIBLE_LOCAL_TEMP", "JOB_ID", "AWX_ISOLATED_DATA_DIR")
)
"""What differs from run to run and is read when it is needed. All else, Ansible may have read at its import."""
