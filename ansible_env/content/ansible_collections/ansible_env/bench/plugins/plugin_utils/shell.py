# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target's /bin/sh, given a script on its stdin. Needs nothing but ansible-core."""

from __future__ import annotations

_NO_SHELL = ("podman", "buildah")
"""Connections that split a command into words and start it without a shell, which knows no `exec`
(https://github.com/containers/ansible-podman-collections, plugins/connection)."""


def takes_stdin(action):
    """Whether the connection of an action, and its become method, carry stdin."""
    connection = action._connection
    return connection.has_pipelining and (not connection.become or getattr(connection.become, "pipelining", True))


def feed(action, script):
    """Run a script in the target's shell, and return Ansible's result."""
    has_shell = str(action._connection.transport).rpartition(".")[2] not in _NO_SHELL
    # No executable: it would be a shell more, and Ansible adds `sleep 0` to the default one.
    return action._low_level_execute_command(
        f"{'exec ' if has_shell else ''}/bin/sh -s", in_data=script.encode("utf-8", "surrogateescape"), executable=""
    )


def no_answer(result):
    """Return the message about a shell that ended without an answer."""
    text = " ".join((result.get("stderr") or result["stdout"]).split())[:500]
    return f"no answer from /bin/sh on the host (exit status {result['rc']}): {text or 'it printed nothing'}"


def remove_directory(action, directory):
    """Remove a temporary directory that Ansible made for an action, whatever is configured about keeping those.

    Not with `_remove_tmp_path`: Mitogen's takes no `force`.
    """
    shell = action._connection._shell
    action._low_level_execute_command(shell.remove(directory, recurse=True), sudoable=False)
    shell.tmpdir = None
