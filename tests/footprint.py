"""What a process holds: open files, threads, children and memory."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tests.hosts.procs import children


@dataclass
class Footprint:
    """What a process holds."""

    files: int = field(default_factory=lambda: len(list(Path("/proc/self/fd").iterdir())))
    threads: int = field(default_factory=threading.active_count)
    children: int = field(default_factory=lambda: len(children(os.getpid())))
    memory: int = field(default_factory=lambda: rss(os.getpid()))


def rss(pid: int) -> int:
    """Return the resident memory of a process in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
