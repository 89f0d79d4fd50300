"""A process that has ansible-core loaded and forks an ordinary ansible-playbook from itself on request.

It is a package apart from the engine, so that the process loads nothing but Ansible and what the phase task needs.
"""
