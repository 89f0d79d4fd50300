"""Each benchmark of the cookbook on real hosts: its packages installed, run twice, and removed again.

`make test-cookbook`; not part of `make test`, since packages are downloaded.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.cookbook, pytest.mark.ssh, pytest.mark.root, pytest.mark.timeout(900)]

SHORT = {
    "sysbench": ["seconds=1"],
    "fio": ["seconds=2", "size_mib=64"],
    "pgbench": ["seconds=3", "scale=1"],
    "redis": ["requests=20000"],
    "stress-ng": ["seconds=1"],
    "sqlite": ["seconds=0.3", "rows=2000"],
    "openssl": [],
}
METRICS = {
    "sysbench": {"events_per_s", "event_p95_ms", "memory_mib_per_s"},
    "fio": {"iops", "read.iops", "read.p99_ms", "write.mib_per_s"},
    "pgbench": {"tps", "latency_ms", "latency_stddev_ms", "failed"},
    "redis": {"score", "set_rps", "get_p99_ms"},
    "stress-ng": {"cpu", "switch", "vm", "pipe"},
    "sqlite": {"score", "inserts_per_s"},
    "openssl": set(),
}


@pytest.fixture(scope="module")
def hosts(make_module_hosts):
    return make_module_hosts(2)


def trial(name, hosts, directory, *params, limit="all"):
    command = [sys.executable, "-m", "ansible_env", "trial", ROOT / "examples" / name / "environment.yml"]
    command += ["-i", hosts.inventory(), "-l", limit, "-o", "jsonl"]
    command += [word for param in params for word in ("-p", param)]
    env = {**os.environ, "ANSIBLE_ENV_ARTIFACTS": str(directory)}
    done = subprocess.run([*map(str, command)], env=env, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


def left(hosts):
    """What a benchmark may leave on the hosts: directories and processes."""
    command = "ls -A /var/tmp /var/lib; ps -eo args"
    lines = {(host.name, line) for host in hosts for line in host.exec(command).stdout.splitlines()}
    return {line for line in lines if "ansible" in line[1] or "bench" in line[1] or "postgres -D" in line[1]}


def test_every_example_is_tried():
    """Those that need groups of hosts are run by the tests of their READMEs (tests/docs)."""
    found = {path.parent.name for path in ROOT.glob("examples/*/environment.yml")}
    assert set(SHORT) == found - {"redis-clients"}


@pytest.mark.parametrize("name", SHORT)
def test_it_runs_on_real_hosts(name, hosts, tmp_path):
    before = left(hosts)
    names = {"h1"} if name == "redis" else {"h1", "h2"}  # one port, and the hosts share this machine's network
    document = trial(name, hosts, tmp_path, *SHORT[name], limit=",".join(sorted(names)))
    assert set(document["hosts"]) == names
    for host in document["hosts"].values():
        assert METRICS[name] <= set(host["metrics"])
        assert all(value > 0 for metric, value in host["metrics"].items() if metric != "failed")
    assert left(hosts) <= before


def test_parameters_make_a_difference(hosts, tmp_path):
    """A cookbook whose parameters are not heeded measures nothing."""
    few = trial("fio", hosts, tmp_path / "few", *SHORT["fio"], "rw=randread", "block_kib=4", "iodepth=1")
    many = trial("fio", hosts, tmp_path / "many", *SHORT["fio"], "rw=read", "block_kib=1024", "iodepth=16")
    assert "write.iops" not in few["metrics"] | many["metrics"]
    assert few["metrics"]["read.iops"] > many["metrics"]["read.iops"]
    assert few["metrics"]["read.mib_per_s"] < many["metrics"]["read.mib_per_s"]
