"""From Ansible's events to results. Pure: any events in any order, also twice or senseless, give a result.

Trusted are only results of our own phase task, for each host that was expected to give one. The exit status of
ansible-playbook, its recap, and the absence of failures prove nothing. docs/outcomes.md has the mapping in words.
"""

from ansible_env.fold.added import AddedHost, added_hosts, inventory_of, is_silent
from ansible_env.fold.events import failure_of, left_in_background
from ansible_env.fold.judge import controller_message, fold_hosts

__all__ = [
    "AddedHost",
    "added_hosts",
    "controller_message",
    "failure_of",
    "fold_hosts",
    "inventory_of",
    "is_silent",
    "left_in_background",
]
