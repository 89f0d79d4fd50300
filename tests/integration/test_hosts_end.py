"""What the fake hosts leave behind (nothing), their command line, and how they are without root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hosts import Hosts, HostsError, MissingProgram, files, procs, spec, wait_for

pytestmark = [pytest.mark.ssh]
needs_root = pytest.mark.root
MakeHosts = Callable[..., Hosts]
ROOT = Path(__file__).parents[2]


def mounts_of_hosts() -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "/hosts-" in line]


def everything_of(hosts: Hosts) -> list[int]:
    supervisor = hosts.state["pid"]
    return [supervisor, *procs.descendants(supervisor)]


def gone(pids: list[int]) -> bool:
    return not any(procs.start_time(pid) for pid in pids)


def test_down_leaves_nothing() -> None:
    with Hosts(2) as hosts:
        hosts[0].ssh("setsid sleep 99 >/dev/null 2>&1 & echo")
        base, pids = hosts.dir, everything_of(hosts)
        assert len(pids) >= 3
    assert gone(pids)
    assert not base.exists()
    assert mounts_of_hosts() == []


def test_interrupt_leaves_nothing() -> None:
    bases = []
    with pytest.raises(KeyboardInterrupt), Hosts(1) as hosts:
        bases.append((hosts.dir, everything_of(hosts)))
        raise KeyboardInterrupt
    assert not bases[0][0].exists()
    assert gone(bases[0][1])


def test_death_of_the_owner_leaves_nothing() -> None:
    code = (
        "import os, time; from tests.hosts import Hosts; h = Hosts(1).up(); "
        "print(h.dir, h.state['pid'], flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert owner.stdout is not None
    with owner.stdout as out:
        base, pid = out.readline().split()
    pids = [int(pid), *procs.descendants(int(pid))]
    owner.kill()
    owner.wait()
    wait_for(lambda: gone(pids), "their end")
    assert not Path(base).exists()


@needs_root
def test_death_of_the_supervisor_ends_the_hosts(tmp_path: Path) -> None:
    hosts = Hosts(2).up()
    try:
        base, pids = hosts.dir, everything_of(hosts)
        os.kill(hosts.state["pid"], signal.SIGKILL)
        wait_for(lambda: gone(pids), "their end")
        assert mounts_of_hosts() == []
        # Its directory is what the next start cleans; as long as we, who made it, live, it is not stale.
        assert base not in files.clean_stale(base.parent)
    finally:
        hosts.down()
    assert not base.exists()


def test_stale_directories_are_cleaned(tmp_path: Path) -> None:
    dead, foreign, alive = (tmp_path / f"hosts-{name}" for name in ("dead", "foreign", "alive"))
    for base in (dead, foreign, alive):
        base.mkdir()
    (dead / "spec.json").write_text('{"maker": [1, 2]}')  # pid 1 did not start at 2
    (alive / "spec.json").write_text(f'{{"maker": [{os.getpid()}, {procs.start_time(os.getpid())}]}}')
    assert files.clean_stale(tmp_path) == [dead]
    assert foreign.exists()
    assert alive.exists()


def test_a_directory_of_others_is_not_touched(tmp_path: Path) -> None:
    base = Path("/tmp") / f"t{os.getpid()}"
    base.mkdir()
    try:
        with pytest.raises(HostsError, match="not ours"):
            Hosts(1, dir=base).up()
        assert base.exists()
    finally:
        base.rmdir()


# -- the shell's door, and without root ----------------------------------------------------------------


def cli(*words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.hosts", *words], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_root
def test_command_line() -> None:
    where = ("--dir", f"/tmp/t{os.getpid()}c")
    try:
        cli("up", "1", *where, "--host", "np,python=no,sh=busybox")
        assert "already running" in cli("up", *where, code=2)
        assert len(cli("status", *where).splitlines()) == 2
        path = Path(cli("inventory", *where).strip())
        program = Path(sys.executable).with_name("ansible")
        subprocess.run([program, "-i", path, "all", "-m", "ansible.builtin.raw", "-a", "true"], check=True)
        assert cli("exec", *where, "np", "--", "hostname") == "np\n"
        assert cli("ssh", *where, "h1", "hostname").strip() == "h1"
        cli("exec", *where, "h1", "exit 5", code=5)
        cli("power-off", *where, "h1")
        cli("status", *where, code=1)
        assert "no such host" in cli("cut", *where, "h9", code=2)
    finally:
        cli("down", *where)
    assert not Path(where[1]).exists()
    assert "no hosts are running" in cli("status", *where, code=2)


@needs_root
def test_plain_hosts_of_an_unprivileged_user(make_hosts: MakeHosts) -> None:
    """The fallback, run by the user `bench` of a host."""
    host = make_hosts(1)[0]
    if host.exec("/usr/bin/python3 -c 'import sys; exit(sys.version_info < (3, 11))'", check=False).returncode:
        pytest.skip("this machine's /usr/bin/python3 is missing or older than 3.11")
    shutil.copytree(ROOT / "tests" / "hosts", host.path("/srv/x/tests/hosts"))
    script = """
import subprocess, time
from tests.hosts import Hosts, NeedsRoot
with Hosts(2) as hosts:
    assert [h.ssh("id -un").stdout for h in hosts] == ["bench\\n"] * 2
    hosts[0].refuse(); assert not hosts[0].is_up; hosts[0].accept(); hosts[0].ssh("true")
    client = subprocess.Popen([*hosts[0].ssh_command(), "sleep 60"]); time.sleep(0.7)
    hosts[0].refuse(); hosts[0].cut(); assert client.wait(5) == 255; hosts[0].accept()
    hosts[1].freeze(); hosts[1].thaw(); hosts[1].ssh("true")
    assert hosts.inventory_dict()["fleet"]["vars"]["ansible_user"] == "bench"
    for wish in (hosts[0].reboot, lambda: Hosts(1, sh="busybox").up(), lambda: Hosts(1, network=True).up()):
        try: wish()
        except NeedsRoot as error: print(error)
"""
    host.path("/srv/x/try.py").write_text(script)
    leftovers = "ls /tmp; pgrep -u bench -f '[t]ests.hosts|[s]shd -D'"
    command = f"cd /srv/x; PYTHONPATH=. /usr/bin/python3 try.py; {leftovers}"
    done = host.exec(command, user="bench", check=False)
    assert done.stdout.count("not root") == 3, done.stdout + done.stderr
    assert done.stdout.splitlines()[3:] == []


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec, "PATH", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingProgram, match="apt-get install openssh-server"):
        Hosts(1, plain=True).up()
