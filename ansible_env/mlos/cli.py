"""The command `ansible-env-mlos`: `mlos_bench` with our classes registered."""

from __future__ import annotations

import importlib
import sys

from ansible_env.common import pip_install

MISSING = 2
"""Exit status if mlos_bench is not installed."""


def main(argv: list[str] | None = None) -> int:
    """Run the command of mlos_bench with its own arguments, and return its exit status."""
    try:
        schemas = importlib.import_module("ansible_env.mlos.schemas")
        run = importlib.import_module("mlos_bench.run")
    except ModuleNotFoundError as error:
        print(f"ansible-env-mlos: {error}; it needs: {pip_install('mlos')}", file=sys.stderr)
        return MISSING
    schemas.register_schemas()
    status: int = run._shell_main(argv)
    return status
