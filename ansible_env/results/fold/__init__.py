"""From Ansible's events to results. Any events, in any order, repeated or meaningless, yield a result.

Only the results of our own phase task count, for each host that must report one. The exit status of ansible-playbook,
its recap, and the absence of failures prove nothing. docs/reference/outcomes.md describes the mapping.
"""
