"""Cases 20-31: what happened is what is said."""

from __future__ import annotations

import os
import signal
import time

import pytest

from ansible_env import InventoryError, Kind, Options, Status
from tests.faults.bench import Bench, until
from tests.folding import fold
from tests.hosts import HostSpec

pytestmark = pytest.mark.ssh
PATTERN = r"^(\w+)=(\d+)$"


@pytest.mark.parametrize("code", [0, 1, 126, 127, 255])
def test_20_exit_status_is_exact(anywhere: Bench, code):
    result = anywhere.host(f"exit {code}")
    assert (result.rc, result.kind) == (code, Kind.EXIT if code else Kind.OK)
    assert result.status is (Status.FAILED if code else Status.SUCCEEDED)


def test_21_killed_script_and_killed_supervisor_are_told_apart(anywhere: Bench):
    """There is no Python that wraps the script; its place has the supervisor."""
    result = anywhere.host("kill -9 $$")
    assert (result.kind, result.rc, result.status) == (Kind.SIGNAL, 137, Status.FAILED)
    assert "SIGKILL" in result.message
    assert anywhere.host("exit 137").kind is Kind.EXIT
    # PPID of the script is its supervisor.
    result = anywhere.host("kill -9 $PPID; sleep 60")
    assert (result.kind, result.rc, result.status) == (Kind.LOST_RESULT, None, Status.FAILED)
    anywhere.assert_clean()


@pytest.mark.parametrize("shell", [False, True], ids=["supervisor", "shell, too"])
@pytest.mark.parametrize("perl", [True, False], ids=["perl", "no perl"])
def test_21_the_first_round_trip_is_killed(remote: Bench, perl, shell):
    """On the target: the script runs, and its end is waited for and read."""
    # With Perl, the one that waits is the parent of the supervisor; without, it is in a file. Its parent is the shell.
    script = r"""echo begun; sleep 0.3
parent() { sed 's/.*) . //; s/ .*//' "/proc/$1/stat"; }
first=$(cd "${0%/*}" && echo w.*)
first=${first#w.}
[ "$first" != '*' ] || first=$(parent $PPID)
shell=$(parent $first)
tr '\0' ' ' </proc/$first/cmdline; echo
kill -9 $first KILL_SHELL
sleep 1.5; echo score=1; exit 3""".replace("KILL_SHELL", "$shell" if shell and perl else "")
    try:
        remote.hosts[0].exec("true" if perl else "mount --bind /bin/false /usr/bin/perl")
        result = remote.host(script, results_stdout_pattern=PATTERN)
    finally:
        remote.hosts[0].exec("true" if perl else "umount /usr/bin/perl")
    assert (result.kind, result.rc, result.metrics) == (Kind.EXIT, 3, {"score": 1}), result.message
    assert ("supervisor.pl" in result.stdout, "supervisor poll" in result.stdout) == (perl, not perl)
    remote.assert_clean()


def test_22_pattern_matches_no_host(remote: Bench):
    with remote.env(run="true", hosts="nobody") as env, pytest.raises(InventoryError, match="nobody"):
        env.run_phase("run")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no such inventory"),
        ("", "no host matches"),
        ("all:\n  hosts: [\n", "inventory"),
        ("[web\nfoo", "inventory"),
    ],
)
def test_23_bad_inventory(remote: Bench, tmp_path, content, said):
    path = tmp_path / "inv.yml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InventoryError, match=said) as caught, remote.env(run="true", inventory=path, limit=None) as env:
        env.run_phase("run")
    assert "inv.yml" in str(caught.value)


@pytest.mark.smoke
def test_24_one_of_three_is_unreachable(remote: Bench, ssh_hosts):
    victim = ssh_hosts["h2"]
    victim.refuse()
    victim.cut()
    try:
        result = remote.phase("echo score=4", limit=None, results_stdout_pattern=PATTERN, required_metrics=["score"])
    finally:
        victim.accept()
    assert {name: host.kind for name, host in result.hosts.items()} == {
        "h1": Kind.OK,
        "h2": Kind.UNREACHABLE,
        "h3": Kind.OK,
    }
    assert result.status is Status.FAILED
    assert result.hosts["h1"].metrics == result.hosts["h3"].metrics == {"score": 4}
    assert result.hosts["h2"].is_infrastructure_failure
    assert "refused" in result.hosts["h2"].message
    remote.assert_clean()


