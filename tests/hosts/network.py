"""Own networks: a controller namespace with a bridge, and one namespace per host. No route leaves it.

No namespace gets a name in /run/netns: each lives exactly as long as its processes.
"""

from __future__ import annotations

import subprocess

from tests.hosts.spec import HostsError, find

NET = "10.77"
PREFIX = 16


def address(index: int) -> str:
    """Address of the host with this index (from 0)."""
    return f"{NET}.{index // 250}.{index % 250 + 1}"


def enter(pid: int) -> list[str]:
    """Command prefix that runs a command in the network namespace of a process."""
    return [find("nsenter"), f"--net=/proc/{pid}/ns/net"]


def batch(pid: int, *lines: str) -> None:
    """Run `ip` commands in the network namespace of a process."""
    done = subprocess.run(
        [*enter(pid), find("ip"), "-batch", "-"],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise HostsError(f"ip: {done.stderr.strip()} in {lines}")


def build_controller(pid: int) -> None:
    """Give the controller its bridge and address."""
    batch(
        pid,
        "link set lo up",
        "link add br0 type bridge",
        f"addr add {NET}.255.254/{PREFIX} dev br0",
        "link set br0 up",
    )


def plug(controller: int, host: int, cable: str) -> None:
    """Connect a host (its pid) to the controller's bridge; the cable goes when the host goes."""
    batch(
        controller,
        f"link add {cable} type veth peer name eth0 netns {host}",
        f"link set {cable} master br0 up",
    )
