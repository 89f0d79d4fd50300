"""Cases 46-56 but 50: the caller's environment, directories and habits, and what a process holds in the end."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_env import AnsibleEnvError, ColdEngine, Kind, SessionEngine, Status, WarmEngine
from tests.engines import ALL, WARM_AND_COLD
from tests.faults.bench import Bench, until
from tests.footprint import Footprint

pytestmark = pytest.mark.ssh
each = pytest.mark.parametrize("engine", ALL, indirect=True)
KINDS = {"warm": WarmEngine, "cold": ColdEngine, "session": SessionEngine}
PATTERN = r"^(\w+)=(\S+)$"
STRAY = {
    "JOB_ID": "abc",
    "ANSIBLE_STRATEGY": "debug",
    "ANSIBLE_STDOUT_CALLBACK": "no_such_callback",
    "ANSIBLE_CALLBACKS_ENABLED": "no_such_callback",
    "ANSIBLE_ENABLE_TASK_DEBUGGER": "1",
    "AD_HOC_COMMAND_ID": "7",
    "ANSIBLE_RUN_TAGS": "nothing",
    "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0",
    "ANSIBLE_FORKS": "many",
    "ANSIBLE_DEBUG": "1",
    "MAX_EVENT_RES": "1",
    "RUNNER_OMIT_EVENTS": "1",
}


@each
def test_46_stray_variables_of_the_caller(remote: Bench, monkeypatch):
    for name, value in STRAY.items():
        monkeypatch.setenv(name, value)
    result = remote.host("echo done")
    assert result.stdout == "done\n", result.message


@pytest.mark.parametrize("kind", WARM_AND_COLD)
def test_47_poor_environment(ssh_hosts, tmp_path, monkeypatch, kind):
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    engine = KINDS[kind]()
    try:
        assert Bench(engine, ssh_hosts, tmp_path).host("echo héllo").stdout == "héllo\n"
    finally:
        engine.close()


@pytest.mark.parametrize("kind", ALL)
def test_48_sixteen_at_once(ssh_hosts, tmp_path, kind):
    engine = KINDS[kind]()
    bench = Bench(engine, ssh_hosts, tmp_path)
    try:
        assert bench.host("true").kind is Kind.OK  # what is made once belongs to the beginning
        count = 16 if kind == "warm" else 6
        bench.phase("true", limit=None)  # one connection to each host
        before = Footprint()

        def one(number):
            script = "sleep 0.2; echo score=$number"
            args = {"number": number}
            limit = f"h{number % 3 + 1}"
            return bench.host(script, const_args=args, results_stdout_pattern=PATTERN, limit=limit)

        with ThreadPoolExecutor(count) as pool:
            results = list(pool.map(one, range(count)))
        assert [result.metrics for result in results] == [{"score": number} for number in range(count)]
        after = Footprint()
        assert (after.files, after.threads, after.children) == (before.files, before.threads, before.children)
        bench.assert_clean()
    finally:
        engine.close()


def test_49_second_run_sees_only_its_own(anywhere: Bench):
    first = anywhere.host('echo "${one-unset} ${two-unset}"', const_args={"one": "1"})
    second = anywhere.host('echo "${one-unset} ${two-unset}"', const_args={"two": "2"})
    assert (first.stdout, second.stdout) == ("1 unset\n", "unset 2\n")


@pytest.mark.parametrize("kind", WARM_AND_COLD)
def test_51_umask_of_nothing(ssh_hosts, tmp_path, kind):
    """Nobody else can enter the directory, whatever Ansible makes in it."""
    before = os.umask(0)
    engine = KINDS[kind]()
    try:
        bench = Bench(engine, ssh_hosts, tmp_path)
        with bench.env(run='stat -c %a "$(dirname "$0")" "$0"; sleep 1', logs=tmp_path / "logs") as env:
            modes = {}

            def look():
                bench.until_begun()
                for path in [engine._base, *engine._base.rglob("*")]:
                    if path.exists() and not path.is_symlink() and not path.is_socket():
                        modes[str(path.relative_to(engine._base))] = path.stat().st_mode & 0o777

            thread = threading.Thread(target=look)
            thread.start()
            (result,) = env.run_phase("run").hosts.values()
            thread.join()
        assert result.stdout.split() == ["700", "600"]
        assert modes["."] == 0o700
        private = [name for name in modes if name.startswith("run-") and "/" not in name]
        assert [modes[name] for name in private] == [0o700]
        playbook = f"{private[0]}/project/ansible_env_phase.yml"
        assert modes[playbook] == 0o600
        assert (tmp_path / "logs" / "run").stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)
        engine.close()


@pytest.mark.parametrize("kind", WARM_AND_COLD)
@pytest.mark.parametrize("name", ["a é%h{{x}} b", "l" * 150], ids=["odd", "long"])
def test_52_odd_directories(ssh_hosts, tmp_path, monkeypatch, kind, name):
    odd = Path("/tmp", f"{name}{os.getpid()}")
    odd.mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    monkeypatch.setenv("TMPDIR", str(odd))
    monkeypatch.chdir(odd)
    engine = KINDS[kind]()
    bench = Bench(engine, ssh_hosts, tmp_path)
    try:
        result = bench.host("echo score=1", results_stdout_pattern=PATTERN, logs=odd / "logs {{ 7 * 6 }} %n")
        assert (result.kind, result.metrics) == (Kind.OK, {"score": 1}), result.message
        assert Path(result.stdout_log).read_text() == "score=1\n"
    finally:
        engine.close()
        shutil.rmtree(odd)
    bench.assert_clean()


def test_53_target_without_space(remote: Bench, make_hosts):
    hosts = make_hosts(1)
    bench = Bench(remote.engine, hosts, remote.directory)
    hosts[0].exec("mount -t tmpfs -o size=128k tmpfs /tmp")
    result = bench.host("head -c 1000000 /dev/zero; echo score=1", results_stdout_pattern=PATTERN)
    assert (result.kind, result.status, result.is_infrastructure_failure) == (Kind.NO_SPACE, Status.FAILED, True)
    assert "full" in result.message
    hosts[0].exec("head -c 1000000 /dev/zero >/tmp/fill || true")
    result = bench.host("echo score=1")
    assert (result.kind, result.status) == (Kind.NO_SPACE, Status.FAILED)
    assert "/tmp" in result.message
    hosts[0].exec("rm /tmp/fill; mount -o remount,ro /tmp")
    assert bench.host("echo score=1").kind is Kind.INTERPRETER
    bench.assert_clean()


def test_53_controller_without_space(anywhere: Bench, tmp_path):
    """The log cannot be written: the output stays in memory, and the trial goes on."""
    logs = tmp_path / "logs"
    (logs / "run").mkdir(parents=True)
    (logs / "run" / ("h1.stdout" if anywhere.hosts else "localhost.stdout")).symlink_to("/dev/full")
    result = anywhere.host("echo score=1; sleep 2; echo score=2", logs=logs)
    assert (result.kind, result.stdout, result.stdout_log) == (Kind.OK, "score=1\nscore=2\n", None)
    anywhere.assert_clean()


@pytest.mark.parametrize("kind", WARM_AND_COLD)
def test_53_no_directory_for_temporary_files(ssh_hosts, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    monkeypatch.setattr("ansible_env.engine.leftovers.short_temp", lambda: str(tmp_path / "none"))
    engine = KINDS[kind]()
    assert Bench(engine, ssh_hosts, tmp_path).host("true").kind is Kind.OK
    engine.close()
    monkeypatch.setattr("ansible_env.engine.leftovers.SPARE", ())
    engine = KINDS[kind]()
    with pytest.raises(AnsibleEnvError, match=r"no directory for temporary files: .*none"):
        Bench(engine, ssh_hosts, tmp_path).host("true")
    engine.close()


class Broken:
    """A listener that fails at its first event, or at the first output."""

    def __init__(self, at):
        self._at = at

    def on_event(self, event):
        if self._at == "event":
            raise ValueError("broken listener")

    def on_output(self, host, stream, text):
        if self._at == "output":
            raise ValueError("broken listener")


@pytest.mark.parametrize(
    ("anywhere", "engine", "at"),
    [
        ("ssh", "warm", "event"),
        pytest.param("ssh", "cold", "output", marks=pytest.mark.long),
        ("local", "warm", "output"),
        pytest.param("local", "cold", "event", marks=pytest.mark.long),
        ("local", "session", "event"),
    ],
    indirect=["anywhere", "engine"],
)
def test_54_listener_that_raises(anywhere: Bench, at):
    env = anywhere.env(run="echo begun; sleep 300", listener=Broken(at))
    with env, pytest.raises(ValueError, match="broken listener"):
        env.run_phase("run")
    anywhere.assert_clean(timeout=10)
    assert anywhere.host("echo again").stdout == "again\n"


@each
def test_55_ansible_inside_a_script(local: Bench, tmp_path):
    program = Path(sys.executable).parent / "ansible"
    script = (
        f"{program} localhost -i localhost, -c local -m ansible.builtin.command -a 'echo inner'; env | grep -c ^ANSIBLE"
    )
    result = local.host(script)
    lines = result.stdout.splitlines()
    assert lines[0] == "localhost | CHANGED | rc=0 >>"
    assert lines[1] == "inner"
    assert lines[-1] == "1"  # ANSIBLE_ENV_RUN_ID, by which its processes are known
    assert "\x1b" not in result.stdout
    assert result.metrics == {}
    until(lambda: not local.left(), "the end")
