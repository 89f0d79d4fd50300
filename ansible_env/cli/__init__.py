"""The command `ansible-env`."""

from __future__ import annotations

import sys

from ansible_env.cli.streams import accept_signals, lost_output, open_streams

__all__ = ["main"]


def main() -> None:
    """Run the command and exit."""
    stdout = open_streams()
    accept_signals()
    from ansible_env.cli.app import app  # at call time: `ansible_env.cli` alone stays cheap to import

    try:
        app(prog_name="ansible-env")
    except SystemExit as end:
        if why := lost_output(stdout):
            sys.stderr.write(f"ansible-env: error: stdout cannot be written: {why}\n")
            sys.exit(end.code or 1)
        raise
