"""Names that playbooks share with the code that runs them."""

from __future__ import annotations

PARAMS_VAR = "ansible_env_params"
"""The variable that holds the parameters for the Ansible tasks of a phase."""
SECRETS_VAR = "ansible_env_secrets"
"""The variable that passes secrets in a 0600 file, not in the playbook: `.env` for scripts, `.params` for tasks."""
HOLD = 600
"""Longest time in seconds that a staged script waits for its release, in case its controller is gone."""
