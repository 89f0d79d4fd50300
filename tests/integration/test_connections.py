"""The ways to a host: connections that break, output as it comes, every kind of shell, becoming others, and no ssh."""

from __future__ import annotations

import base64
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_env import Engine, HostResult, Kind, PhaseResult, RemoteEnv, Status
from tests.hosts import Host, Hosts, HostSpec, wait_for

pytestmark = pytest.mark.ssh
PAIRS = r"^(\w+)=(\S+)$"
NAMES = ("plain", "nopython", "busy", "bashed", "asks")


@pytest.fixture(scope="module")
def fleet(make_module_hosts: Callable[..., Hosts]) -> Hosts:
    """One host of each kind; all but `plain` need root here."""
    odd = [HostSpec("nopython", python=False), HostSpec("busy", sh="busybox"), HostSpec("bashed", sh="bash")]
    odd += [HostSpec("asks", sudo="password"), HostSpec("nosudo", sudo="none")]
    return make_module_hosts([HostSpec("plain"), *odd])


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.stdout: defaultdict[str, str] = defaultdict(str)

    def on_event(self, event: Mapping[str, Any]) -> None:
        pass

    def on_output(self, host: str, stream: str, text: str) -> None:
        if stream == "stdout":
            self.stdout[host] += text

    def wait(self, hosts: tuple[str, ...], text: str) -> None:
        wait_for(lambda: all(text in self.stdout[host] for host in hosts), f"{text!r} of {hosts}", timeout=40)


def phase(engine: Engine, run: Any, inventory: Any = None, limit: str | None = None, **more: Any) -> PhaseResult:
    """`listener` and `logs` are for RemoteEnv, everything else for its configuration."""
    own = {name: more.pop(name) for name in ("listener", "logs") if name in more}
    config = {"name": "connections", "run": run, "timeouts": {"run": 60, "grace": 1}, "results_stdout_pattern": PAIRS}
    with RemoteEnv(config=config | more, engine=engine, inventory=inventory, limit=limit, **own) as env:
        return env.run_phase("run")


@contextmanager
def running(*arguments: Any) -> Iterator[tuple[Future[PhaseResult], Heard]]:
    """A phase under way in another thread."""
    heard = Heard()
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(phase, *arguments, listener=heard), heard


def everywhere(engine: Engine, fleet: Hosts, run: Any, **config: Any) -> dict[str, HostResult]:
    """Run the same on each kind of host, and on this machine."""
    here = {"here": {"hosts": {"here": {"ansible_connection": "local"}}}}
    hosts = phase(engine, run, fleet.inventory_dict() | here, "!nosudo", **config).hosts
    assert set(hosts) == {*NAMES, "here"}
    return dict(hosts)


# -- connections that break ----------------------------------------------------------------------------


@pytest.fixture
def marks() -> Iterator[str]:
    """The start of a path for files on the hosts and on this machine."""
    start = f"/tmp/connections-{uuid.uuid4().hex}"
    yield start
    for file in Path("/tmp").glob(f"{Path(start).name}*"):
        file.unlink()


STEPS = ("one", "two", "three")


def gates(marks: str, *names: str) -> str:
    """A script that says that it was begun, and then goes through gates that we open."""
    waits = [f'while [ ! -e {marks}-{name} ]; do sleep 0.1; done; echo "past {name}"' for name in names]
    return "\n".join([f"echo x >>{marks}-begun", 'echo "begun"', *waits, 'echo "score=7"', f"echo x >>{marks}-end"])


def open_gate(path: str, hosts: list[Host]) -> None:
    for file in [host.path(path) for host in hosts] or [Path(path)]:
        file.touch()


def check_whole(result: PhaseResult, host: Host, marks: str, *gates: str) -> HostResult:
    assert result.status is Status.SUCCEEDED
    one = result.hosts[host.name]
    assert one.kind is Kind.OK, one
    assert one.stdout == "".join(["begun\n", *(f"past {gate}\n" for gate in gates), "score=7\n"])
    assert one.metrics == {"score": 7}
    assert host.path(f"{marks}-begun").read_text() == "x\n", "it ran more than once"
    # What a connection had begun to remove when it broke may have a moment to go.
    wait_for(lambda: not host.processes("/ansible_env."), "the supervisor to end")
    wait_for(lambda: not list(host.path("/tmp").glob("ansible_env.*")), "the run directory to be removed")
    return one


def test_cut_three_times_on_every_kind_of_host(engine: Engine, fleet: Hosts, marks: str) -> None:
    """In the middle of the run, as root and by sudo."""
    hosts = [fleet[name] for name in NAMES]
    inventory = fleet.inventory(user="bench", become=True)
    with running(engine, gates(marks, *STEPS), inventory, "!nosudo") as (result, heard):
        heard.wait(NAMES, "begun\n")
        for step in STEPS:
            assert all(host.cut() for host in hosts)
            open_gate(f"{marks}-{step}", hosts)
            heard.wait(NAMES, f"past {step}\n")
    for host in hosts:
        assert check_whole(result.result(), host, marks, *STEPS).reconnects >= 3


