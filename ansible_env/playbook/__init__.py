"""From a phase of an environment to a playbook: plain data, and YAML that a person may read and run.

Text that is not the author's own Ansible task (script lines, values of parameters) is marked `!unsafe`, so that
Ansible never templates it, wherever it came from.
https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_advanced_syntax.html#unsafe-or-raw-strings
"""

from ansible_env.playbook.document import Place, Playbook
from ansible_env.playbook.names import PARAMS_VAR, PHASE_TASK, PHASES, SECRETS_VAR
from ansible_env.playbook.plays import render, render_boot, render_question
from ansible_env.playbook.tasks import exports_of
from ansible_env.playbook.text import Unsafe, to_yaml, unsafe

__all__ = [
    "PARAMS_VAR",
    "PHASES",
    "PHASE_TASK",
    "SECRETS_VAR",
    "Place",
    "Playbook",
    "Unsafe",
    "exports_of",
    "render",
    "render_boot",
    "render_question",
    "to_yaml",
    "unsafe",
]
