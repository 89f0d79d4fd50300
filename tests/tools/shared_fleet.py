"""Several controllers on one fleet with one PostgreSQL store, and one that is killed: no trial is lost or doubled.

python -m tests.tools.shared_fleet --controllers 4 --trials 200

A controller is killed while its script runs on the first host. Then the others begin, each with its share of the trials
on two hosts that they wait for (`--wait-for-hosts`). A script notes its begin and its end by the host's own clock, from
the beginning of run to the end of teardown. Exit status 0 if no two trials overlap on a host, each trial ran once and
is once in the store with its own metric, and the host of the killed controller was free in time.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ansible_env.environment.deadlines import SLACK
from ansible_env.environment.leases import LAST_POLL, MARGIN
from ansible_env.storage.store import Store
from tests.hosts import Host, Hosts
from tests.postgresql import server_for_a_while
from tests.tools.soak import left_on

RECORD = "/var/tmp/record"
NOTE = f"read -r up rest </proc/uptime; echo $key $n {{}} $up >>{RECORD}\n"
DEADLINE, GRACE = 10, 1
FREE_AFTER = DEADLINE + GRACE + SLACK + MARGIN
"""Seconds after which the lease of a killed controller expires."""
CONFIG: dict[str, Any] = {
    "tunables": {"g": {"cost": 1, "params": {"n": {"type": "int", "range": [0, 10_000], "default": 0}}}},
    "tunable_params": ["g"],
    "const_args": {"key": "", "length": 0.3},
    "shell_env_params": ["key", "length", "n"],
    "run": NOTE.format("begin") + "sleep $length; echo score=$n",
    "teardown": "sleep 0.1\n" + NOTE.format("end"),
    "results_stdout_pattern": r"^(score)=(\d+)$",
    "required_metrics": ["score"],
    "timeouts": {"run": DEADLINE, "teardown": DEADLINE, "grace": GRACE},
}


class Controller:
    """One `ansible-env` with an environment of its own."""

    def __init__(self, key: str, directory: Path, words: list[str]) -> None:
        path = directory / f"{key}.yml"
        path.write_text(yaml.safe_dump({"name": key, **CONFIG}))
        command, *options = words
        options += ["-p", f"key={key}", "--artifacts", str(directory / key), "-q", "-o", "jsonl"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        self.key = key
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ansible_env", command, str(path), *options],
            env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def kill(self) -> None:
        """Kill it and all that it has started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def record(host: Host) -> list[tuple[str, str, str, float]]:
    """Return key, number, what and time of what the scripts have noted on a host."""
    path = host.path(RECORD)
    lines = path.read_text().splitlines() if path.exists() else []
    return [(key, n, what, float(up)) for key, n, what, up in map(str.split, lines)]


def overlaps(host: Host) -> Iterator[str]:
    """Yield the trials that another one began before they had ended."""
    running = ""
    for key, n, what, up in sorted(record(host), key=lambda line: line[3]):
        if key == "killed":
            continue
        if running and (what == "begin" or running != f"{key} {n}"):
            yield f"{host.name}: {key} {n} {what} at {up}, while {running} runs"
        running = f"{key} {n}" if what == "begin" else ""


def lost_or_doubled(hosts: Hosts, shares: dict[str, int], url: str) -> Iterator[str]:
    """Yield the trials that did not run once, or are not once in the store with their own metric."""
    ran = Counter((key, n, what) for host in hosts for key, n, what, _ in record(host))
    with Store(url) as store:
        stored: dict[str, Counter[Any]] = defaultdict(Counter)
        for key in shares:
            stored[key].update(trial.metrics.get("score") for trial in store.trials(key))
    for key, share in shares.items():
        for n in range(share):
            counts = [ran[key, str(n), "begin"], ran[key, str(n), "end"], stored[key][n]]
            if counts != [1, 1, 1]:
                yield f"{key} {n}: begun {counts[0]}, ended {counts[1]}, stored {counts[2]} times"
        if (total := stored[key].total()) != share:
            yield f"{key}: {total} trials are stored, not {share}"


def killed_one(hosts: Hosts, directory: Path, inventory: str) -> float:
    """Kill a controller while its script runs on the first host; return when that began by the host's clock."""
    words = ["trial", "-i", inventory, "-l", hosts[0].name, "--no-store", "-p", "length=600"]
    controller = Controller("killed", directory, words)
    while not (begun := [up for *_, up in record(hosts[0])]):
        if controller.process.poll() is not None:
            raise RuntimeError("the controller that is to be killed has ended")
        time.sleep(0.05)
    controller.kill()
    return begun[0]


def share_fleet(hosts: Hosts, directory: Path, url: str, controllers: int, trials: int) -> list[str]:
    """Run the controllers, and return what was wrong."""
    inventory = str(hosts.inventory())
    killed = killed_one(hosts, directory, inventory)
    shares = {f"c{number}": len(range(number, trials, controllers)) for number in range(controllers)}
    running = [
        Controller(key, directory, [
            "sweep", "-i", inventory, "--wait-for-hosts", "1h", "--store", url,
            "--grid", f"n={','.join(map(str, range(share)))}",
        ])
        for key, share in shares.items()
    ]  # fmt: skip
    begun = time.monotonic()
    wrong = [f"{each.key}: exit code {each.process.returncode}" for each in running if each.process.wait()]
    took = time.monotonic() - begun
    first = min((up for key, _, _, up in record(hosts[0]) if key != "killed"), default=float("inf"))
    print(f"{trials} trials of {controllers} controllers on {len(hosts)} hosts in {took:.0f} s")
    print(f"the host of the killed controller was used again {first - killed:.1f} s after that script had begun")
    print({host.name: dict(Counter(key for key, _, what, _ in record(host) if what == "end")) for host in hosts})
    if not first - killed <= FREE_AFTER + 3 * LAST_POLL:
        wrong.append(f"the host of the killed controller was free after {first - killed:.1f} s, not {FREE_AFTER:g} s")
    wrong += [text for host in hosts for text in overlaps(host)]
    wrong += lost_or_doubled(hosts, shares, url)
    attached = subprocess.run(
        [sys.executable, "-m", "ansible_env", "attach", str(directory / "killed" / "trial-1"), "-q", "-o", "jsonl"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if json.loads(attached.stdout or "{}").get("status") != "TIMED_OUT":
        wrong.append(f"attached to the trial that was killed: {attached.stdout}{attached.stderr}")
    return wrong + [f"left: {item}" for host in hosts for item in left_on(host, 20)]


def main() -> int:
    """Run the controllers, and print what was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.shared_fleet", description=__doc__)
    parser.add_argument("--controllers", type=int, default=4)
    parser.add_argument("--trials", type=int, default=200)
    arguments = parser.parse_args()
    with Hosts(2) as hosts, server_for_a_while() as url, tempfile.TemporaryDirectory(prefix="f") as directory:
        wrong = share_fleet(hosts, Path(directory), url + "/postgres", arguments.controllers, arguments.trials)
    print(f"{len(wrong)} wrong", *wrong, sep="\n  ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
