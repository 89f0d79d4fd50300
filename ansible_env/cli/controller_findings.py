"""The part of `doctor` that examines this machine: Ansible, its locale, ssh, and the directory for sockets."""

from __future__ import annotations

import enum
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ansible_env.engine.environ import ansible_program
from ansible_env.errors import EngineError

SUPPORTED = ((2, 18), (2, 22))
"""Versions of ansible-core: from the first one up to before the second. As in pyproject.toml."""
SOCKET_PATH = 104
"""Bytes that a socket's path may have, on the strictest system (macOS; Linux has 108)."""
SOCKET_NAME = len("/ae-12345678/cp/") + 10 + len(".1234567890123456")
"""Bytes that follow the directory for temporary files in the path of ssh's control socket while it is made."""


class Level(enum.StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One result of the examination."""

    level: Level
    subject: str
    text: str
    remedy: str = ""
    unreachable: bool = False
    """Whether it is a host that cannot be reached."""


def controller_findings() -> Iterator[Finding]:
    """Examine this machine."""
    yield Finding(Level.OK, "python", f"{platform.python_version()} ({sys.executable})")
    for examine in (_core, _playbook, _runner, _collection, _locale, _ssh, _socket_path):
        yield examine()


def _core() -> Finding:
    low, high = (".".join(map(str, version)) for version in SUPPORTED)
    try:
        version = metadata.version("ansible-core")
    except metadata.PackageNotFoundError:
        return Finding(Level.FAIL, "ansible-core", "is not installed", f"pip install 'ansible-core>={low},<{high}'")
    text = f"{version} (supported: {low} and newer, before {high})"
    release = tuple(int(part) if part.isdecimal() else 0 for part in version.split(".")[:2])
    if SUPPORTED[0] <= release < SUPPORTED[1]:
        return Finding(Level.OK, "ansible-core", text)
    return Finding(Level.WARN, "ansible-core", text, f"pip install 'ansible-core>={low},<{high}'")


def _playbook() -> Finding:
    subject = "ansible-playbook"
    try:
        path = ansible_program("ansible-playbook")
    except EngineError as error:
        return Finding(Level.FAIL, subject, str(error), f"{sys.executable} -m pip install ansible-core")
    said = _output([path, "--version"])
    if said is None:
        remedy = "run it by hand to see the reason; its interpreter may be missing"
        return Finding(Level.FAIL, subject, f"{path} does not start", remedy)
    first = (said.splitlines() or [""])[0]
    if Path(path).parent != Path(sys.executable).parent:
        remedy = f"install ansible-core beside {sys.executable}"
        return Finding(Level.WARN, subject, f"{path}: {first}, which is not beside our Python", remedy)
    return Finding(Level.OK, subject, f"{path}: {first}")


def _runner() -> Finding:
    try:
        return Finding(Level.OK, "ansible-runner", metadata.version("ansible-runner"))
    except metadata.PackageNotFoundError:
        return Finding(Level.FAIL, "ansible-runner", "is not installed", "pip install ansible-runner")


def _collection() -> Finding:
    plugin = Path("ansible_collections", "ansible_env", "bench", "plugins", "action", "phase.py")
    place = next((Path(place) for place in sys.path if (Path(place) / plugin).is_file()), None)
    if place is None:
        remedy = "install ansible-env again, from its clone or its wheel"
        return Finding(Level.FAIL, "collection", "ansible-core does not find ansible_env.bench", remedy)
    return Finding(Level.OK, "collection", f"ansible_env.bench ({place / plugin.parts[0]})")


def _locale() -> Finding:
    program = "import locale; locale.setlocale(locale.LC_ALL, 'C.UTF-8')"
    if _output([sys.executable, "-c", program]) is None:
        remedy = "Ansible needs it: on Debian `apt install libc-bin`, elsewhere generate it"
        return Finding(Level.FAIL, "locale", "C.UTF-8 is not available", remedy)
    return Finding(Level.OK, "locale", "C.UTF-8 is available")


def _ssh() -> Finding:
    path = shutil.which("ssh")
    said = _output([path, "-V"]) if path else None
    if path is None or said is None:
        return Finding(
            Level.WARN, "ssh", "there is no ssh client", "install one, for example with: apt install openssh-client"
        )
    return Finding(Level.OK, "ssh", f"{path}: {said.strip()}")


def _socket_path() -> Finding:
    directory = tempfile.gettempdir()
    length = len(directory.encode()) + SOCKET_NAME
    text = f"{length} bytes below {directory}; {SOCKET_PATH} are possible"
    if length <= SOCKET_PATH:
        return Finding(Level.OK, "control path", text)
    return Finding(Level.WARN, "control path", f"{text}, so /tmp is used", "set TMPDIR to a shorter path")


def _output(command: list[str]) -> str | None:
    """Return the output of a program, or None if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout + done.stderr if done.returncode == 0 else None