def test_cut_in_the_first_second(engine: Engine, ssh_hosts: Hosts, marks: str) -> None:
    """As soon as the script is there, and once more at its end, before anybody was told of it."""
    host = ssh_hosts["h2"]
    with running(engine, gates(marks, "one"), ssh_hosts.inventory(), "h2") as (result, _):
        wait_for(host.path(f"{marks}-begun").exists, "the script to begin", timeout=40)
        host.cut()
        host.path(f"{marks}-one").touch()
        wait_for(host.path(f"{marks}-end").exists, "the script to end")
        host.cut()
    assert check_whole(result.result(), host, marks, "one").reconnects >= 1


def test_refused_for_a_while(engine: Engine, ssh_hosts: Hosts, marks: str) -> None:
    host = ssh_hosts["h3"]
    with running(engine, gates(marks, "one"), ssh_hosts.inventory(), "h3") as (result, heard):
        heard.wait(("h3",), "begun\n")
        host.refuse()
        try:
            host.cut()
            host.path(f"{marks}-one").touch()
            time.sleep(3)
            assert not result.done()
        finally:
            host.accept()
    assert check_whole(result.result(), host, marks, "one").reconnects >= 2


# -- output as it comes --------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("h1", "h2"), ("localhost",)], ids=["ssh", "local"])
def test_lines_are_heard_as_printed(engine: Engine, ssh_hosts: Hosts, marks: str, names: tuple[str, ...]) -> None:
    """Each line waits until the one before it was heard, of two hosts at once."""
    hosts = [ssh_hosts[name] for name in names if name != "localhost"]
    where = (ssh_hosts.inventory(), ",".join(names)) if hosts else ()
    with running(engine, gates(marks, *STEPS), *where) as (result, heard):
        for line, step in zip(("begun\n", "past one\n", "past two\n"), STEPS, strict=True):
            heard.wait(names, line)
            assert not result.done()
            open_gate(f"{marks}-{step}", hosts)
    assert result.result().status is Status.SUCCEEDED
    for name in names:
        said = "begun\npast one\npast two\npast three\nscore=7\n"
        assert heard.stdout[name] == result.result().hosts[name].stdout == said


# -- the same everywhere -------------------------------------------------------------------------------

ODD = f'  \n\t lead {"".join(map(chr, range(0x80, 0x110)))} it\'s "$(id)" \\ `id`\u2028😀 trail \n\n '
ODD_ENV: dict[str, Any] = {"const_args": {"ODD": ODD}, "shell_env_params": ["ODD"]}
LINES = ["echo first", "false", "echo last"]
COLOURED = r"printf 'score=4\r\n\033[32mp99=1.5\033[0m\r\n 10%%\r 99%%\rdone=yes\n\r\nscore=5\r\n'"

