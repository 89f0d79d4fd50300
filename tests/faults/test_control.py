"""Cases 38-42: controllers that are killed or interrupted, trials that others take up, and teardown after all of it."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from tempfile import gettempdir

import pytest

from ansible_env import Cancellation, ColdEngine, Kind, LifecycleError, RemoteEnv, Status, WarmEngine
from ansible_env.storage.journal import Journal
from tests.engines import ALL, PLACES
from tests.faults.bench import SLACK, Bench, until
from tests.faults.controller import Controller
from tests.hosts.procs import all_pids, matching

pytestmark = pytest.mark.ssh
places = pytest.mark.parametrize(
    ("anywhere", "kind"),
    PLACES,
    indirect=["anywhere"],
)
all_engines = pytest.mark.parametrize("engine", ALL, indirect=True)
PATTERN = r"^(\w+)=(\d+)$"


def of_owner(pid):
    """The processes that belong to an engine of a (dead) process."""
    return matching(all_pids(), f"ANSIBLE_ENV_OWNER={pid} ")


def bases_of(pid):
    return [base for base in Path(gettempdir()).glob("ae-*") if owner_of(base).startswith(f"{pid} ")]


def owner_of(base):
    try:
        return (base / "owner").read_text()
    except OSError:
        return ""


def sweep_now():
    """What any next start does."""
    engine = ColdEngine()
    engine._directory()
    engine.close()


def attach(bench: Bench, controller: Controller):
    """Take the trial up in this process, and return the result of what had been interrupted."""
    config = bench.config(**CONFIGS[controller])
    inventory = bench.hosts.inventory() if bench.hosts else None
    limit = "h1" if bench.hosts else None
    journal = Journal.open(controller.journal)
    with RemoteEnv(config=config, engine=bench.engine, inventory=inventory, limit=limit, journal=journal) as env:
        return env.attach()


CONFIGS: dict[Controller, dict[str, object]] = {}


def start(bench: Bench, kind: str, **config):
    controller = Controller(bench, kind, **config)
    CONFIGS[controller] = config
    return controller


def test_38_a_request_to_cancel_cannot_be_taken_back():
    """There is no callback that could say yes once and then no: what is asked stays asked."""
    cancellation = Cancellation()
    assert not cancellation.requested
    cancellation.cancel()
    assert cancellation.requested
    assert not hasattr(cancellation, "clear")


def test_39_cancel_ends_background_jobs(anywhere: Bench):
    """In place of `async` jobs: what a script has put into the background, also in process groups of its own."""
    script = "set -m; sleep 300 & nohup sleep 301 >/dev/null 2>&1 & (sleep 302 &) ; echo begun; wait"
    with anywhere.env(run=script) as env:
        thread = threading.Thread(target=lambda: (until(lambda: len(anywhere.scripts()) > 3, "jobs"), env.cancel()))
        thread.start()
        (result,) = env.run_phase("run").hosts.values()
        thread.join()
    assert (result.kind, result.stdout) == (Kind.CANCELED, "begun\n")
    anywhere.assert_clean()


@places
def test_40_killed_controller(anywhere: Bench, kind):
    with start(anywhere, kind, run="echo begun; sleep 300", timeouts={"run": 4, "grace": 1}) as controller:
        anywhere.until_begun()
        begun = time.monotonic()
        controller.kill()
        pid = controller.process.pid
        # The next start ends what the dead one left on this machine, and no script.
        assert bases_of(pid)
        time.sleep(0.5)
        sweep_now()
        assert not bases_of(pid)
        until(lambda: not of_owner(pid), "local processes to end", timeout=5)
        assert anywhere.scripts()
        # The target's watchdog ends those.
        until(lambda: not anywhere.scripts(), "the deadline", timeout=20)
        assert time.monotonic() - begun < 4 + 1 + 3 + SLACK
        result = attach(anywhere, controller)
    (host,) = result.hosts.values()
    assert (host.kind, host.stdout) == (Kind.TIMEOUT, "begun\n")
    anywhere.assert_clean()


@places
def test_attach_while_it_runs(anywhere: Bench, kind):
    script = "echo begun; sleep 4; echo score=7"
    with start(anywhere, kind, run=script, results_stdout_pattern=PATTERN) as controller:
        anywhere.until_begun()
        with pytest.raises(LifecycleError, match="is still running"):
            Journal.open(controller.journal)
        controller.kill()
        sweep_now()
        result = attach(anywhere, controller)
    (host,) = result.hosts.values()
    assert (host.kind, host.rc, host.metrics) == (Kind.OK, 0, {"score": 7})
    assert host.stdout == "begun\nscore=7\n"
    anywhere.assert_clean()


def test_attach_to_what_was_done_long_ago(remote: Bench):
    script = "until [ -e /tmp/may_end ]; do sleep 0.05; done; rm /tmp/may_end; echo score=7; exit 3"
    with start(remote, "warm", run=script, results_stdout_pattern=PATTERN) as controller:
        remote.until_begun()
        controller.kill()
        remote.hosts["h1"].path("/tmp/may_end").touch()
        until(lambda: not remote.scripts(), "the end")
        result = attach(remote, controller)
    (host,) = result.hosts.values()
    assert (host.kind, host.rc, host.stdout) == (Kind.EXIT, 3, "score=7\n")
    remote.assert_clean()


@places
def test_41_interrupt_in_the_main_thread(anywhere: Bench, kind):
    with start(anywhere, kind, run="echo begun; sleep 300") as controller:
        anywhere.until_begun()
        pid = controller.process.pid
        controller.process.send_signal(signal.SIGINT)
        assert controller.answer() == {"raised": "KeyboardInterrupt"}
        until(lambda: not of_owner(pid) and not bases_of(pid), "local processes and directories to go", timeout=5)
    anywhere.assert_clean()


@all_engines
def test_41_signal_handlers_are_left_as_they_were(local: Bench):
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    assert local.host("echo done").kind is Kind.OK
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize(
    ("anywhere", "engine", "end"),
    [
        ("ssh", "warm", "timeout"),
        ("ssh", "cold", "canceled"),
        ("local", "warm", "canceled"),
        ("local", "session", "canceled"),
    ],
    indirect=["anywhere", "engine"],
)
def test_42_teardown_after(anywhere: Bench, end):
    """It runs, with its own deadline, and what is known of `run` stays as it was."""
    timeouts = {"run": 2 if end == "timeout" else 30, "teardown": 2, "grace": 1}
    with anywhere.env(run="sleep 300", teardown="echo clean; sleep 300", timeouts=timeouts) as env:
        assert env.setup()
        thread = threading.Thread(target=lambda: (anywhere.until_begun(), end == "canceled" and env.cancel()))
        thread.start()
        status, _, metrics = env.run()
        thread.join()
        expected = Status.TIMED_OUT if end == "timeout" else Status.CANCELED
        assert (status, metrics) == (expected, None)
        begun = time.monotonic()
        env.teardown()
        assert time.monotonic() - begun < 2 + 1 + 3 + SLACK
        (torn,) = env.results["teardown"].hosts.values()
        assert (torn.kind, torn.stdout) == (Kind.TIMEOUT, "clean\n")
        assert env.results["run"].status is expected
    anywhere.assert_clean()


def test_closing_an_engine_leaves_nothing(ssh_hosts, tmp_path):
    engine = WarmEngine()
    bench = Bench(engine, ssh_hosts, tmp_path)
    assert bench.host("echo done").kind is Kind.OK
    (base,) = [b for b in Path(gettempdir()).glob("ae-*") if b == engine._base]
    assert list((base / "cp").iterdir())
    engine.close()
    assert not base.exists()
    until(lambda: not [p for p in matching(all_pids(), str(base)) if p.name == "ssh"], "shared connections to end")
