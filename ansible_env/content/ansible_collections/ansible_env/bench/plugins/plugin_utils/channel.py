# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection from a task to its target's /bin/sh, by which the supervisor exchanges payloads."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.ansible_env.bench.plugins.plugin_utils.shell import (
    feed,
    no_answer,
    remove_directory,
    takes_stdin,
)

with contextlib.suppress(ImportError):  # without the library: the action plugin reports that
    from ansible_env.results.connections import connection_kind, never_connected
    from ansible_env.results.outcomes import Kind
    from ansible_env.supervisor.transport import Disconnected, NeverConnected, NoAnswer, Stop


class Channel:
    """Sends payloads to the target's /bin/sh over the task's connection, whatever that is."""

    def __init__(self, action, interrupts):
        self._action = action
        self._interrupts = interrupts

    def exchange(self, payload, limit):
        """Return what the target's shell printed."""
        try:
            with self._interrupts.exposed(limit):
                result = self._send(payload)
        except (Disconnected, Stop):
            _end_clients()
            raise
        except AnsibleConnectionFailure as failure:
            raise (NeverConnected if never_connected(str(failure)) else Disconnected)(str(failure)) from failure
        except AnsibleError as failure:
            if connection_kind(str(failure)) is Kind.BECOME:
                raise NeverConnected(str(failure)) from failure
            raise
        output = result["stdout"].encode("utf-8", "surrogateescape")
        if b"ansible_env:" not in output:
            raise NoAnswer(no_answer(result))
        return output

    def extend(self, seconds):
        """Let the deadline of the script not end what comes after it, for so many seconds."""
        self._interrupts.extend(seconds)

    def pause(self, seconds):
        """Sleep, unless a signal ends that."""
        with self._interrupts.exposed(seconds + 60):
            time.sleep(seconds)

    def _send(self, payload):
        """Send it on stdin, or as a file: su wants a terminal, and podman takes no stdin."""
        action = self._action
        if takes_stdin(action):
            return feed(action, payload)
        directory = action._make_tmp_path()
        remote = action._connection._shell.join_path(directory, "payload")
        action._transfer_data(remote, f"stty -opost <&1 2>/dev/null\n{payload}")
        action._fixup_perms2((directory, remote), execute=False)
        try:
            return action._low_level_execute_command(f"/bin/sh {remote} </dev/null", executable="/bin/sh")
        finally:
            remove_directory(action, directory)


def _end_clients():
    """End the ssh clients that we waited for when a signal came; Ansible does not.

    One that hangs in its login has the payload, and would start the script whenever the host answers again.
    """
    for pid in _children():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip() in ("ssh", "sshpass"):
                os.kill(pid, signal.SIGTERM)


def _children():
    with contextlib.suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            yield from map(int, (task / "children").read_text(encoding="ascii").split())
