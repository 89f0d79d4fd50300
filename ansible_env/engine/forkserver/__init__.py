"""A process that has ansible-core loaded and forks an ordinary ansible-playbook from itself on request.

Apart from the engine, which asks it, so that it loads nothing but Ansible and what the phase task needs.
"""
