"""The conversation with a target: what is sent to its `/bin/sh`, and what comes back.

Pure text in, pure text out: who carries it (an Ansible connection, a pipe in a test) is of no concern here.
`supervisor.sh` beside this file is what stays on the target while a script runs.
"""

from ansible_env.supervisor.ending import Ending, Pace
from ansible_env.supervisor.follow import Follower
from ansible_env.supervisor.protocol import Reply, ReplyError, State, parse_reply
from ansible_env.supervisor.script import (
    MARKER,
    Script,
    drop_payload,
    poll_payload,
    run_directory,
    start_payload,
    stop_payload,
)
from ansible_env.supervisor.transport import Disconnected, NeverConnected, Stop, Transport, wait_for_host

__all__ = [
    "MARKER",
    "Disconnected",
    "Ending",
    "Follower",
    "NeverConnected",
    "Pace",
    "Reply",
    "ReplyError",
    "Script",
    "State",
    "Stop",
    "Transport",
    "drop_payload",
    "parse_reply",
    "poll_payload",
    "run_directory",
    "start_payload",
    "stop_payload",
    "wait_for_host",
]