ENDINGS: dict[str, tuple[Any, dict[str, Any], int, Kind]] = {
    **{
        f"exit {code}": (f"exit {code}", {}, code, Kind.EXIT if code else Kind.OK)
        for code in (0, 1, 126, 127, 137, 255)
    },
    "SIGKILL": ("kill -9 $$", {}, 137, Kind.SIGNAL),
    "SIGTERM": ("kill -TERM $$", {}, 143, Kind.SIGNAL),
    "goes on": (LINES, {}, 0, Kind.OK),
    "fail_fast": (LINES, {"fail_fast": True}, 1, Kind.EXIT),
    "fail_fast in sh": (LINES, {"fail_fast": True, "shell": "sh"}, 1, Kind.EXIT),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_endings(engine: Engine, fleet: Hosts, name: str) -> None:
    script, config, rc, kind = ENDINGS[name]
    for result in everywhere(engine, fleet, script, **config).values():
        assert (result.kind, result.rc) == (kind, rc), result
        if script is LINES:
            assert result.stdout == ("first\nlast\n" if rc == 0 else "first\n")


def test_output_is_exact(engine: Engine, fleet: Hosts, tmp_path: Path) -> None:
    """White space at both ends, every byte there is; no UTF-8 becomes U+FFFD, but not in the log."""
    data = b" \n\t " + bytes(range(256)) + "ü\u2028\n\n \t".encode()
    script = f"printf %s {base64.b64encode(data).decode()} | base64 -d | tee /dev/stderr"
    for result in everywhere(engine, fleet, script, logs=tmp_path).values():
        assert result.stdout == result.stderr == data.decode("utf-8", "replace")
        assert result.stdout_log and result.stderr_log
        assert Path(result.stdout_log).read_bytes() == Path(result.stderr_log).read_bytes() == data


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_values_and_metrics_are_the_same(engine: Engine, fleet: Hosts, shell: str) -> None:
    """One script with all that a connection or a shell could change."""
    script = f'printf %s "$ODD" | base64 -w0; echo\n{COLOURED}\n[ -t 0 ] || echo "words=$(wc -c)"; tty\n'
    script += "(: </dev/tty) 2>/dev/null || echo none; echo ${BASH_VERSION:+bash} >&2"
    found = everywhere(engine, fleet, script, **ODD_ENV, shell=shell)
    for name, result in found.items():
        assert result.kind is Kind.OK, result
        assert base64.b64decode(result.stdout.splitlines()[0]).decode() == ODD
        assert result.metrics == found["here"].metrics == {"score": 5, "p99": 1.5, "done": "yes", "words": 0}
        assert result.stdout == found["here"].stdout
        assert result.stdout.endswith("words=0\nnot a tty\nnone\n")
        assert result.stderr == ("bash\n" if shell == "bash" or name == "bashed" else "\n")


@pytest.mark.root
def test_surroundings_are_those_of_a_login(engine: Engine, fleet: Hosts) -> None:
    """Home, umask, PATH; and what a login script says is passed over."""
    hosts = [fleet[name] for name in ("plain", "busy", "bashed")]
    script = 'pwd; umask; echo "$PATH"; echo "$USER"; id -un; ulimit -n; test -O . && echo mine'
    noise = "echo noise; echo noise >&2; umask 027; export PATH=$PATH:/odd\n"
    assert all(host.path("/root/.bashrc").write_text(noise) for host in hosts)
    try:
        results = phase(engine, script, fleet.inventory(), "plain,busy,bashed").hosts
        for host in hosts:
            login = host.ssh(script).stdout.removeprefix("noise\n")
            assert results[host.name].stdout == login
            assert ("0027" in login and "/odd" in login) == (host.name != "busy")
    finally:
        for host in hosts:
            host.path("/root/.bashrc").unlink()


def test_what_setup_leaves_runs_on_and_what_run_leaves_is_ended(engine: Engine, fleet: Hosts, marks: str) -> None:
    config = {name: f"BY={marks}-{name} sleep 300 & echo {name}" for name in ("setup", "run", "teardown", "name")}
    hosts = [fleet[name] for name in NAMES]
    with RemoteEnv(config=config, engine=engine, inventory=fleet.inventory(), limit="!nosudo") as env:
        try:
            assert env.setup()
            assert env.run()[0] is Status.SUCCEEDED
            env.teardown()
            for host in hosts:
                assert {process.environ["BY"] for process in host.processes(f"BY={marks}")} == {f"{marks}-setup"}
        finally:
            for host in hosts:
                host.exec("kill " + " ".join(str(p.host_pid) for p in host.processes(f"BY={marks}")), check=False)


# -- becoming somebody else ----------------------------------------------------------------------------

WHO = 'id -un; cd; pwd; printf %s "$ODD" | base64 -w0; cat; echo end'


def check_who(results: Mapping[str, HostResult], user: str, home: str) -> None:
    assert set(results) == set(NAMES)
    odd = base64.b64encode(ODD.encode()).decode()
    for result in results.values():
        assert (result.kind, result.stdout) == (Kind.OK, f"{user}\n{home}\n{odd}end\n"), result


@pytest.mark.root
def test_sudo(engine: Engine, fleet: Hosts) -> None:
    """Without a password, with one, with a wrong one, and where it is not allowed."""
    inventory = fleet.inventory_dict(user="bench", become=True)
    members = inventory["fleet"]["hosts"]
    members["wrong"] = members["asks"] | {"ansible_become_password": "wrong"}
    hosts = dict(phase(engine, WHO, inventory, **ODD_ENV).hosts)
    for refused in (hosts.pop("nosudo"), hosts.pop("wrong")):
        assert (refused.kind, refused.rc, refused.stdout) == (Kind.BECOME, None, "")
    check_who(hosts, "root", "/root")


@pytest.mark.root
@pytest.mark.parametrize(("user", "method"), [("bench", "sudo"), ("root", "su"), ("root", "sudo")])
def test_unprivileged_become_user(engine: Engine, fleet: Hosts, user: str, method: str) -> None:
    """`su` has no stdin for us: what is sent is a file."""
    inventory = fleet.inventory(user=user, become=True, become_user="worker")
    result = phase(
        engine, WHO, inventory, "!nosudo", become=True, become_user="worker", become_method=method, **ODD_ENV
    )
    check_who(result.hosts, "worker", "/home/worker")
    for name in NAMES:
        assert not list(fleet[name].path("/tmp").glob("ansible[_-]*"))