def test_25_bystanders_of_any_errors_fatal(remote: Bench):
    fails = {"ansible.builtin.fail": {"msg": "no"}, "when": "inventory_hostname == 'h1'", "any_errors_fatal": True}
    result = remote.phase([fails, "echo score=1"], limit=None)
    assert {name: (host.kind, host.status) for name, host in result.hosts.items()} == {
        "h1": (Kind.TASK, Status.FAILED),
        "h2": (Kind.NOT_RUN, Status.UNKNOWN),
        "h3": (Kind.NOT_RUN, Status.UNKNOWN),
    }
    assert result.status is Status.FAILED


def test_26_hosts_of_later_batches_did_not_run():
    """Moot: no play of ours has `serial` or `max_fail_percentage`. A host without events is no success."""
    result = fold("run", [{"event": "playbook_on_stats", "event_data": {}}], ["h3", "h4"])
    assert {host.kind for host in result.hosts.values()} == {Kind.NOT_RUN}
    assert result.status is Status.FAILED


def test_27_ignore_unreachable_is_no_success(remote: Bench, ssh_hosts):
    victim = ssh_hosts["h1"]
    victim.refuse()
    victim.cut()
    try:
        result = remote.host([{"ansible.builtin.ping": {}, "ignore_unreachable": True}, "echo score=1"])
    finally:
        victim.accept()
    assert (result.kind, result.status) == (Kind.UNREACHABLE, Status.FAILED)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"no.such.module": {}}, "no.such.module"),
        ({"ansible.builtin.command": {"cmd": "true"}, "no_such_keyword": 1}, "no_such_keyword"),
        ({"ansible.builtin.include_tasks": "missing.yml"}, "missing.yml"),
    ],
)
def test_28_error_in_a_task(remote: Bench, task, said):
    begun = time.monotonic()
    result = remote.phase([task, "echo score=1"])
    assert time.monotonic() - begun < 10
    assert result.status is Status.FAILED
    assert said in result.summary()


def test_29_become_that_does_not_work(remote: Bench, make_hosts):
    hosts = make_hosts([HostSpec("asks", sudo="password"), HostSpec("none", sudo="none")])
    bench = Bench(remote.engine, hosts, remote.directory)
    inventory = hosts.inventory_dict(user="bench")
    members = inventory["fleet"]["hosts"]
    # Three that ask: no password, a wrong one, and a sudo that says nothing at all.
    hosts["asks"].exec("printf '#!/bin/sh\\nsleep 60\\n' >/usr/local/bin/mute; chmod +x /usr/local/bin/mute")
    asks = members.pop("asks")
    members["missing"] = asks
    members["wrong"] = asks | {"ansible_become_password": "not that"}
    members["mute"] = asks | {"ansible_become_exe": "/usr/local/bin/mute", "ansible_become_password": "x"}
    members["right"] = asks | {"ansible_become_password": hosts.sudo_password}
    inventory["fleet"]["vars"]["ansible_timeout"] = 3
    begun = time.monotonic()
    result = bench.phase("id -un", inventory=inventory, limit=None, become=True)
    assert time.monotonic() - begun < 20 + 5
    kinds = {name: host.kind for name, host in result.hosts.items()}
    assert kinds.pop("right") is Kind.OK
    assert set(kinds) == {"missing", "wrong", "mute", "none"}
    assert set(kinds.values()) == {Kind.BECOME}, result.summary()
    assert result.hosts["right"].stdout == "root\n"


