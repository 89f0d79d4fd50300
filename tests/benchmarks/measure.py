"""Contenders in turn, and what comes of it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.contenders.setting import Setting

ROOT = Path(__file__).parents[2]
OTHERS = ROOT / ".bench" / "others"
MITOGEN = ROOT / ".bench" / "mitogen"


@dataclass(frozen=True)
class Contender:
    """A way to run a phase."""

    name: str
    function: str
    """MODULE.FUNCTION in `contenders`."""
    venv: Path | None = None
    """Another virtual environment than ours: what is installed beside Ansible changes how long it takes to start."""
    rest: float = 0
    """Seconds after a phase in which it may do something for the next one, without being in the way of others."""

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self.venv / "bin" / "python" if self.venv else Path(sys.executable)


WARM = Contender("ansible_env", "ours.warm")
SESSION = Contender("ansible_env, engine session", "ours.session", rest=0.3)
COLD = Contender("ansible_env, engine cold", "ours.cold")
RUNNER = Contender("ansible_runner.run, 1 shell task, tuned", "runner.shell")
SHELL = Contender("ansible-playbook, 1 shell task, tuned", "playbook.shell")
NAIVE = Contender("ansible-playbook, naive", "playbook.naive")
WITH_MITOGEN = Contender("ansible-playbook, 1 shell task, Mitogen", "playbook.mitogen", MITOGEN)
PYINFRA = Contender("pyinfra", "pyinfra.cli", OTHERS)
MLOS = Contender("mlos_bench SshHostService", "mlos.ssh", OTHERS)
SSH = Contender("ssh, ControlMaster", "ssh.master")
ALL = (WARM, SESSION, COLD, RUNNER, SHELL, NAIVE, WITH_MITOGEN, PYINFRA, MLOS, SSH)


class Worker:
    """A contender's process."""

    def __init__(self, contender: Contender, setting: Setting, log: Path) -> None:
        self.begun = time.perf_counter()
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [contender.python, "-m", "tests.benchmarks.worker", contender.function, setting.to_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env={**os.environ, "PATH": f"{contender.python.parent}{os.pathsep}{os.environ['PATH']}"},
                text=True,
            )

    def phase(self) -> dict[str, Any]:
        """Have it do one phase."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write("phase\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return dict(json.loads(line)) if line else {"error": "the contender's process has ended"}

    def close(self) -> None:
        """Let it end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


@dataclass
class Series:
    """Times of one contender, in seconds."""

    contender: str
    first: float | None = None
    """From the start of its process to the end of its first phase."""
    phases: list[float] = field(default_factory=list)
    error: str | None = None

    @property
    def median(self) -> float | None:
        """Of the steady state."""
        return statistics.median(self.phases) if self.phases else None

    def to_dict(self) -> dict[str, Any]:
        """For the JSON report."""
        return {**vars(self), "median": self.median}


def in_turn(
    contenders: Iterable[Contender], setting: Setting, rounds: int, *, once: Sequence[Contender] = ()
) -> list[Series]:
    """Give each contender a first phase, then `rounds` phases in turn; those in `once`, one round."""
    series: list[Series] = []
    with tempfile.TemporaryDirectory(prefix="ae-bench.", dir="/tmp") as scratch:
        workers = []
        try:
            for contender in contenders:
                found = Series(contender.name)
                series.append(found)
                if not contender.python.exists():
                    found.error = "not installed: make bench"
                    continue
                own = Path(scratch, contender.function)
                own.mkdir()
                worker = Worker(contender, Setting(**{**vars(setting), "scratch": own}), Path(scratch, "log"))
                workers.append((contender, found, worker))
                answer = worker.phase()
                found.first = time.perf_counter() - worker.begun
                found.error = answer.get("error")
                time.sleep(contender.rest)
            for number in range(rounds):
                for contender, found, worker in workers:
                    if found.error is None and not (number and contender in once):
                        answer = worker.phase()
                        found.error = answer.get("error")
                        found.phases += [answer["seconds"]] if "seconds" in answer else []
                        time.sleep(contender.rest)
                print(".", end="", flush=True, file=sys.stderr)
        finally:
            for _, _, worker in workers:
                worker.close()
            print(file=sys.stderr)
    return series


def table(title: str, series: Sequence[Series], *, of: str = "median", baseline: str | None = None) -> str:
    """Return the times as a table, each with its ratio to the first one's."""
    values = {item.contender: getattr(item, of) for item in series}
    base = values.get(baseline or series[0].contender)
    lines = [f"{title}", f"  {'':44}{'ms':>10}{'ratio':>9}"]
    for item in series:
        value = values[item.contender]
        if value is None:
            lines.append(f"  {item.contender:44}{'-':>10}  {item.error or ''}")
        else:
            ratio = f"{value / base:9.2f}" if base else f"{'-':>9}"
            lines.append(f"  {item.contender:44}{value * 1000:10.1f}{ratio}")
    return "\n".join(lines)
