"""Following a script over a connection that breaks: in the middle, at once, again and again, for good."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_env.results.outcomes import Kind
from ansible_env.supervisor import follow as follow_module
from ansible_env.supervisor.ending import Ending, Pace
from ansible_env.supervisor.follow import Follower
from ansible_env.supervisor.protocol import Reply, State
from ansible_env.supervisor.script import Script
from ansible_env.supervisor.transport import ANSWER, HUNG, Disconnected, NeverConnected, NoAnswer, Stop
from ansible_env.supervisor.verdict import verdict
from tests.unit.supervisor.pipes import Target, eventually, make_target

LINES = "".join(f"line {number}\n" for number in range(8))
EIGHT_LINES = "for i in 0 1 2 3 4 5 6 7; do echo line $i; sleep 0.3; done"


@pytest.fixture
def target(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return make_target("dash", tmp_path, tmp_path_factory)


@dataclass
class Link:
    """A connection that has its ways: what to do with the exchange number n, else an honest one."""

    target: Target
    faults: dict[int, Callable[[Link, str], bytes]] = field(default_factory=dict)
    always: Callable[[Link, str], bytes] | None = None
    sent: list[str] = field(default_factory=list)
    pauses: int = 0

    def exchange(self, payload: str, limit: float) -> bytes:
        self.sent.append(payload)
        fault = self.faults.get(len(self.sent) - 1, self.always)
        return fault(self, payload) if fault else self.target.exchange(payload, limit)

    def pause(self, seconds: float) -> None:
        self.pauses += 1
        time.sleep(min(seconds, 0.05))


def not_sent(link: Link, payload: str) -> bytes:
    raise Disconnected("Shared connection closed")


def refused(link: Link, payload: str) -> bytes:
    raise NeverConnected("Connection refused")


def half_sent(link: Link, payload: str) -> bytes:
    link.target.exchange(payload[: len(payload) // 2])
    raise Disconnected("Broken pipe")


def answer_lost(link: Link, payload: str) -> bytes:
    """The payload arrives; the connection breaks soon after."""
    command = [str(link.target.sh), "-s"]
    env = {"PATH": link.target.path, "HOME": str(link.target.base)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd="/") as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(payload.replace("/bin/sh", str(link.target.sh)).encode())
        shell.stdin.close()
        time.sleep(0.15)
        shell.stdout.close()  # a write to it will end whoever writes
        shell.returncode = 0  # nobody waits for it
    raise Disconnected("Connection reset by peer")


def cut_short(link: Link, payload: str) -> bytes:
    return link.target.exchange(payload)[:-4]


def garbage(link: Link, payload: str) -> bytes:
    return b"motd: ansible_env: welcome\n"


def follow(link: Link, script: Script, reconnect: float = 30) -> tuple[Ending, str, str]:
    out, err = bytearray(), bytearray()

    def write(more_out: bytes, more_err: bytes) -> None:
        out.extend(more_out)
        err.extend(more_err)

    ending = Follower(link, script, write, Pace(reconnect=reconnect)).start()
    return ending, out.decode(), err.decode()


def test_one_round_trip_for_a_short_script(target: Target) -> None:
    link = Link(target)
    script = target.script("echo hello; echo hi >&2")
    ending, out, err = follow(link, script)
    assert (out, err, ending.reply.rc, len(link.sent)) == ("hello\n", "hi\n", 0, 1)
    target.assert_gone(script)


@pytest.mark.slow
def test_a_longer_one_is_dropped_when_its_end_has_arrived(target: Target) -> None:
    """Else a connection that broke in the meantime would have the script run a second time."""
    script = target.script("sleep 2.2; echo x")
    reply = target.finish(script, target.start(script, tick=1), drop=False)
    assert (reply.state, reply.out, reply.dropped) == (State.DONE, b"x\n", False)
    assert target.directory(script).is_dir()
    target.drop(script)
    target.assert_gone(script)


@pytest.mark.slow
def test_no_output_is_lost(target: Target) -> None:
    faults = (not_sent, half_sent, answer_lost, cut_short, garbage)
    cases = [(fault, when) for fault in faults for when in ((0,), (1,), (0, 1, 2), (1, 2, 4))]

    def check(case: tuple[Callable[[Link, str], bytes], tuple[int, ...]]) -> str:
        fault, when = case
        script = target.script(f"echo run >>ran.{id(case)}; {EIGHT_LINES}; exit 7")
        ending, out, _ = follow(Link(target, dict.fromkeys(when, fault)), script)
        runs = (target.base / f"ran.{id(case)}").read_text()
        found = (verdict(ending, script), out, runs, ending.reconnects > 0)
        target.assert_gone(script)
        return "" if found == ((Kind.EXIT, "exit status 7"), LINES, "run\n", True) else f"{fault}, {when}: {found}"

    with ThreadPoolExecutor(len(cases) // 2) as pool:
        assert not list(filter(None, pool.map(check, cases)))


def test_broken_twice_before_anything_arrived(target: Target) -> None:
    script = target.script("echo run >>ran")
    with pytest.raises(NeverConnected):
        follow(Link(target, {0: not_sent, 2: not_sent}), script)
    assert not (target.base / "ran").exists()
    target.assert_gone(script)


def test_a_shell_that_dies_in_the_first_round_trip(target: Target) -> None:
    """It gives no answer; the script runs all the same, and its result is read. See `Channel`."""

    def killed(link: Link, payload: str) -> bytes:
        with pytest.raises(Disconnected, match="reset"):
            answer_lost(link, payload)
        raise NoAnswer("no answer from /bin/sh on the host (exit status 137)")

    script = target.script("echo run >>ran; sleep 1; echo done; exit 3")
    ending, out, _ = follow(Link(target, {0: killed}), script)
    assert (verdict(ending, script)[0], out, (target.base / "ran").read_text()) == (Kind.EXIT, "done\n", "run\n")
    target.assert_gone(script)


def silent(link: Link, payload: str) -> bytes:
    raise NoAnswer("no answer from /bin/sh on the host (exit status 127): sh: not found")


def test_no_shell_at_the_far_end(target: Target) -> None:
    begun = time.monotonic()
    link = Link(target, always=silent)
    with pytest.raises(NeverConnected, match="not found"):
        follow(link, target.script("echo run >>ran"))
    assert (len(link.sent), time.monotonic() - begun < 3) == (2, True)


def test_never_connected(target: Target) -> None:
    script = target.script("echo run >>ran")
    with pytest.raises(NeverConnected, match="refused"):
        follow(Link(target, always=refused), script)
    assert not (target.base / "ran").exists()


@pytest.mark.slow
def test_a_host_that_stays_away(target: Target) -> None:
    script = target.script("sleep 300", timeout=2)
    link = Link(target, {0: answer_lost}, always=refused)
    ending, _, _ = follow(link, script, reconnect=0.5)
    kind, message = verdict(ending, script)
    assert kind is Kind.UNREACHABLE
    assert "watchdog ends it 2 s after" in message
    assert eventually((target.directory(script) / "result").exists)  # and so it does
    target.drop(script)
    target.assert_gone(script)


# -- cancel ------------------------------------------------------------------------------------------------------------


def stopping(after: float = 0.2) -> Callable[[Link, str], bytes]:
    """What a cancel is to a transport: the exchange is left in the middle."""

    def exchange(link: Link, payload: str) -> bytes:
        thread = threading.Thread(target=link.target.exchange, args=(payload,), daemon=True)
        thread.start()
        eventually(lambda: list(link.target.base.glob("*/pid")))
        time.sleep(after)
        raise Stop("canceled")

    return exchange


@pytest.mark.parametrize("number", [0, 1])
def test_cancel(target: Target, number: int) -> None:
    script = target.script("echo begun; sleep 300", timeout=60)
    ending, out, _ = follow(Link(target, {number: stopping()}), script)
    assert verdict(ending, script) == (Kind.CANCELED, "canceled")
    assert out == "begun\n"
    target.assert_gone(script)


def test_cancel_before_the_payload_has_arrived_in_full(target: Target) -> None:
    """It is on its way yet: the script must not begin when nobody waits for it any more."""
    script = target.script("sleep 300; touch ran", timeout=60)

    def late(link: Link, payload: str) -> bytes:
        threading.Timer(0.25, link.target.exchange, (payload,)).start()
        raise Stop("canceled")

    ending, _, _ = follow(Link(target, {0: late}), script)
    time.sleep(0.5)
    assert verdict(ending, script)[0] is Kind.CANCELED
    target.assert_gone(script)


def test_cancel_while_the_connection_is_down(target: Target) -> None:
    """For as long as a cancel may take it is tried again."""
    script = target.script("sleep 300", timeout=60, grace=2)
    link = Link(target, {0: stopping(), 1: refused, 2: refused})
    ending, _, _ = follow(link, script)
    assert verdict(ending, script) == (Kind.CANCELED, "canceled")
    target.assert_gone(script)


@pytest.mark.slow
def test_cancel_of_what_cannot_be_reached(target: Target) -> None:
    script = target.script("sleep 300", timeout=1)
    ending, _, _ = follow(Link(target, {0: stopping()}, always=refused), script)
    kind, message = verdict(ending, script)
    assert kind is Kind.CANCELED
    assert "watchdog ends the script" in message
    assert eventually((target.directory(script) / "result").exists)
    target.drop(script)
    target.assert_gone(script)


def test_a_host_that_never_answers_until_the_deadline_is_no_timeout(target: Target) -> None:
    silent = Ending(Reply(State.RUNNING), broken="Broken pipe", stopped="timeout")
    assert verdict(silent, target.script("echo"))[0] is Kind.UNREACHABLE
    hung = Ending(Reply(State.RUNNING), broken=f"{HUNG} 3 s", stopped="timeout")
    assert verdict(hung, target.script("echo", timeout=1))[0] is Kind.TIMEOUT
    silent.first_boot_id = "it has answered before"
    assert verdict(silent, target.script("echo", timeout=1))[0] is Kind.TIMEOUT


def test_a_script_without_a_deadline_of_its_own_that_timed_out(target: Target) -> None:
    """Whoever ends an earlier script does not know its deadline, and finds that it has passed."""
    kind, message = verdict(Ending(Reply(State.DONE, why="timeout")), target.script("echo", timeout=None))
    assert (kind, message) == (Kind.TIMEOUT, "ended at its deadline")


@pytest.mark.slow
def test_a_second_cancel_stops_waiting(target: Target) -> None:
    script = target.script("trap '' TERM; while :; do sleep 0.1; done", grace=2, timeout=30)
    begun = time.monotonic()
    ending, _, _ = follow(Link(target, {0: stopping(), 1: stopping(0.2)}), script)
    assert time.monotonic() - begun < 2
    kind, message = verdict(ending, script)
    assert kind is Kind.CANCELED
    assert "did not confirm" in message
    assert eventually((target.directory(script) / "result").exists)
    target.drop(script)
    target.assert_gone(script)


@pytest.mark.slow
def test_deadline_seen_from_here(target: Target) -> None:
    """The controller's own clock ran out first; the reason is the same."""
    script = target.script("sleep 300", timeout=0.2)

    def slow(link: Link, payload: str) -> bytes:
        link.target.exchange(payload)
        raise Stop("timeout")

    ending, _, _ = follow(Link(target, {0: slow}), script)
    assert verdict(ending, script)[0] is Kind.TIMEOUT
    target.assert_gone(script)