LOGINS = {
    "sessions": ("MaxSessions 0", "", Kind.UNREACHABLE, "MaxSessions"),
    "nologin": ("UsePAM yes", "echo maintenance >/etc/nologin", Kind.UNREACHABLE, "maintenance; Connection closed by"),
    "bare": ("", "echo maintenance >/etc/nologin", Kind.UNREACHABLE, "maintenance"),
    "banner": ("Banner /etc/motd", "echo '* Be nice *' >/etc/motd; rm -r ~bench/.ssh", Kind.AUTH, "bench@"),
    "expired": ("UsePAM yes", "usermod -e 1 bench", Kind.AUTH, "chage -l"),
    "password": ("UsePAM yes", "chage -d 0 bench", Kind.AUTH, "change it"),
    "shell": ("", "usermod -s /usr/sbin/nologin bench", Kind.AUTH, "no login shell"),
}
"""sshd's configuration, what is done on the host, and the kind and a part of the message that follow."""


def test_29_logins_that_are_refused_after_authentication(remote: Bench, make_hosts):
    """Nothing was started: it is no timeout, and the host's own reason is in the message."""
    hosts = make_hosts([HostSpec(name) for name in LOGINS])
    for name, (config, command, _, _) in LOGINS.items():
        hosts[name].exec(command or "true")
        if config:
            hosts[name].configure_sshd(config)
    bench = Bench(remote.engine, hosts, remote.directory)
    begun = time.monotonic()
    result = bench.phase("echo started", inventory=hosts.inventory_dict(user="bench"), limit=None)
    assert time.monotonic() - begun < 25
    for name, (_, _, kind, message) in LOGINS.items():
        host = result.hosts[name]
        assert host.kind is kind and message in host.message and "Be nice" not in host.message, (
            f"{name}: {host.message}"
        )
        assert "\n" not in host.message


def test_30_no_python_and_no_shell(remote: Bench, make_hosts):
    """A target needs no Python; a script needs its shell."""
    hosts = make_hosts([HostSpec("bare", python=False, sh="busybox")])
    bench = Bench(remote.engine, hosts, remote.directory)
    assert bench.host("echo fine", limit=None, shell="sh").kind is Kind.OK
    result = bench.host("echo fine", limit=None, shell="zsh5")
    assert (result.kind, result.rc) == (Kind.INTERPRETER, None)
    assert "zsh5" in result.message
    # An author's task does need it, and its rc is nobody's exit status.
    assert bench.host([{"ansible.builtin.ping": {}}, "true"], limit=None, shell="sh").kind is Kind.TASK


def test_31_check_mode_and_tags_are_no_success(remote: Bench, monkeypatch):
    result = remote.host("echo done", options=Options(check=True))
    assert (result.kind, result.status) == (Kind.NOT_RUN, Status.UNKNOWN)
    result = remote.host("echo done", options=Options(arguments=("--tags", "other")))
    assert (result.kind, result.status) == (Kind.NOT_RUN, Status.UNKNOWN)
    monkeypatch.setenv("ANSIBLE_RUN_TAGS", "other")  # does not reach Ansible at all
    assert remote.host("echo done").stdout == "done\n"


def test_host_key_that_changed(remote: Bench, make_hosts):
    hosts = make_hosts(1)
    bench = Bench(remote.engine, hosts, remote.directory)
    hosts[0].change_host_key()
    result = bench.host("echo done")
    assert (result.kind, result.status) == (Kind.AUTH, Status.FAILED)
    assert result.is_infrastructure_failure
    assert "ssh-keygen -R" in result.message
    hosts.known_hosts.write_text("")
    result = bench.host("echo done")
    assert result.kind is Kind.AUTH
    assert "known_hosts" in result.message


def test_killed_from_outside(remote: Bench):
    """As by the OOM killer: a signal that we did not send."""
    with remote.env(run="echo begun; sleep 100") as env:
        import threading

        def kill():
            shell = until(lambda: [p for p in remote.scripts() if "bash" in p.argv[0]], "the script's shell")
            os.kill(shell[0].pid, signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        (result,) = env.run_phase("run").hosts.values()
        thread.join()
    assert (result.kind, result.rc) == (Kind.SIGNAL, 137)
    assert result.stdout == "begun\n"
    remote.assert_clean()
