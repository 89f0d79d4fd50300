"""The phase task over real connections: any /bin/sh, any way to become another user, all bytes, all arguments.

Connections that break are in test_connections.py; here are only those that hang, and those that break at the start.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_env import HostResult, Kind, RemoteEnv, WarmEngine
from ansible_env.engine.environ import ansible_program
from tests.hosts import Host, Hosts, HostSpec

pytestmark = pytest.mark.ssh

MakeHosts = Callable[..., Hosts]
COUNT = 'for i in $(seq 40); do echo "line $i"; echo "error $i" >&2; sleep 0.1; done; echo end'
COUNTED = "".join(f"line {number}\n" for number in range(1, 41)) + "end\n"


@pytest.fixture(scope="module")
def engine() -> Iterator[WarmEngine]:
    made = WarmEngine()
    yield made
    made.close()


@pytest.fixture(scope="module")
def odd_hosts() -> Iterator[Hosts]:
    """Hosts without Python, and with each kind of /bin/sh; and one whose sudo wants a password."""
    specs = [
        HostSpec("dash", python=False),
        HostSpec("busybox", python=False, sh="busybox"),
        HostSpec("bash", python=False, sh="bash"),
        HostSpec("asks", sudo="password"),
    ]
    with Hosts(specs) as hosts:
        yield hosts


def run(engine: WarmEngine, script: str, inventory: Any, *, limit: str = "h1", **more: Any) -> HostResult:
    """Run a script on one host."""
    own = {name: more.pop(name) for name in ("logs", "listener", "cancel") if name in more}
    config = {"name": "task", "run": script, "timeouts": {"run": 60, "grace": 1}, **more}
    with RemoteEnv(config=config, inventory=inventory, limit=limit, engine=engine, **own) as env:
        (result,) = env.run_phase("run").hosts.values()
    return result


REPORTED: set[Any] = set()
"""Run directories that have failed a test: each fails the first test that sees it, and no other."""


def left(host: Host) -> list[Any]:
    """What is left of our scripts on a host."""
    found = [process.argv for mark in ("ANSIBLE_ENV_RUN_ID=", "/ansible_env.") for process in host.processes(mark)]
    return [*found, *(path for path in host.path("/tmp").glob("ansible_env.*") if path not in REPORTED)]


def assert_clean(*hosts: Host) -> None:
    end = time.monotonic() + 5
    while any(map(left, hosts)) and time.monotonic() < end:
        time.sleep(0.05)
    remaining = [item for host in hosts for item in left(host)]
    REPORTED.update(item for item in remaining if isinstance(item, Path))
    assert not remaining


# -- hosts of all kinds --------------------------------------------------------------------------------


def test_any_sh_and_no_python(engine: WarmEngine, odd_hosts: Hosts) -> None:
    script = """echo "hello $(printf 'é\\200')"; sleep 300 & echo err >&2; exit 3"""
    config = {"name": "task", "run": script, "timeouts": {"run": 60, "grace": 1}, "shell": "sh"}
    with RemoteEnv(config=config, inventory=odd_hosts.inventory(), engine=engine) as env:
        hosts = env.run_phase("run").hosts
    assert {name: (host.kind, host.rc) for name, host in hosts.items()} == dict.fromkeys(hosts, (Kind.EXIT, 3))
    assert {(host.stdout, host.stderr) for host in hosts.values()} == {("hello é\ufffd\n", "err\n")}
    assert_clean(*odd_hosts)


def test_deadlines_and_signals_with_any_sh(engine: WarmEngine, odd_hosts: Hosts) -> None:
    config: dict[str, Any] = {"name": "task", "timeouts": {"run": 1, "grace": 1}, "shell": "sh"}
    config["run"] = "trap '' TERM; echo begun; while :; do sleep 0.2; done"
    with RemoteEnv(config=config, inventory=odd_hosts.inventory(), engine=engine) as env:
        hosts = env.run_phase("run").hosts
    assert {(host.kind, host.stdout) for host in hosts.values()} == {(Kind.TIMEOUT, "begun\n")}
    config["run"] = "kill -KILL $$"
    with RemoteEnv(config=config, inventory=odd_hosts.inventory(), engine=engine) as env:
        hosts = env.run_phase("run").hosts
    assert {(host.kind, host.rc) for host in hosts.values()} == {(Kind.SIGNAL, 137)}
    assert_clean(*odd_hosts)


# -- becoming another user -----------------------------------------------------------------------------

WHO = 'id -un; echo "$V"; pwd; echo "$HOME"; [ -t 0 ] || echo no tty; printf "a\\r\\nb\\tc\\n"'


def who(engine: WarmEngine, inventory: Any, limit: str, **become: Any) -> list[str]:
    value = {"const_args": {"V": "it's {{ V }}"}, "shell_env_params": ["V"]}
    result = run(engine, WHO, inventory, limit=limit, become=True, **value, **become)
    assert result.kind is Kind.OK, result
    lines = result.stdout.split("\n")
    assert lines[1] == "it's {{ V }}"
    assert lines[4:] == ["no tty", "a\r", "b\tc", ""]
    return [lines[0], lines[2], lines[3]]


@pytest.mark.smoke
def test_become_root_with_sudo(engine: WarmEngine, ssh_hosts: Hosts) -> None:
    assert who(engine, ssh_hosts.inventory(user="bench"), "h1") == ["root", "/root", "/root"]
    assert_clean(ssh_hosts[0])


def test_become_root_with_a_password(engine: WarmEngine, odd_hosts: Hosts) -> None:
    inventory = odd_hosts.inventory(user="bench", become=True)
    assert who(engine, inventory, "asks") == ["root", "/root", "/root"]
    assert_clean(odd_hosts["asks"])


def test_become_another_user(engine: WarmEngine, ssh_hosts: Hosts) -> None:
    assert who(engine, ssh_hosts.inventory(), "h1", become_user="bench") == ["bench", "/home/bench", "/home/bench"]
    assert_clean(ssh_hosts[0])


def test_become_by_a_method_without_stdin(engine: WarmEngine, ssh_hosts: Hosts) -> None:
    """`su` wants a terminal: what is to be run goes as a file, and comes back through the terminal."""
    assert who(engine, ssh_hosts.inventory(), "h1", become_user="bench", become_method="su")[0] == "bench"
    script = "printf 'x\\r\\n\\t\\001\\004\\377y\\n'; exit 255"
    result = run(engine, script, ssh_hosts.inventory(), become=True, become_user="bench", become_method="su")
    assert (result.rc, result.stdout) == (255, "x\r\n\t\x01\x04\ufffdy\n")
    assert_clean(ssh_hosts[0])
    assert not list(ssh_hosts[0].path("/var/tmp").glob("ansible*"))


def test_become_over_the_local_connection(engine: WarmEngine, ssh_hosts: Hosts) -> None:
    if not ssh_hosts.namespaces:
        pytest.skip("needs root")
    assert who(engine, None, "localhost", become_user="nobody")[0] == "nobody"


def test_cancel_as_another_user(engine: WarmEngine, ssh_hosts: Hosts) -> None:
    cancel = threading.Event()
    threading.Timer(2, cancel.set).start()
    config = {"become": True, "become_user": "bench", "cancel": cancel}
    result = run(engine, "trap '' TERM; echo begun; sleep 300", ssh_hosts.inventory(), **config)
    assert (result.kind, result.stdout) == (Kind.CANCELED, "begun\n")
    assert "did not confirm" not in result.message
    assert_clean(ssh_hosts[0])


# -- output --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["ssh", "local"])
def test_output_byte_by_byte(engine: WarmEngine, ssh_hosts: Hosts, tmp_path: Path, where: str) -> None:
    inventory, limit = (ssh_hosts.inventory(), "h1") if where == "ssh" else (None, "localhost")
    every = "".join(f"\\{number:03o}" for number in range(256))
    script = f"printf '  \\n\\n {every}\\r\\n \\n\\n'; printf ' \\377\\376\\n\\n ' >&2"
    result = run(engine, script, inventory, limit=limit, logs=tmp_path)
    out, err = b"  \n\n " + bytes(range(256)) + b"\r\n \n\n", b" \xff\xfe\n\n "
    assert (result.stdout, result.stderr) == (out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))
    assert result.stdout_log is not None
    assert result.stderr_log is not None
    assert (Path(result.stdout_log).read_bytes(), Path(result.stderr_log).read_bytes()) == (out, err)


def test_ten_megabytes(engine: WarmEngine, ssh_hosts: Hosts, tmp_path: Path) -> None:
    """More than one answer carries. The log is complete, the result has beginning and end."""
    script = "seq 1300000; echo score=5; seq 100000 >&2"
    pattern = r"^(score)=(\d+)$"
    result = run(engine, script, ssh_hosts.inventory(), logs=tmp_path, results_stdout_pattern=pattern)
    expected = b"".join(b"%d\n" % number for number in range(1, 1_300_001)) + b"score=5\n"
    assert (result.kind, result.truncated, result.metrics) == (Kind.OK, True, {"score": 5})
    assert result.stdout_log is not None
    assert hashlib.sha256(Path(result.stdout_log).read_bytes()).digest() == hashlib.sha256(expected).digest()
    assert result.stdout.startswith("1\n2\n")
    assert result.stdout.endswith("1300000\nscore=5\n")
    assert_clean(ssh_hosts[0])


class Lines:
    """Remembers when each line came."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, str, str]] = []

    def on_event(self, event: Any) -> None:
        """Take none."""

    def on_output(self, host: str, stream: str, text: str) -> None:
        """Take output."""
        self.seen += [(time.monotonic(), host, line) for line in text.splitlines() if stream == "stdout"]


