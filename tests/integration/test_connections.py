"""The ways to a host: connections that break, output as it comes, every kind of shell, becoming others, and no ssh."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_env import Engine, HostResult, Kind, PhaseResult, RemoteEnv, Status, WarmEngine
from tests.hosts import Host, Hosts, HostSpec, wait_for

pytestmark = pytest.mark.ssh

MakeHosts = Callable[..., Hosts]
NAMES = ("plain", "nopython", "busy", "bashed", "asks")


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = WarmEngine()
    yield made
    made.close()


@pytest.fixture(scope="module")
def fleet(make_module_hosts: MakeHosts) -> Hosts:
    """One host of each kind; all but `plain` need root here."""
    return make_module_hosts(
        [
            HostSpec("plain"),
            HostSpec("nopython", python=False),
            HostSpec("busy", sh="busybox"),
            HostSpec("bashed", sh="bash"),
            HostSpec("asks", sudo="password"),
            HostSpec("nosudo", sudo="none"),
        ]
    )


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.stdout: dict[str, str] = {}

    def on_event(self, event: Mapping[str, Any]) -> None:
        pass

    def on_output(self, host: str, stream: str, text: str) -> None:
        if stream == "stdout":
            self.stdout[host] = self.stdout.get(host, "") + text

    def everybody_said(self, hosts: tuple[str, ...], text: str) -> bool:
        return all(text in self.stdout.get(host, "") for host in hosts)

    def wait(self, hosts: tuple[str, ...], text: str) -> None:
        wait_for(lambda: self.everybody_said(hosts, text), f"{text!r} of {hosts}: {self.stdout}", timeout=40)


def phase(
    engine: Engine, run: Any, inventory: Any = None, limit: str | None = None, *, own: Any = None, **config: Any
) -> PhaseResult:
    config = {"name": "connections", "run": run, "timeouts": {"run": 60, "grace": 1}, **config}
    with RemoteEnv(config=config, engine=engine, inventory=inventory, limit=limit, **(own or {})) as env:
        return env.run_phase("run")


@contextmanager
def running(*arguments: Any, **more: Any) -> Iterator[tuple[Future[PhaseResult], Heard]]:
    """A phase under way in another thread."""
    heard = Heard()
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(phase, *arguments, own={"listener": heard}, **more), heard


def everywhere(engine: Engine, fleet: Hosts, run: Any, **config: Any) -> dict[str, HostResult]:
    """Run the same on each kind of host, and on this machine."""
    there = phase(engine, run, fleet.inventory(), ",".join(NAMES), **config).hosts
    here = phase(engine, run, **config).hosts
    assert set(there) == set(NAMES)
    return {**there, **here}


# -- connections that break ----------------------------------------------------------------------------


@pytest.fixture
def marks() -> Iterator[str]:
    """The start of a path for files on the hosts and on this machine."""
    start = f"/tmp/connections-{uuid.uuid4().hex}"
    yield start
    for file in Path("/tmp").glob(f"{Path(start).name}*"):
        file.unlink()


def gates(marks: str, *names: str) -> str:
    """A script that says that it was begun, and then goes through gates that we open."""
    waits = [f'while [ ! -e {marks}-{name} ]; do sleep 0.1; done; echo "past {name}"' for name in names]
    return "\n".join([f"echo x >>{marks}-begun", 'echo "begun"', *waits, 'echo "score=7"'])


def said(*names: str) -> str:
    return "".join(["begun\n", *(f"past {name}\n" for name in names), "score=7\n"])


def open_gate(path: str, hosts: Iterator[Host] | list[Host] | None = None) -> None:
    for host in hosts or []:
        host.path(path).touch()
    if hosts is None:
        Path(path).touch()


PATTERN = r"^(score)=(\d+)$"


def check_whole(result: PhaseResult, host: Host, marks: str, *gates: str) -> HostResult:
    one = result.hosts[host.name]
    assert one.kind is Kind.OK, (one.message, one.stderr)
    assert one.stdout == said(*gates)
    assert one.metrics == {"score": 7}
    assert host.path(f"{marks}-begun").read_text() == "x\n", "it ran more than once"
    assert not host.processes("/ansible_env.")
    assert not list(host.path("/tmp").glob("ansible_env.*"))
    return one


def test_cut_three_times_on_every_kind_of_host(engine: Engine, fleet: Hosts, marks: str) -> None:
    """In the middle of the run, as root and by sudo."""
    hosts = [fleet[name] for name in NAMES]
    inventory = fleet.inventory(user="bench", become=True)
    steps = ("one", "two", "three")
    script = gates(marks, *steps)
    limit = ",".join(NAMES)
    with running(engine, script, inventory, limit, results_stdout_pattern=PATTERN) as (result, heard):
        heard.wait(NAMES, "begun\n")
        for step in steps:
            for host in hosts:
                assert host.cut() > 0
            open_gate(f"{marks}-{step}", hosts)
            heard.wait(NAMES, f"past {step}\n")
    assert result.result().status is Status.SUCCEEDED
    for host in hosts:
        assert check_whole(result.result(), host, marks, *steps).reconnects >= 3


def test_cut_in_the_first_second(engine: Engine, ssh_hosts: Hosts, marks: str) -> None:
    """As soon as the script is there, and once more at its end, before anybody was told of it."""
    host = ssh_hosts["h2"]
    with running(engine, gates(marks, "one"), ssh_hosts.inventory(), "h2", results_stdout_pattern=PATTERN) as (result, _):
        wait_for(host.path(f"{marks}-begun").exists, "the script to begin", timeout=40)
        host.cut()
        host.path(f"{marks}-one").touch()
        while not result.done():
            if not host.processes(f"{marks}-"):
                host.cut()
                break
            time.sleep(0.01)
    assert check_whole(result.result(), host, marks, "one").reconnects >= 1


def test_refused_for_a_while(engine: Engine, ssh_hosts: Hosts, marks: str) -> None:
    host = ssh_hosts["h3"]
    script = gates(marks, "one")
    with running(engine, script, ssh_hosts.inventory(), "h3", results_stdout_pattern=PATTERN) as (result, heard):
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


@pytest.mark.parametrize("place", ["ssh", "local"])
def test_lines_are_heard_as_they_are_printed(engine: Engine, ssh_hosts: Hosts, marks: str, place: str) -> None:
    """Each line waits until the one before it was heard, of two hosts at once."""
    names = ("h1", "h2") if place == "ssh" else ("localhost",)
    hosts = [ssh_hosts[name] for name in names] if place == "ssh" else None
    inventory = ssh_hosts.inventory() if place == "ssh" else None
    steps = ("one", "two", "three")
    limit = ",".join(names) if place == "ssh" else None
    with running(engine, gates(marks, *steps), inventory, limit) as (result, heard):
        line = "begun\n"
        for step in steps:
            heard.wait(names, line)
            assert not result.done()
            open_gate(f"{marks}-{step}", hosts)
            line = f"past {step}\n"
    assert result.result().status is Status.SUCCEEDED
    for name in names:
        assert heard.stdout[name] == result.result().hosts[name].stdout == said(*steps)


# -- the same everywhere -------------------------------------------------------------------------------

BYTES = bytes(range(1, 256))
ODD = f"  \n\t lead {''.join(map(chr, range(0x80, 0x110)))} it's \"$(id)\" \\ `id`\u2028😀 trail \n\n "
LINES = ["echo first", "false", "echo last"]
COLOURED = r"printf 'score=4\r\n\033[32mp99=1.5\033[0m\r\n 10%%\r 99%%\rdone=yes\n\r\nscore=5\r\n'"

ENDINGS: dict[str, tuple[Any, dict[str, Any], int, Kind]] = {
    **{f"exit {code}": (f"exit {code}", {}, code, Kind.EXIT if code else Kind.OK) for code in (0, 1, 126, 127, 255)},
    "no such command": ("no-such-command-anywhere", {}, 127, Kind.EXIT),
    "SIGKILL": ("kill -9 $$", {}, 137, Kind.SIGNAL),
    "SIGTERM": ("kill -TERM $$", {}, 143, Kind.SIGNAL),
    "exit 137": ("exit 137", {}, 137, Kind.EXIT),
    "goes on": (LINES, {}, 0, Kind.OK),
    "fail_fast": (LINES, {"fail_fast": True}, 1, Kind.EXIT),
    "fail_fast in sh": (LINES, {"fail_fast": True, "shell": "sh"}, 1, Kind.EXIT),
}
