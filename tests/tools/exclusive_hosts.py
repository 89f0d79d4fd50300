"""Controllers, workers and connections that are killed at random: never two scripts of ours on a host at once.

python -m tests.tools.exclusive_hosts --phases 1000 --seed 7 [--engine warm|cold|session]

Each host has its own sequence of commands (`ansible-env trial`), some with a second controller beside it, some with
retries, and one fault each. A script takes a lock that its processes hold, and notes its begin and its end: the hosts'
own record is compared with what the commands have reported. Exit status 0 if no two scripts ran at once, every teardown
ran, every outcome is one that the fault can have, and nothing is left.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.hosts import Host, Hosts, procs
from tests.tools.soak import left_on, options

NOTE = (
    "exec 9>/tmp/alone; flock -n 9 || echo $key {phase} >>/var/tmp/overlaps\n"
    "echo $key $trial_id {phase} begin >>/var/tmp/record\n{body}\necho $key $trial_id {phase} end >>/var/tmp/record\n"
)
BODIES = {"setup": "sleep 0.3", "run": "sleep $length; echo score=$trial_id", "teardown": "sleep 0.2"}
CONFIG: dict[str, Any] = {
    "name": "exclusive",
    "const_args": {"key": "", "length": 1},
    "shell_env_params": ["key", "length", "trial_id"],
    **{phase: NOTE.format(phase=phase, body=body) for phase, body in BODIES.items()},
    "results_stdout_pattern": r"^(score)=(\d+)$",
    "required_metrics": ["score"],
    "timeouts": {"setup": 30, "run": 60, "teardown": 30, "grace": 1},
}
IMPATIENT = {**CONFIG, "reboot": "run", "timeouts": {**CONFIG["timeouts"], "boot": 1}}
"""A lost connection is tried again for a second, so that a host can stay away for longer than that."""

ANY = {"ok", "busy"}
POSSIBLE = {
    "none": ANY,
    "cut": ANY,
    "first contact": ANY | {"interpreter"},
    "worker": ANY | {"controller"},
    "away": ANY | {"unreachable", "canceled"},
    "restart": ANY | {"lost_result", "unreachable"},
    "interrupt": ANY | {"canceled"},
    # A connection that is killed between the host's answer, with which the run directory goes, and our record of it.
    "controller": ANY | {"not_run", "lost_result"},
}
"""The outcome kinds of run that a fault can have."""
NEVER_BEGUN = {"busy", "not_run", "interpreter", "no_space", "auth", "rejected", "unfit"}
ENDS_WELL = {"none", "cut", "first contact", "controller"}
"""Faults after which a script that ended by itself has a result."""


@dataclass
class Command:
    """One call of `ansible-env trial`."""

    key: str
    artifacts: Path
    process: subprocess.Popen[str]
    attached: list[str] = field(default_factory=list)

    def results(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield number and result of each trial that has one."""
        for path in sorted(self.artifacts.glob("trial-*/result.json")):
            yield path.parent.name.removeprefix("trial-"), json.loads(path.read_text())

    def unfinished(self) -> list[Path]:
        """Return the trials that have been begun and have no result."""
        states = self.artifacts.glob("trial-*/state.json")
        return [state.parent for state in states if not (state.parent / "result.json").exists()]