# -- connections that break ----------------------------------------------------------------------------


def with_faults(engine: WarmEngine, host: Host, *faults: tuple[float, Callable[[], Any]]) -> HostResult:
    """Run a script of some seconds, and do things to its host; times are seconds after its first line."""
    begun = threading.Event()

    class Watch(Lines):
        def on_output(self, host: str, stream: str, text: str) -> None:
            begun.set()

    def break_things() -> None:
        begun.wait(30)
        start = time.monotonic()
        for when, fault in faults:
            time.sleep(max(0, start + when - time.monotonic()))
            fault()

    thread = threading.Thread(target=break_things)
    thread.start()
    try:
        return run(engine, COUNT, host.fleet.inventory(), limit=host.name, listener=Watch())
    finally:
        thread.join()


def assert_complete(result: HostResult, host: Host) -> None:
    assert (result.kind, result.rc, result.stdout) == (Kind.OK, 0, COUNTED)
    assert result.stderr == "".join(f"error {number}\n" for number in range(1, 41))
    assert_clean(host)


def test_cut_when_it_has_hardly_begun(engine: WarmEngine, ssh_host: Host) -> None:
    """At any time within the first second after the login; the script runs once, or not at all."""
    for delay in (0.0, 0.05, 0.2):
        done = threading.Event()
        before = ssh_host.sshd_log.count("Accepted")

        def cut(delay: float = delay, before: int = before, done: threading.Event = done) -> None:
            while ssh_host.sshd_log.count("Accepted") == before and not done.wait(0.005):
                pass
            time.sleep(delay)
            ssh_host.cut()

        ssh_host.cut()  # the connection of the test before would be used again
        thread = threading.Thread(target=cut)
        thread.start()
        try:
            result = run(engine, "echo run >>/tmp/runs; sleep 1; cat /tmp/runs", ssh_host.fleet.inventory())
        finally:
            done.set()
            thread.join()
            ssh_host.exec("rm -f /tmp/runs")
        assert result.kind in (Kind.OK, Kind.UNREACHABLE), result
        assert result.stdout == ("run\n" if result.kind is Kind.OK else "")
        assert_clean(ssh_host)


