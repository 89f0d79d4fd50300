"""From Ansible's events to results. Pure: any events in any order, also twice or senseless, give a result.

Trusted are only results of our own phase task, for each host that was expected to give one. The exit status of
ansible-playbook, its recap, and the absence of failures prove nothing.
docs/reference/outcomes.md has the mapping in words.
"""