def test_a_connection_that_breaks_when_all_is_done(target: Target) -> None:
    """The directory is removed all the same."""
    script = target.script("sleep 1.2; echo done")
    link = Link(target, {2: not_sent})
    ending, out, _ = follow(link, script)
    assert (out, verdict(ending, script)[0], len(link.sent)) == ("done\n", Kind.OK, 4)
    target.assert_gone(script)


# -- other ends --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_vanished_directory(target: Target) -> None:
    script = target.script('echo begun; sleep 1.5; rm -rf "${0%/*}"; sleep 0.5')
    ending, _, _ = follow(Link(target), script)
    assert ending.reply.state in (State.GONE, State.LOST)
    assert verdict(ending, script)[0] is Kind.LOST_RESULT
    target.assert_gone(script)


@pytest.mark.parametrize("environ", [{}, {"PERL5OPT": "-w"}], ids=["perl", "no perl"])
def test_output_that_cannot_be_written(target: Target, environ: dict[str, str]) -> None:
    """As on a full disk: a success whose output is lost is none."""
    script = target.script("yes | head -c 1000000; exit 0", timeout=25)
    limited = Target(target.sh, target.base, target.path, environ)
    original = limited.exchange

    def exchange(payload: str, limit: float = 60) -> bytes:
        return original(payload.replace('true >"$d/out"', 'ln -s /dev/full "$d/out"'), limit)

    limited.exchange = exchange  # type: ignore[method-assign]
    ending, _, _ = follow(Link(limited), script)
    kind, message = verdict(ending, script)
    assert kind is Kind.NO_SPACE
    assert "is it full?" in message
    assert ending.reply.begin is not None
    assert ending.reply.end is not None
    assert (ending.reply.end - ending.reply.begin).total_seconds() < 10  # the script gets a SIGPIPE, it does not hang
    target.assert_gone(script)


