"""The command that starts a target's shell, by connection."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.ansible_env.bench.plugins.plugin_utils.shell import feed


@pytest.mark.parametrize(
    ("transport", "command"),
    [
        ("ssh", "exec /bin/sh -s"),
        ("local", "exec /bin/sh -s"),
        ("containers.podman.podman", "/bin/sh -s"),
        ("containers.podman.buildah", "/bin/sh -s"),
    ],
)
def test_a_connection_without_a_shell_gets_words(transport: str, command: str) -> None:
    def execute(words: str, **_: Any) -> str:
        return words

    action = SimpleNamespace(_connection=SimpleNamespace(transport=transport), _low_level_execute_command=execute)
    assert feed(action, "echo") == command
