"""Many short phases on real hosts with random faults: each outcome must be what was done, and nothing may be left.

python -m tests.tools.random_faults --phases 300 --seed 7 [--engine warm|cold|session]

Exit status 0 if every outcome matched and the process ended as it began: files, threads, children and memory.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from ansible_env import Kind, PhaseResult, RemoteEnv
from tests.footprint import Footprint
from tests.hosts import Host, Hosts
from tests.tools.soak import left_on, options

RUN = """
echo "begin $(hostname)"
if [ "$(hostname)" = "$VICTIM" ]; then
  case "$FAULT" in
    exit) exit 3 ;;
    deadline) sleep 600 ;;
    *) sleep 2 ;;
  esac
fi
sleep 0.3
echo score=1
"""
CONFIG = {
    "name": "random-faults",
    "const_args": {"VICTIM": "", "FAULT": ""},
    "shell_env_params": ["VICTIM", "FAULT"],
    "run": RUN,
    "results_stdout_pattern": r"^(\w+)=(\d+)$",
    "required_metrics": ["score"],
    "timeouts": {"run": 12, "grace": 1},
}
MEMORY_SLACK = 24 * 1024
"""KiB by which the process may have grown at the end."""


class RandomFaults:
    """Phases with faults, the outcomes expected, and those that were wrong."""

    def __init__(self, hosts: Hosts, seed: int, engine: str) -> None:
        self.hosts = hosts
        self.random = random.Random(seed)
        self.engine = engine
        self.wrong: list[str] = []
        self.counts: Counter[str] = Counter()
        self.faults: dict[str, Callable[[RemoteEnv, Host], None]] = {
            "none": lambda env, host: None,
            "exit": lambda env, host: None,
            "deadline": lambda env, host: None,
            "cut": lambda env, host: host.cut(),
            "restart": lambda env, host: self.restart(host),
            "kill": self.kill,
            "cancel": lambda env, host: env.cancel(),
        }

    def run(self, phases: int) -> None:
        """Run the phases, one after the other, in one environment with one engine."""
        with RemoteEnv(config=CONFIG, inventory=self.hosts.inventory(), engine=self.engine) as env:  # type: ignore[arg-type]
            self.phase(env, "none")  # what is made once, such as the fork server, belongs to the beginning
            before = Footprint()
            for number in range(phases):
                # Deadlines take long; one in fifteen is enough.
                names = [name for name in self.faults if name != "deadline" or number % 15 == 0]
                self.phase(env, self.random.choice(names))
            self.compare(before, Footprint())
        self.nothing_left()

    def phase(self, env: RemoteEnv, fault: str) -> None:
        """Run one phase, do the fault in the middle of it, and judge the outcome."""
        victim = self.random.choice(list(self.hosts))
        env.setup(global_config={"VICTIM": victim.name, "FAULT": fault})
        over = threading.Event()
        after = threading.Thread(target=self.in_the_middle, args=(env, victim, fault, over), daemon=True)
        after.start()
        result = env.run_phase("run")
        over.set()
        after.join(60)
        self.counts[fault] += 1
        for message in self.judge(result, victim.name, fault):
            self.wrong.append(message)
            print("WRONG", message, file=sys.stderr)
        victim.wait_up()

    def in_the_middle(self, env: RemoteEnv, victim: Host, fault: str, over: threading.Event) -> None:
        """Wait until the victim's script runs, and a little more; then do it."""
        if fault not in ("cut", "restart", "kill", "cancel"):
            return
        while not self.scripts(victim):
            if over.wait(0.02):
                return
        time.sleep(self.random.uniform(0, 1.2))
        self.faults[fault](env, victim)

    def scripts(self, host: Host) -> list[int]:
        """Return the processes of the script itself, as seen from here."""
        return [
            process.pid
            for process in host.processes("ANSIBLE_ENV_RUN_ID=")
            if process.argv and process.argv[0].endswith("bash")
        ]

    def kill(self, env: RemoteEnv, host: Host) -> None:
        """Kill the script from outside, as the OOM killer would."""
        for pid in self.scripts(host):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def restart(self, host: Host) -> None:
        """Power the host off and on again."""
        host.power_off()
        time.sleep(self.random.uniform(0.1, 1.0))
        host.power_on()

    def judge(self, result: PhaseResult, victim: str, fault: str) -> Iterator[str]:
        """Yield what is wrong with an outcome."""
        expected = {
            "none": {Kind.OK},
            "exit": {Kind.EXIT},
            "deadline": {Kind.TIMEOUT},
            "cut": {Kind.OK},
            "restart": {Kind.LOST_RESULT},
            "kill": {Kind.SIGNAL},
            "cancel": {Kind.CANCELED},
        }[fault]
        for host in result.hosts.values():
            allowed = expected if host.host == victim else {Kind.OK}
            if fault == "cancel" and host.host != victim:
                allowed = {Kind.OK, Kind.CANCELED}  # it may have been done by then
            if host.kind not in allowed:
                yield f"{fault} on {victim}: {host.host} is {host.kind}: {host.message}"
            if host.kind is Kind.OK and (host.metrics.get("score") != 1 or not host.stdout.startswith("begin")):
                yield f"{fault} on {victim}: {host.host} succeeded without its output: {host.stdout!r}"
            if fault == "exit" and host.host == victim and host.rc != 3:
                yield f"{fault} on {victim}: exit status {host.rc}"

    def compare(self, before: Footprint, after: Footprint) -> None:
        """Note what the process holds that it did not hold before."""
        print(f"before {before}\nafter  {after}", file=sys.stderr)
        for name in ("files", "threads", "children"):
            if getattr(after, name) > getattr(before, name):
                self.wrong.append(f"{name}: {getattr(before, name)} before, {getattr(after, name)} after")
        if after.memory > before.memory + MEMORY_SLACK:
            self.wrong.append(f"memory: {before.memory} KiB before, {after.memory} KiB after")

    def nothing_left(self) -> None:
        """Note what is left on the hosts."""
        for host in self.hosts:
            self.wrong += [f"left on {host.name}: {item}" for item in left_on(host, 10)]


def main() -> int:
    """Run the phases, and print how many had a wrong outcome."""
    arguments = options("random_faults", __doc__, 300)
    begun = time.monotonic()
    with Hosts(3, outage=0.5) as hosts:
        trial = RandomFaults(hosts, arguments.seed, arguments.engine)
        trial.run(arguments.phases)
    print(f"{sum(trial.counts.values())} phases in {time.monotonic() - begun:.0f} s: {dict(trial.counts)}")
    print(f"{len(trial.wrong)} wrong", *trial.wrong, sep="\n  ")
    return 1 if trial.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