def test_hanging_for_some_seconds(engine: WarmEngine, ssh_host: Host) -> None:
    result = with_faults(engine, ssh_host, (0.5, ssh_host.freeze), (5, ssh_host.thaw))
    assert_complete(result, ssh_host)


# -- by hand -------------------------------------------------------------------------------------------


MEASURED = {"results_stdout_pattern": r"(\w+)=(\S+)"}


def test_arguments_of_the_task(ssh_hosts: Hosts, tmp_path: Path) -> None:
    """In a playbook of one's own, without our engine: every argument that an environment file has no word for."""
    task = {
        "script": "pwd; echo $0; echo $V",
        "env": {"V": "a b"},
        "chdir": "/usr",
        "run_dir": "/var/tmp",
        "shell": "sh",
    }
    tasks = [
        {"ansible_env.bench.phase": task, "register": "one"},
        {"ansible_env.bench.phase": {"script": "sleep 290 & echo $!", "keep_running": True}, "register": "two"},
        {"ansible_env.bench.phase": {"script": "false; echo on", "fail_fast": True}, "register": "three"},
        {"ansible_env.bench.phase": {"script": "echo", "env": {"V": True}}, "register": "four"},
        {"ansible_env.bench.phase": {"script": "echo", "env": {"a b": "1"}}, "register": "five"},
        {"ansible_env.bench.phase": {"script": "echo 1", "timeout": 0}, "register": "six"},
        {"ansible_env.bench.phase": {}, "register": "seven"},
        {"ansible_env.bench.phase": {"script": "touch no", "valid": {"x": "good"}}, "register": "eight"},
        {"ansible_env.bench.phase": {"script": "echo x=-1", **MEASURED, "valid": {"x": ["> 0"]}}, "register": "nine"},
        {"ansible_env.bench.phase": {"require": {"commands": ["sh"]}}, "register": "ten"},
        {"ansible_env.bench.phase": {"require": {"cpus": 0}, "script": "touch no"}, "register": "eleven"},
        {
            "ansible.builtin.copy": {
                "content": "{{ [one, two, three, four, five, six, seven, eight, nine, ten, eleven] }}",
                "dest": str(tmp_path / "out"),
            }
        },
    ]
    for each in tasks:
        each["ignore_errors"] = True
    tasks[-1]["delegate_to"] = "localhost"
    tasks[-1]["vars"] = {"ansible_connection": "local"}
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "h1", "gather_facts": False, "tasks": tasks}]))
    command = [ansible_program("ansible-playbook"), "-i", str(ssh_hosts.inventory()), str(tmp_path / "play.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert (tmp_path / "out").exists(), done.stdout + done.stderr
    one, two, three, four, five, six, seven, eight, nine, ten, eleven = json.loads((tmp_path / "out").read_text())
    lines = one["stdout"].splitlines()
    assert (lines[0], lines[2]) == ("/usr", "a b")
    assert lines[1].startswith("/var/tmp/ansible_env.")
    assert one["kind"] == "ok"
    assert one["changed"] is True
    assert (eight["kind"], eight["failed"]) == ("rejected", True)
    assert "'good' does not begin with one of" in eight["msg"]
    assert (nine["kind"], nine["failed"], nine["rc"], nine["metrics"]) == ("metrics_invalid", True, 0, {"x": -1})
    assert (ten["kind"], eleven["kind"], eleven["failed"]) == ("ok", "unfit", True)
    assert "and must be 0" in eleven["msg"]
    assert [process.argv for process in ssh_hosts["h1"].processes(f"ANSIBLE_ENV_RUN_ID={two['run_id']}")] == [
        ("sleep", "290")
    ]
    ssh_hosts["h1"].exec(f"kill {two['stdout']}")
    assert (three["kind"], three["rc"], three["stdout"]) == ("exit", 1, "")
    for refused, word in ((four, "quote it"), (five, "environment variable"), (six, "timeout")):
        assert (refused["kind"], refused["failed"]) == ("rejected", True)
        assert word in refused["msg"]
    assert (seven["kind"], seven["rc"]) == ("ok", 0)
    assert_clean(ssh_hosts["h1"])
    assert not list(ssh_hosts["h1"].path("/var/tmp").glob("ansible_env.*"))
