"""Every command block of README and docs is run, as a new user would run it. `make test-docs`.

A copy of the tree is the place; ENV.yml and INVENTORY stand for a small environment and for three real hosts.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.docs.blocks import ROOT, blocks
from tests.hosts import Hosts, HostSpec

pytestmark = [pytest.mark.docs, pytest.mark.ssh, pytest.mark.timeout(900)]

BLOCKS = blocks()
NOT_COPIED = (".git", ".venv", ".nox", "__pycache__", ".*_cache", ".hypothesis", "build", "dist", ".ansible")

NOT_RUN = {
    r"make (test|test-all|test-cookbook|test-docs|bench|lint)\b": "is what runs this, or takes as long",
    r"@|user@|postgresql": "needs a server of somebody's",
}
"""Commands that are not run, and why."""

INSTEAD = [
    (r"^make demo", "make demo VENV=$VIRTUAL_ENV -o $VIRTUAL_ENV/.ansible-env-installed"),
    (r"pip install (\S+)", r"pip install --quiet --dry-run --no-deps --no-build-isolation \1"),
    (r"\.venv/bin/", "$VIRTUAL_ENV/bin/"),
    (r"http://collector:4318", "http://127.0.0.1:9"),
    (r"/var/lib/node_exporter/", "./"),
    (r"/tmp/fleet", "$FLEET"),
    (r"(examples/(?:sysbench|stress-ng)/\S+)", r"\1 -p seconds=1"),
    (r"(examples/fio/\S+)", r"\1 -p seconds=1 -p size_mib=32"),
    (r"(examples/pgbench/\S+)", r"\1 -p seconds=1 -p scale=1"),
    (r"(ansible-env .*examples/sqlite/environment.yml)", r"\1 -p seconds=0.2 -p rows=500"),
    (r"--pattern REGEX", r"--pattern '^(\\w+)=(\\S+)$'"),
    (r"^python3 -m venv \.venv.*", "true"),
    (r"ansible-env init (mine|DIR)", r"ansible-env init --yes --force \1"),
    (r"(ansible-env (?:trial|sweep) first/environment.yml)", r"\1 -p mib=4"),
    (r"^ansible-env attach", "./interrupted.sh; ansible-env attach"),
]
"""What is run instead, to be done in a minute."""

GIVEN = {
    "env": """
from ansible_env import RemoteEnv
env = RemoteEnv.from_file("environment.yml", inventory="INVENTORY").__enter__()
""",
    "study": """
import random
class Study:
    def ask(self): return {"cache_size": random.randint(1, 100)}
    def tell(self, asked, score): assert score > 0
