"""Names that playbooks and those who read their results agree on."""

from __future__ import annotations

PHASES = ("setup", "run", "teardown")
PARAMS_VAR = "ansible_env_params"
"""The variable by which Ansible tasks of a phase see the parameters."""
SECRETS_VAR = "ansible_env_secrets"
"""The variable that carries secrets past the playbook, in a 0600 file: `.env` for scripts, `.params` for tasks."""


HOLD = 600
"""Seconds that a staged script waits for its release at the most, should its controller be gone."""
