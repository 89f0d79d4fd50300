"""What a host should be like, and what this machine must offer for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal, get_args

Shell = Literal["dash", "busybox", "bash"]
Sudo = Literal["nopasswd", "password", "none"]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PACKAGES = {
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sudo": "sudo",
    "ip": "iproute2",
    "busybox": "busybox",
    "bash": "bash",
    "dash": "dash",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
}


class HostsError(Exception):
    """A fake host, or all of them, could not do what was asked."""


class NeedsRoot(HostsError):
    """This feature needs root (and the right to make namespaces and overlay mounts)."""


class MissingProgram(HostsError):
    """A program is not installed; the message names its Debian package."""


@dataclass(frozen=True)
class HostSpec:
    """One host: `sudo` is about the user `bench`; `python=False` hides every Python from everybody."""

    name: str
    python: bool = True
    sh: Shell = "dash"
    sudo: Sudo = "nopasswd"

    def __post_init__(self) -> None:
        if not self.name.replace("-", "").isalnum() or self.name in ("fs", "ctl"):
            raise ValueError(f"not a usable host name: {self.name!r}")
        for value, allowed in ((self.sh, get_args(Shell)), (self.sudo, get_args(Sudo))):
            if value not in allowed:
                raise ValueError(f"{self.name}: {value!r} is not one of {', '.join(allowed)}")

    @property
    def is_plain(self) -> bool:
        """Whether this host needs no changes to the machine's own file system."""
        return self == HostSpec(self.name)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for spec.json."""
        return asdict(self)


def find(program: str) -> str:
    """Full path of a program; raise `MissingProgram` when it is not installed."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{PATH}")
    if path is None:
        raise MissingProgram(f"{program} is not installed: apt-get install {PACKAGES[program]}")
    return path


def check_programs(specs: list[HostSpec], *, namespaces: bool, network: bool) -> None:
    """Raise `MissingProgram`, naming everything that these hosts lack."""
    needed = {"sshd", "ssh", "ssh-keygen", "setpriv"}
    if namespaces:
        needed |= {"unshare", "nsenter", "mount"} | {spec.sh for spec in specs}
        needed |= {"sudo"} if any(spec.sudo != "none" for spec in specs) else set()
    if network:
        needed.add("ip")
    problems = []
    for program in sorted(needed):
        try:
            find(program)
        except MissingProgram as error:
            problems.append(str(error))
    if problems:
        raise MissingProgram("; ".join(problems))


_PROBE = """
mount -t tmpfs tmpfs /mnt && mkdir /mnt/u /mnt/w /mnt/m &&
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/m && mount -t proc proc /mnt/m/proc
"""


@cache
def namespace_problem() -> str | None:
    """Why hosts in namespaces cannot be had here, or None when they can."""
    if os.geteuid() != 0:
        return "not root"
    probe = subprocess.run(
        [find("unshare"), "--mount", "--pid", "--uts", "--ipc", "--fork", "sh", "-c", _PROBE],
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode:
        return f"no namespaces or overlay mounts here: {probe.stderr.strip()}"
    return None


@cache
def sshd_knows(option: str) -> bool:
    """Whether this sshd accepts an option (newer releases bring new ones)."""
    test = subprocess.run(
        [find("sshd"), "-t", "-f", "/dev/null", "-o", option], capture_output=True, text=True, check=False
    )
    return "Bad configuration option" not in test.stderr
