"""From a phase of an environment to a playbook: plain data, and YAML that a person may read and run.

Text that is not the author's own Ansible task (script lines, values of parameters) is marked `!unsafe`, so that
Ansible never templates it, wherever it came from.
https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_advanced_syntax.html#unsafe-or-raw-strings
"""