def test_without_setsid_perl_does(target: Target, tmp_path: Path) -> None:
    """As on macOS and some minimal systems: start, deadline and cancel go without it."""
    tools = tmp_path / "few"
    tools.mkdir()
    for name in (
        "cat",
        "mkdir",
        "rm",
        "mv",
        "ln",
        "date",
        "sleep",
        "tail",
        "head",
        "wc",
        "tr",
        "mkfifo",
        "perl",
        "find",
    ):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
        (tools / name).symlink_to(found)
    bare = Target(target.sh, target.base, str(tools))
    script = bare.script("echo hello; exit 3")
    ending, out, _ = follow(Link(bare), script)
    assert (out, ending.reply.rc) == ("hello\n", 3)
    bare.assert_gone(script)
    script = bare.script("trap '' INT; sleep 300", timeout=60)
    ending, _, _ = follow(Link(bare, {1: stopping()}), script)
    assert verdict(ending, script) == (Kind.CANCELED, "canceled")
    bare.assert_gone(script)
    (tools / "perl").unlink()
    script = bare.script("echo hello")
    ending, _, _ = follow(Link(bare), script)
    assert verdict(ending, script)[0] is Kind.INTERPRETER


def test_a_quiet_round_trip_lasts_longer_in_a_long_run(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs the controller some 9 ms; how long one may last says how soon a connection that hangs is found out."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(follow_module, "time", SimpleNamespace(monotonic=lambda: clock.now, time=time.time))
    waits: list[int] = []

    @dataclass
    class Quiet(Link):
        """A target with nothing to say."""

        def exchange(self, payload: str, limit: float) -> bytes:
            if clock.now > 600:
                raise EOFError
            nonce, wait = re.findall(r'supervisor" poll (\w+) 0 0 (\d+) ', payload)[0]
            assert limit == int(wait) + ANSWER
            waits.append(int(wait))
            clock.now += int(wait)
            return f"ansible_env:{nonce} state=running boot=x more=0 out=0 err=0\n".encode()

    with pytest.raises(EOFError):
        Follower(Quiet(target), target.script(":", timeout=None), lambda out, err: None).start()
    assert waits[:3] == [1, 20, 20]
    assert waits[3:] == sorted(waits[3:])
    assert set(waits[-5:]) == {50}
    assert len(waits) < 20
