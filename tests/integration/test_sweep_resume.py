"""`sweep --resume` after `kill -9`, on real hosts."""

import json
import random
import time
from collections import Counter

import pytest

from tests.integration.test_cli import Command, until

pytestmark = pytest.mark.ssh


def test_a_killed_sweep_goes_on_and_repeats_nothing(tmp_path, ssh_hosts):
    command = Command(tmp_path)
    hosts = [ssh_hosts[name] for name in ("h1", "h2")]
    logs = [host.path("/var/tmp") / command.marker for host in hosts]
    scripts = {
        "setup_once": ["echo once >> /var/tmp/$MARKER"],
        "run": [
            "echo begin-$trial_id >> /var/tmp/$MARKER; sleep 1; echo end-$trial_id >> /var/tmp/$MARKER; echo score=1"
        ],
        "teardown_once": ["echo over >> /var/tmp/$MARKER"],
        "shell_env_params": ["MARKER", "trial_id"],
    }
    path = command.environment(**scripts)
    arguments = ("sweep", path, "-i", ssh_hosts.inventory(), "-l", "h1,h2", "--repeat", "12")
    moment = random.Random(18)
    try:
        for number in range(3):
            with command.start(*arguments, *(["--resume"] if number else [])) as process:
                until(lambda: any(log.exists() for log in logs))
                time.sleep(moment.uniform(2, 5))
                process.kill()
                process.communicate()
        done = command(*arguments, "--resume", "-o", "jsonl")
        assert done.returncode == 0, done.stderr
        told = Counter(word for log in logs for word in log.read_text().split())
        assert {told[f"end-{n}"] for n in range(1, 13)} == {1}, (told, done.stderr)
        assert {told[f"begin-{n}"] for n in range(1, 13)} == {1}, "what ran was followed to its end"
        assert told["once"] == told["over"] == len([log for log in logs if log.exists()])
        (call,) = (tmp_path / "kept" / "cli").iterdir()
        results = [json.loads(file.read_text()) for file in call.glob("trial-*/result.json")]
        # A trial that was killed before its script began has another attempt.
        good = sorted(result["trial"] for result in results if result["status"] == "SUCCEEDED")
        assert good == list(range(1, 13))
        assert "no interrupted sweep" in command(*arguments, "--resume").stderr
    finally:
        for log in logs:
            log.unlink(missing_ok=True)