study = Study()
""",
}
"""What a fragment of Python takes for granted, by name."""

INTERRUPTED = """#!/bin/bash
# A trial whose controller is killed.
ansible-env run slow.yml -i INVENTORY -l db1 2>slow.log >/dev/null & pid=$!
for _ in $(seq 300); do if grep -q begun slow.log; then break; fi; sleep 0.1; done
kill -KILL $pid; wait $pid 2>/dev/null; true
"""


def environment_file():
    """An environment that knows each parameter that a command with ENV.yml gives it."""
    text = "\n".join(command for block in BLOCKS for command in block.commands if "ENV.yml" in command)
    names = dict.fromkeys(re.findall(r"(?:-p|--param|--grid)[ =](\w+)=", text))
    return {
        "name": "bench",
        "setup": ["true"],
        "run": ["echo score=$((RANDOM % 100 + 1))", "echo throughput=100", "echo latency_p99=2"],
        "teardown": ["true"],
        "const_args": dict.fromkeys(names, ""),
        "shell_env_params": list(names),
        "results_stdout_pattern": r"^(\w+)=(\S+)$",
        "timeouts": {"setup": "30s", "run": "60s", "teardown": "30s"},
    }


class Place:
    """A copy of the tree, and hosts."""

    def __init__(self, directory, hosts):
        self.directory = directory / "clone"
        shutil.copytree(ROOT, self.directory, ignore=shutil.ignore_patterns(*NOT_COPIED))
        self.fleet = Path("/tmp") / f"docs-{os.getpid()}"
        inventory = Path(hosts.inventory()).read_text()
        (self.directory / "inventories/lab").mkdir()
        for name in ("INVENTORY", "inventory", "inventories/ssh/hosts.yml", "inventories/lab/hosts.yml"):
            (self.directory / name).write_text(inventory)
        three = yaml.safe_load(inventory)
        for group in three.values():
            group["hosts"] = {name: host for name, host in group["hosts"].items() if name in ("h1", "h2", "h3")}
        three |= {"server": {"hosts": {"h1": {}}}, "clients": {"hosts": {"h2": {}, "h3": {}}}}
        self.write("inventory.yml", three)
        shutil.rmtree(self.directory / "inventories/ssh/group_vars", ignore_errors=True)
        self.write("ENV.yml", environment_file())
        tunables = {"g": {"cost": 1, "params": {"cache_size": {"type": "int", "range": [1, 100], "default": 1}}}}
        self.write(
            "environment.yml", {**environment_file(), "const_args": {}, "shell_env_params": [], "tunables": tunables}
        )
        self.write("redis.yml", {**environment_file(), "const_args": {"hz": 10}, "shell_env_params": ["hz"]})
        self.write("slow.yml", {"name": "slow", "run": ["echo begun; sleep 8; echo score=1"]})
        (self.directory / "broken.yml").write_text("name: x\nrun: ['true']\ntimeout: 5\n")
        (self.directory / "interrupted.sh").write_text(INTERRUPTED)
        (self.directory / "interrupted.sh").chmod(0o755)
        venv = Path(sys.executable).parent.parent
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "OTEL_"))},
            "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
            "VIRTUAL_ENV": str(venv),
            "FLEET": str(self.fleet),
            "HOME": str(directory),
            "ANSIBLE_ENV_ARTIFACTS": str(directory / "kept"),
            "PYTHONPATH": str(self.directory),
        }

    def write(self, name, data):
        (self.directory / name).write_text(yaml.safe_dump(data, sort_keys=False))

    def run(self, *command, timeout=600):
        return subprocess.run(
            command, cwd=self.directory, env=self.env, capture_output=True, text=True, timeout=timeout, check=False
        )

    def shell(self, script):
        return self.run("bash", "-c", f"set -euo pipefail\n{script}")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with Hosts([HostSpec("h1"), HostSpec("h2"), HostSpec("h3"), HostSpec("db1"), HostSpec("db2")]) as hosts:
        for host in hosts:
            host.exec("mkdir -p /srv/data") if hosts.namespaces else None
        place = Place(tmp_path_factory.mktemp("docs"), hosts)
        sqlite = "ansible-env trial examples/sqlite/environment.yml -p seconds=0.1 -p rows=500 --trials 2"
        for command in (  # what `report sqlite`, BUNDLE and the like are about
            f"{sqlite} -p journal_mode=DELETE",
            f"{sqlite} -p journal_mode=WAL",
            "ansible-env trial ENV.yml --trials 16 --artifacts bundles && ln -s bundles/trial-1 BUNDLE",
        ):
            done = place.shell(command)
            assert done.returncode == 0, done.stderr
        yield place
        place.shell('test ! -d "$FLEET" || python -m tests.hosts down --dir "$FLEET"')


def of(*languages):
    return pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in languages], ids=str)


def to_run(block):
    """The commands of a block in the form in which they are run."""
    for command in block.commands:
        if any(re.search(pattern, command) for pattern in NOT_RUN):
            continue
        for pattern, replacement in INSTEAD:
            command = re.sub(pattern, replacement, command)
        yield command


def needs(block):
    text = "\n".join(block.commands)
    if "examples/optuna" in text:
        pytest.importorskip("optuna")
    if re.search(r"examples/(sysbench|fio|pgbench|stress-ng|redis)/", text) and os.geteuid() != 0:
        pytest.skip("installs packages")


@of("sh")
def test_the_commands_of_a_block_succeed(place, block):
    needs(block)
    commands = list(to_run(block))
    if not commands:
        pytest.skip("nothing in it can be run here; see NOT_RUN")
    done = place.shell("\n".join(commands))
    assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def shape(line):
    """A line of output without what is different each time."""
    return re.sub(r"[\d.,]+|─+", "N", " ".join(line.split()))


@of("console")
def test_a_console_shows_what_is_shown(place, block):
    seen = ""
    for command in to_run(block):
        done = place.shell(f"{command} 2>&1 || true")
        seen += done.stdout
    shapes = {shape(line) for line in seen.splitlines()}
    missing = [line for line in block.output if shape(line) not in shapes]
    assert not missing, f"{block}: not in the output:\n" + "\n".join(missing) + f"\n--- output:\n{seen[-3000:]}"


@of("python")
def test_python_runs(place, block):
    prelude = "".join(text for name, text in GIVEN.items() if re.search(rf"\b{name}\b", block.text))
    given = "" if "RemoteEnv" in block.text else prelude
    done = place.run(sys.executable, "-c", given + block.text)
    assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"


@of("yaml")
def test_a_playbook_runs(place, block):
    if not block.text.lstrip().startswith("- "):
        pytest.skip("no playbook; tests/unit/test_docs.py looks at it")
    (place.directory / "block.yml").write_text(block.text)
    done = place.shell("ansible-playbook -i INVENTORY -l h1 block.yml")
    assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}"


def test_nothing_is_left_out_that_is_not_there():
    commands = [command for block in BLOCKS for command in block.commands]
    for pattern in ["make test\\b", *(pattern for pattern, _ in INSTEAD)]:
        assert any(re.search(pattern, command) for command in commands), pattern
