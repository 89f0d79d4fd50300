"""From a phase of an environment to a playbook: plain data, and YAML that a person can read and run.

Text that is not one of the author's own Ansible tasks (script lines, values of parameters) is marked `!unsafe`, so that
Ansible never templates it, whatever its source.
https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_advanced_syntax.html#unsafe-or-raw-strings
"""