class Sequence:
    """The commands on one host, one after the other."""

    def __init__(self, host: Host, inventory: str, directory: Path, engine: str, seed: int) -> None:
        self.host = host
        self.directory = directory
        self.random = random.Random(seed)
        self.words = ["-i", inventory, "-l", host.name, "--engine", engine, "--no-store", "-q", "-o", "json"]
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        self.env |= {"TMPDIR": str(directory / "t")}
        self.faults: dict[str, Callable[[Command], object]] = {
            "none": lambda command: None,
            "cut": lambda command: host.cut(),
            "first contact": lambda command: self.kill_first_contact(),
            "worker": self.kill_worker,
            "away": lambda command: self.take_away(),
            "restart": lambda command: host.reboot(),
            "interrupt": lambda command: command.process.send_signal(signal.SIGINT),
            "controller": self.kill_controller,
        }

    def run(self, phases: int) -> None:
        """Run commands until so many scripts have begun on the host."""
        while self.begun() < phases:
            fault = self.random.choice([*self.faults, "worker", "controller"])
            self.counts[fault] += 1
            try:
                self.round(fault)
            except Exception as error:
                self.report(f"{fault}: {type(error).__name__}: {error}")
            self.host.accept()
            self.host.wait_up()

    def round(self, fault: str) -> None:
        """Run a command with a fault, and perhaps another one beside it; judge both."""
        first = self.start(IMPATIENT if fault == "away" else CONFIG, self.random.choice([1, 1, 2]))
        commands = [first]
        if self.random.random() < 0.25:
            time.sleep(self.random.uniform(0, 3))
            commands.append(self.start(CONFIG, 1))
        phase = self.random.choice(["setup", "run", "run", "teardown"])
        if self.until_noted(first, f"{phase} begin"):
            time.sleep(self.random.uniform(0, 0.2 if fault == "first contact" else 1.2))
            self.faults[fault](first)
        for command in commands:
            command.process.communicate(timeout=180)
        for command in commands:
            self.finish(command)
        for command in commands:
            for text in self.judge(command, fault if command is first else "none"):
                self.report(f"{fault} in {phase}, {command.artifacts}: {text}")

    def start(self, config: dict[str, Any], trials: int) -> Command:
        """Start a command with an environment and a key of its own."""
        key = uuid.uuid4().hex[:12]
        path = self.directory / f"{key}.yml"
        path.write_text(yaml.safe_dump(config | {"retries": self.random.choice([0, 0, 2])}))
        values = ["-p", f"key={key}", "-p", f"length={self.random.uniform(0.2, 2.5):.1f}"]
        artifacts = self.directory / key
        words = ["trial", str(path), *self.words, *values, "--trials", str(trials), "--artifacts", str(artifacts)]
        return Command(key, artifacts, self.popen(words))

    def popen(self, words: list[str]) -> subprocess.Popen[str]:
        """Start the command line in a session of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "ansible_env", *words],
            env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def finish(self, command: Command) -> None:
        """Attach to the trials that a killed command has left."""
        for trial in command.unfinished():
            with self.popen(["attach", str(trial), "-q", "-o", "json"]) as process:
                _, err = process.communicate(timeout=180)
            command.attached.append(err)

    # -- faults --------------------------------------------------------------------------------------------------------

    def kill_first_contact(self) -> None:
        """Kill the processes by which the connections to the host are used, but no supervisor."""
        for session in self.host._sessions():
            with contextlib.suppress(OSError):
                logins = {os.getsid(pid) for pid in procs.children(session)}
                for pid in procs.descendants(session):
                    if procs.name_of(pid) not in procs.SSHD_NAMES and os.getsid(pid) in logins:
                        os.kill(pid, signal.SIGKILL)

    def kill_worker(self, command: Command) -> None:
        """Kill a process of Ansible on the controller, as the OOM killer does."""
        names = {pid: procs.name_of(pid) for pid in procs.descendants(command.process.pid)}
        if pids := [pid for pid, name in names.items() if name not in ("ssh", "sh")]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.random.choice(pids), signal.SIGKILL)

    def kill_controller(self, command: Command) -> None:
        """Kill the command, sometimes with all that it has started."""
        kill = os.killpg if self.random.random() < 0.3 else os.kill
        kill(command.process.pid, signal.SIGKILL)
        time.sleep(self.random.uniform(0, 2))

    def take_away(self) -> None:
        """Have the host refuse connections, for longer than it is waited for."""
        self.host.refuse()
        self.host.cut()
        time.sleep(self.random.uniform(2, 6))
        self.host.accept()

    # -- the record ----------------------------------------------------------------------------------------------------

    def record(self) -> list[str]:
        """Return what the scripts have noted."""
        try:
            return self.host.path("/var/tmp/record").read_text().splitlines()
        except OSError:  # the host is just being restarted
            return []

    def begun(self) -> int:
        """Return how many scripts have begun."""
        return sum(line.endswith(" begin") for line in self.record())

    def until_noted(self, command: Command, what: str) -> bool:
        """Wait until a script of a command has noted something; false if the command has ended before."""
        while not any(line.startswith(command.key) and line.endswith(what) for line in self.record()):
            if command.process.poll() is not None:
                return False
            time.sleep(0.02)
        return True

    def judge(self, command: Command, fault: str) -> Iterator[str]:
        """Yield what is wrong with the outcomes of a command."""
        noted = {line.split(" ", 1)[1] for line in self.record() if line.startswith(command.key)}
        told = dict(command.results())
        for number in sorted({line.split()[0] for line in noted} - set(told)):
            yield f"trial {number} has begun and has no result: {command.attached}"
        for number, result in told.items():
            yield from self.judge_trial(number, result, noted, fault)

    def judge_trial(self, number: str, result: dict[str, Any], noted: set[str], fault: str) -> Iterator[str]:
        """Yield what is wrong with one trial."""
        kinds = {phase: _kind(data) for phase, data in result["phases"].items()}
        run = kinds.get("run")
        began, ended = f"{number} run begin" in noted, f"{number} run end" in noted
        if run is not None and run not in POSSIBLE[fault]:
            yield f"trial {number}: run is {run}: {result['phases']['run']['hosts']}"
        if run == "ok" and not ended:
            yield f"trial {number}: run is ok, and did not end"
        if run in NEVER_BEGUN and began and not _retried(result["phases"]["run"]):
            yield f"trial {number}: run is {run}, and has begun"
        if fault == "controller" and run == "lost_result":
            self.counts["lost with the answer"] += 1
        elif ended and run != "ok" and fault in ENDS_WELL:
            yield f"trial {number}: run ended by itself, and is {run}: {result['phases'].get('run')}"
        if run == "ok" and result["metrics"] != {"score": int(number)}:
            yield f"trial {number}: {result['metrics']}"
        if f"{number} setup begin" in noted and f"{number} teardown end" not in noted:
            teardown = kinds.get("teardown")
            if teardown in (None, "ok") or fault in ENDS_WELL:
                yield f"trial {number}: no teardown: {result['phases'].get('teardown')}, {result.get('error')}"

    def report(self, text: str) -> None:
        """Note something that is wrong."""
        self.wrong.append(f"{self.host.name}: {text}")
        print("WRONG", self.wrong[-1], file=sys.stderr, flush=True)

    def check_nothing_left(self) -> None:
        """Note two scripts at once, and what is left on the host."""
        overlaps = self.host.path("/var/tmp/overlaps")
        if overlaps.exists():
            self.report(f"two scripts at once: {overlaps.read_text()}")
        for item in left_on(self.host, 20):
            self.report(f"left: {item}")


def _kind(phase: dict[str, Any]) -> str:
    """Return the outcome kind of the only host of a phase."""
    kinds = [host["kind"] for host in phase["hosts"].values()]
    return str(kinds[0]) if kinds else phase["status"]


def _retried(phase: dict[str, Any]) -> bool:
    return any(host["attempts"] > 1 for host in phase["hosts"].values())


def soak(phases: int, seed: int, engine: str) -> list[Sequence]:
    """Run the sequences on three hosts at once, and return them."""
    with Hosts(3, outage=0.5) as hosts, tempfile.TemporaryDirectory(prefix="x") as directory:
        (Path(directory) / "t").mkdir()
        inventory = str(hosts.inventory())
        sequences = [Sequence(host, inventory, Path(directory), engine, seed + n) for n, host in enumerate(hosts)]
        share = -(-phases // len(sequences))
        threads = [threading.Thread(target=sequence.run, args=(share,)) for sequence in sequences]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for sequence in sequences:
            sequence.round("none")  # it removes what killed controllers have left
            sequence.check_nothing_left()
            sequence.counts["scripts"] = sequence.begun()
        for path in (Path(directory) / "t").iterdir():
            sequences[0].report(f"left on the controller: {path}")
    return sequences


def main() -> int:
    """Run the soak, and print what was wrong."""
    arguments = options("exclusive_hosts", __doc__, 1000)
    begun = time.monotonic()
    sequences = soak(arguments.phases, arguments.seed, arguments.engine)
    counts = sum((sequence.counts for sequence in sequences), Counter[str]())
    wrong = [text for sequence in sequences for text in sequence.wrong]
    print(f"{counts.pop('scripts')} scripts in {time.monotonic() - begun:.0f} s; faults: {dict(counts)}")
    print(f"{len(wrong)} wrong", *wrong, sep="\n  ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
