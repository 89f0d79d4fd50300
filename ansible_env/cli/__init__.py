"""The command `ansible-env`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command and exit."""
    from ansible_env.cli.app import app  # at call time: `ansible_env.cli` alone stays cheap to import

    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal's encoding lacks must not end a trial.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="ansible-env")
