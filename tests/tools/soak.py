"""What the soaks share: their options, and what may not be left on a host."""

from __future__ import annotations

import argparse
import time

from tests.hosts import Host


def options(name: str, doc: str | None, phases: int) -> argparse.Namespace:
    """Return the options of the command line: phases, seed and engine."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.tools.{name}", description=doc)
    parser.add_argument("--phases", type=int, default=phases)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=["warm", "cold", "session"], default="warm")
    return parser.parse_args()


def left_on(host: Host, seconds: float) -> list[str]:
    """Return run directories, leases and processes of ours that are still on a host after so many seconds."""
    give_up = time.monotonic() + seconds
    while (left := _left(host)) and time.monotonic() < give_up:
        time.sleep(0.1)
    return left


def _left(host: Host) -> list[str]:
    files = [str(path) for path in host.path("/tmp").glob("*ansible_env*")]
    return files + [f"{process.pid} {process.name}" for process in host.processes("ANSIBLE_ENV_RUN_ID=")]
