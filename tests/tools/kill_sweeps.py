"""`kill -9` at random moments of a sweep: is the store whole, is every finished trial in it, are the others marked?

python -m tests.tools.kill_sweeps --times 20
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

HOSTS = 3


def main() -> None:
    """Kill sweeps, one after the other, and look at the same store each time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ae-kill-") as directory:
        totals = [kill_one(Path(directory), random.Random(args.seed + n), n) for n in range(args.times)]
    finished, interrupted = (sum(column) for column in zip(*totals, strict=True))
    print(f"{args.times} sweeps killed: {finished} trials finished, {interrupted} interrupted, none lost")


def kill_one(directory: Path, moment: random.Random, number: int) -> tuple[int, int]:
    """Start a sweep, kill its process group's leader, and compare the store with the bundles."""
    inventory = {
        f"h{n}": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable} for n in range(HOSTS)
    }
    (directory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": inventory}}))
    environment = {
        "name": "kill",
        "tunables": {"g": {"cost": 1, "params": {"n": {"type": "int", "range": [1, 9], "default": 1}}}},
        "shell_env_params": ["n"],
        "run": ["echo score=$n"],
        "results_stdout_pattern": r"^(\w+)=(\S+)$",
    }
    (directory / "env.yml").write_text(yaml.safe_dump(environment))
    command = [sys.executable, "-m", "ansible_env", "sweep", "env.yml", "-i", "hosts.yml", "--grid", "n=1,2,3,4,5"]
    env = {**os.environ, "ANSIBLE_ENV_ARTIFACTS": str(directory / "kept")}
    with (directory / "log").open("w") as log:
        sweep = subprocess.Popen(
            [*command, "--repeat", "20", "-q"], cwd=directory, env=env, stdout=log, stderr=log, start_new_session=True
        )
        store = directory / "kept" / "store.sqlite"
        before = rows(store)
        wait_for(lambda: len(rows(store)) > len(before), sweep)
        time.sleep(moment.uniform(0, 4))
        sweep.send_signal(signal.SIGKILL)
        sweep.wait()
    assert sqlite3.connect(store).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    found = subprocess.run(
        [sys.executable, "-m", "ansible_env", "results", "-o", "jsonl"],
        cwd=directory, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = {row["uid"]: row for row in map(json.loads, found.stdout.splitlines()) if row["uid"] not in before}
    bundles = {}
    for manifest in (directory / "kept").glob("*/*/trial-*/bundle.json"):
        uid = json.loads(manifest.read_text())["uid"]
        if uid not in before:
            bundles[uid] = manifest.parent
    done = {uid for uid, path in bundles.items() if (path / "result.json").is_file()}
    for uid in done:
        assert told[uid]["status"] == "SUCCEEDED", told[uid]
        assert told[uid]["metrics"]["score"] == told[uid]["params"]["n"], told[uid]
    for uid, row in told.items():
        assert uid in done or row["status"] == "INTERRUPTED", row
    marked = sum(row["status"] == "INTERRUPTED" for row in told.values())
    print(f"{number + 1:2}: {len(done)} finished, {marked} interrupted", flush=True)
    return len(done), marked


def rows(store: Path) -> set[str]:
    """Return the uids of all trials."""
    try:
        return {uid for (uid,) in sqlite3.connect(f"file:{store}?mode=ro", uri=True).execute("SELECT uid FROM trials")}
    except sqlite3.OperationalError:
        return set()


def wait_for(condition, process) -> None:
    """Wait until something is so, while a process lives."""
    give_up = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, "the sweep has ended"
        assert time.monotonic() < give_up
        time.sleep(0.02)


if __name__ == "__main__":
    main()
