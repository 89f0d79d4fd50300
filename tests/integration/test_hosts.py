"""The fixture itself: are the fake hosts what the other tests take them for?"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.hosts import Host, Hosts, HostsError, HostSpec, wait_for

pytestmark = [pytest.mark.ssh]
CAP_SYS_TIME = 25  # capabilities(7)
needs_root = pytest.mark.root
MakeHosts = Callable[..., Hosts]


@pytest.fixture(scope="module")
def odd_hosts(make_module_hosts: MakeHosts) -> Hosts:
    """One host of each unusual kind."""
    return make_module_hosts(
        [
            HostSpec("nopython", python=False),
            HostSpec("busy", sh="busybox"),
            HostSpec("bashed", sh="bash"),
            HostSpec("asks", sudo="password"),
            HostSpec("nosudo", sudo="none"),
        ]
    )


def running(host: Host, command: str) -> subprocess.Popen[str]:
    """An ssh command that is under way."""
    client = subprocess.Popen(
        [*host.ssh_command(), f"echo started; {command}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert client.stdout is not None
    assert client.stdout.readline() == "started\n"
    return client


def end_of(client: subprocess.Popen[str], timeout: float = 5) -> int:
    client.communicate(timeout=timeout)
    return client.returncode


def mounts_of_hosts() -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "/hosts-" in line]


# -- what a host is ------------------------------------------------------------------------------------


def test_each_answers(ssh_hosts: Hosts) -> None:
    assert len(ssh_hosts) == 3
    for host in ssh_hosts:
        assert host.ssh("echo $((6 * 7))").stdout == "42\n"
        assert "Accepted publickey" in host.sshd_log
        assert host.address == "127.0.0.1"


@needs_root
def test_isolation(ssh_hosts: Hosts) -> None:
    for host in ssh_hosts:
        host.ssh('echo "$(hostname)" >/tmp/who; echo "$(hostname)" >/root/who; echo "$(hostname)" >/usr/who')
    for host in ssh_hosts:
        assert host.ssh("cat /tmp/who /root/who /usr/who; hostname; uname -n").stdout.split() == [host.name] * 5
        assert host.path("/usr/who").read_text().strip() == host.name
        assert host.ssh("cat /proc/sys/kernel/random/boot_id").stdout.strip() == host.boot_id
        assert len(host.ssh("echo /proc/[0-9]*").stdout.split()) < 12  # its own processes only
    assert len({host.boot_id for host in ssh_hosts}) == 3
    assert not Path("/usr/who").exists()
    assert not any(line.startswith(("bench:", "worker:")) for line in Path("/etc/passwd").read_text().splitlines())
    assert mounts_of_hosts() == []


@needs_root
def test_the_machine_is_out_of_reach(ssh_host: Host) -> None:
    for command in ("echo x >/proc/sys/vm/swappiness", "echo 1 >/sys/kernel/mm/ksm/run"):
        assert ssh_host.ssh(command, check=False).returncode != 0
    # The clock is everybody's. Nobody tries to set it here: that might succeed.
    ssh_host.refuse()
    ssh_host.accept()  # also an sshd that was started later must not be able to
    for run in (ssh_host.ssh, ssh_host.exec):
        line = run("grep CapBnd /proc/self/status", check=True).stdout
        assert not int(line.split()[1], 16) >> CAP_SYS_TIME & 1
    assert ssh_host.ssh("ls -l /dev | grep -c ^b", check=False).stdout == "0\n"


@needs_root
def test_pid_1_reaps(ssh_host: Host) -> None:
    ssh_host.ssh("for i in 1 2 3 4; do (sleep 0.05 &) ; done; sleep 0.3")
    assert ssh_host.exec("ps -eo stat= | grep -c Z", check=False).stdout == "0\n"


@needs_root
def test_processes_finds_a_marker(ssh_host: Host) -> None:
    ssh_host.ssh("MARK=m4rk3r setsid sleep 60 >/dev/null 2>&1 </dev/null & echo")
    sleeping = lambda: [found for found in ssh_host.processes("m4rk3r") if found.name == "sleep"]  # noqa: E731
    wait_for(sleeping, "setsid to have become sleep")
    (process,) = sleeping()
    assert process.environ["MARK"] == "m4rk3r"
    assert process.argv == ("sleep", "60")
    ssh_host.exec(f"kill {process.host_pid}")
    wait_for(lambda: not ssh_host.processes("m4rk3r"), "its end")


# -- variants ------------------------------------------------------------------------------------------


@needs_root
def test_without_python(odd_hosts: Hosts) -> None:
    host = odd_hosts["nopython"]
    for user in ("root", "bench"):
        for python in ("python3", "/usr/bin/python3", "python", sys.executable):
            assert host.ssh(f"{python} -c 'print(1)'", user=user, check=False).returncode in (126, 127)
    assert host.ssh("sudo python3 -V", user="bench", check=False).returncode != 0
    assert host.ssh("ls /usr/bin/python3*", check=False).stdout == ""


@needs_root
@pytest.mark.parametrize(("name", "shell"), [("busy", "busybox"), ("nopython", "dash"), ("bashed", "bash")])
def test_shells(odd_hosts: Hosts, name: str, shell: str) -> None:
    assert odd_hosts[name].ssh("exec /bin/sh -c 'echo $(readlink -f /proc/$$/exe)'").stdout.strip().endswith(shell)


@needs_root
def test_sudo(odd_hosts: Hosts) -> None:
    def sudo(name: str, options: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [*odd_hosts[name].ssh_command(user="bench"), f"sudo {options} id -un"]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=20)

    assert sudo("busy", "-n").stdout == "root\n"
    assert sudo("busy", "-n -u worker").stdout == "worker\n"
    assert sudo("asks", "-n").returncode == 1
    assert sudo("asks", "-S -p ''", f"{odd_hosts.sudo_password}\n").stdout == "root\n"
    assert sudo("nosudo", "-S -p ''", f"{odd_hosts.sudo_password}\n").returncode == 1


@needs_root
def test_ansible_becomes(odd_hosts: Hosts) -> None:
    inventory = odd_hosts.inventory(user="bench", become=True, become_user="worker")
    done = ansible(inventory, "asks:busy", "id -un")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nworker") == 2


# -- inventory -----------------------------------------------------------------------------------------


def ansible(inventory: Path, pattern: str, command: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("ansible")
    words = [program, "-i", inventory, pattern, "-m", "ansible.builtin.raw", "-a", command]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def test_inventory(ssh_hosts: Hosts) -> None:
    path = ssh_hosts.inventory()
    assert yaml.safe_load(path.read_text()) == ssh_hosts.inventory_dict()
    done = ansible(path, "fleet", "echo on $(hostname)")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\non ") == 3


@needs_root
def test_changed_host_key_is_refused(make_hosts: MakeHosts) -> None:
    hosts = make_hosts(1)
    hosts[0].change_host_key()
    assert "verification failed" in hosts[0].ssh("true", check=False).stderr
    assert ansible(hosts.inventory(), "all", "true").returncode != 0
    hosts[0].change_host_key(update_known_hosts=True)
    hosts[0].ssh("true")


# -- faults --------------------------------------------------------------------------------------------


@needs_root
def test_cut_spares_detached_processes(ssh_host: Host) -> None:
    client = running(ssh_host, "MARK=d3tach3d setsid sleep 60 >/dev/null 2>&1 </dev/null & sleep 60")
    wait_for(lambda: bool(ssh_host.processes("d3tach3d")), "its start")
    assert ssh_host.cut() > 0
    assert end_of(client) == 255
    (left,) = [found for found in ssh_host.processes("d3tach3d") if "MARK" in found.environ]
    assert ssh_host.ssh(f"kill {left.host_pid}; pkill sleep; echo back").stdout == "back\n"


@needs_root
@pytest.mark.skipif(not Path("/proc/self/ns/time").exists(), reason="this kernel has no time namespaces")
def test_uptime_counts_from_the_boot(make_hosts: MakeHosts) -> None:
    host = make_hosts(1)[0]
    host.refuse()
    host.accept()
    assert float(host.ssh("cat /proc/uptime").stdout.split()[0]) < 60
    assert float(host.exec("cat /proc/uptime").stdout.split()[0]) < 60


def test_refuse_and_accept(ssh_host: Host) -> None:
    client = running(ssh_host, "sleep 1; exit 7")
    ssh_host.refuse()
    try:
        assert not ssh_host.is_up
        assert "refused" in ssh_host.ssh("true", check=False).stderr
    finally:
        ssh_host.accept()
    assert ssh_host.ssh("echo again").stdout == "again\n"
    assert end_of(client) == 7  # the session that was there went on


def test_freeze_and_thaw(ssh_host: Host) -> None:
    client = running(ssh_host, "sleep 0.2; exit 3")
    ssh_host.freeze()
    try:
        time.sleep(0.5)
        assert client.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            ssh_host.ssh("true", timeout=0.5)
    finally:
        ssh_host.thaw()
    assert end_of(client) == 3


@needs_root
@pytest.mark.parametrize("command", ["shutdown -r now", "reboot", "systemctl reboot"])
def test_reboot_from_inside(make_hosts: MakeHosts, command: str) -> None:
    hosts = make_hosts(1, outage=0.3)
    host = hosts[0]
    old = host.boot_id
    host.ssh("touch /tmp/gone /var/tmp/kept /root/kept /usr/kept /run/gone; setsid sleep 77 >/dev/null 2>&1 & echo")
    assert host.ssh(command, check=False).returncode == 0
    wait_for(lambda: not host.is_up, "the host to go")
    assert "refused" in host.ssh("true", check=False).stderr
    host.wait_up(boots=2)
    host.ssh("ls /var/tmp/kept /root/kept /usr/kept")
    assert host.ssh("ls -A /tmp; ls /run/gone", check=False).stdout == ""
    assert host.ssh("cat /proc/sys/kernel/random/boot_id").stdout.strip() == host.boot_id != old
    assert host.processes("77") == []


@needs_root
def test_power(make_hosts: MakeHosts) -> None:
    host = make_hosts(1, outage=0.1)[0]
    client = running(host, "sleep 60")
    host.power_off()
    assert end_of(client) == 255
    assert not host.is_up
    with pytest.raises(HostsError, match="is off"):
        host.exec("true")
    host.power_on()
    assert host.boots == 2
    host.reboot()
    assert host.boots == 3
    host.ssh("poweroff")
    wait_for(lambda: not host.is_up, "the host to go")
    time.sleep(0.5)
    assert not host.is_up  # and stays off
    assert host.ssh("shutdown -r now", user="bench", check=False).returncode == 255


@needs_root
def test_an_unprivileged_user_cannot_shut_down(ssh_host: Host) -> None:
    assert ssh_host.ssh("/usr/sbin/reboot", user="bench", check=False).returncode == 1


# -- own networks --------------------------------------------------------------------------------------


@needs_root
def test_network(make_hosts: MakeHosts) -> None:
    hosts = make_hosts(2, network=True, outage=0.1)
    first, second = hosts
    assert first.address != second.address
    assert first.ssh("hostname").stdout == "h1\n"
    second.reboot()
    assert second.ssh("hostname").stdout == "h2\n"
    first.ssh(f"bash -c 'exec 3<>/dev/tcp/{second.address}/22'")  # hosts reach each other,

    def met() -> list[str]:  # the end of an earlier session may be written late
        return [line for line in first.sshd_log.splitlines() if "disconnect" not in line.lower()]

    log = met()  # and nothing else reaches them (where a proxy answers for every address, too)
    subprocess.run(["timeout", "0.5", "bash", "-c", f"exec 3<>/dev/tcp/{first.address}/22"], check=False)
    assert met() == log
    assert "default" not in first.ssh("ip route").stdout
