"""`python -m ansible_env` against real hosts."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.ssh


class Command:
    """Starts the command with an environment of the test's own."""

    def __init__(self, directory):
        self.directory = directory
        self.env = {**os.environ, "ANSIBLE_ENV_ARTIFACTS": str(directory / "kept")}
        self.marker = f"cli{uuid.uuid4().hex}"

    def environment(self, **data):
        path = self.directory / "env.yml"
        base = {"name": "cli", "results_stdout_pattern": r"^(\w+)=(\S+)$", "const_args": {"MARKER": self.marker}}
        path.write_text(yaml.safe_dump({**base, "shell_env_params": ["MARKER"], **data}))
        return path

    def start(self, *arguments, **more):
        command = [sys.executable, "-m", "ansible_env", *map(str, arguments)]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, env=self.env, text=True, **{**streams, **more})

    def __call__(self, *arguments, timeout=90):
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture
def command(tmp_path):
    return Command(tmp_path)


def until(condition, timeout=30):
    end = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return found


LINES = ['for i in 1 2 3 4; do echo "line $i"; sleep 1.5; done', "echo score=4"]


def watch(process):
    """Return for each host the moments at which its lines were shown."""
    seen: dict[str, list[float]] = {}
    for line in process.stderr:
        if found := re.search(r"run +(\w+) +\| line \d", line):
            seen.setdefault(found[1], []).append(time.monotonic())
    return seen


@pytest.mark.parametrize("where", ["local", "ssh"])
def test_lines_appear_as_they_are_printed(command, ssh_hosts, where):
    inventory = ["-i", ssh_hosts.inventory(), "-l", "h1,h2"] if where == "ssh" else []
    with command.start("trial", command.environment(run=LINES), *inventory, "-o", "json") as process:
        seen = watch(process)
        (trial,) = json.load(process.stdout)["trials"]
    assert process.returncode == 0
    assert set(seen) == ({"h1", "h2"} if where == "ssh" else {"localhost"})
    assert set(trial["hosts"]) == set(seen)
    for host, times in seen.items():
        assert len(times) == 4
        assert trial["hosts"][host]["metrics"] == {"score": 4}
        # 4.5 s lie between the first and the last line; they came one after the other, not in one heap.
        assert times[-1] - times[0] > 2.5
        assert len({round(moment, 1) for moment in times}) >= 3


@pytest.mark.smoke
def test_two_hosts_at_once(command, ssh_hosts):
    path = command.environment(run=LINES)
    with command.start("run", path, "-i", ssh_hosts.inventory(), "-l", "h1,h2") as process:
        seen = watch(process)
        process.stdout.read()
    assert process.returncode == 0
    assert seen["h1"][0] < seen["h2"][-1]
    assert seen["h2"][0] < seen["h1"][-1]


def test_a_host_that_is_off_is_unreachable(command, make_hosts):
    hosts = make_hosts(2)
    hosts[1].refuse()
    path = command.environment(run=["echo score=1"], teardown=["echo clean"])
    done = command("trial", path, "-i", hosts.inventory(), "-o", "jsonl")
    assert done.returncode == 4, done.stderr
    document = json.loads(done.stdout)
    assert {name: host["kind"] for name, host in document["hosts"].items()} == {"h1": "ok", "h2": "unreachable"}
    assert "h2: run: unreachable: " in done.stderr
    doctor = command("doctor", "-i", hosts.inventory())
    assert doctor.returncode == 4, doctor.stdout
    assert "ok   h1: answers" in doctor.stdout
    assert "fail h2: unreachable" in doctor.stdout


def test_a_deadline_is_124(command, ssh_hosts):
    path = command.environment(
        run=["echo so far; sleep 60"], teardown=["echo clean"], timeouts={"run": "2s", "grace": "1s"}
    )
    done = command("trial", path, "-i", ssh_hosts.inventory(), "-l", "h1")
    assert done.returncode == 124, done.stderr
    assert "h1: run: timeout: " in done.stderr
    assert "so far" in done.stderr
    assert "teardown h1 | clean" in done.stderr
    assert not ssh_hosts["h1"].processes(command.marker)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_script_and_tears_down(command, ssh_hosts, number):
    host = ssh_hosts["h1"]
    path = command.environment(run=["echo begun; sleep 100"], teardown=["echo clean"])
    with command.start("trial", path, "-i", ssh_hosts.inventory(), "-l", "h1", "-o", "jsonl") as process:
        until(lambda: host.processes(command.marker))
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "canceling run, then teardown" in err
    assert "teardown h1 | clean" in err
    assert json.loads(out)["status"] == "CANCELED"
    assert not host.processes(command.marker)


def test_a_second_signal_leaves_the_rest_to_the_watchdog(command, ssh_hosts):
    host = ssh_hosts["h1"]
    before = directories(host)
    script = "trap '' TERM; echo begun; while :; do sleep 0.2; done"
    path = command.environment(run=[script], teardown=["echo clean"], timeouts={"run": "9s", "grace": "8s"})
    with command.start("trial", path, "-i", ssh_hosts.inventory(), "-l", "h1", "-o", "jsonl") as process:
        until(lambda: host.processes(command.marker))
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        out, err = process.communicate(timeout=30)
        took = time.monotonic() - begin
    assert process.returncode == 130, err
    assert took < 8, err
    assert "watchdog" in err
    assert "clean" not in err
    assert json.loads(out)["status"] == "CANCELED"
    until(lambda: not host.processes(command.marker), timeout=40)
    # The run directory stays for the command that finishes the trial.
    assert directories(host) - before
    finished = subprocess.run(*attach_commands(err), env=command.env, capture_output=True, text=True, check=False)
    assert "teardown h1 | clean" in finished.stderr
    assert "kind      canceled" in finished.stdout
    until(lambda: not directories(host) - before)


@pytest.fixture
def short(command):
    """A directory for temporary files, with a name that is short enough for a control socket."""
    with tempfile.TemporaryDirectory(prefix="t") as directory:
        command.env["TMPDIR"] = directory
        yield Path(directory)


def test_a_second_signal_names_the_trials_of_a_sweep(command, short, ssh_hosts):
    hosts = [ssh_hosts[name] for name in ("h1", "h2")]
    before = [directories(host) for host in hosts]
    path = command.environment(run=["trap '' TERM; sleep 60"], teardown=["echo clean"], timeouts={"grace": "6s"})
    inventory = ("-i", ssh_hosts.inventory(), "-l", "h1,h2")
    with command.start("sweep", path, *inventory, "--repeat", "2") as process:
        until(lambda: all(host.processes(command.marker) for host in hosts))
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    commands = attach_commands(err)
    assert len(commands) == 2, err
    for words in commands:
        finished = subprocess.run(words, env=command.env, capture_output=True, text=True, check=False)
        assert "| clean" in finished.stderr
    assert not any(host.processes(command.marker) for host in hosts)
    assert list(short.iterdir()) == []
    until(lambda: [directories(host) for host in hosts] == before)


def test_setup_once_of_a_sweep_and_of_a_killed_one(command, ssh_hosts):
    hosts = [ssh_hosts[name] for name in ("h1", "h2")]
    before = [directories(host) for host in hosts]
    logs = [host.path("/var/tmp") / command.marker for host in hosts]
    parts = ("setup_once", "setup", "run", "teardown", "teardown_once")
    scripts = {part: [f"echo {part} >> /var/tmp/$MARKER"] for part in parts}
    command.env["XDG_STATE_HOME"] = str(command.directory / "state")
    del command.env["ANSIBLE_ENV_ARTIFACTS"]
    sweep = ("-i", ssh_hosts.inventory(), "-l", "h1,h2", "--repeat", "4")
    try:
        done = command("sweep", command.environment(**scripts), *sweep)
        assert done.returncode == 0, done.stderr
        for log in logs:
            begin, *trials, end = log.read_text().split()
            assert (begin, end) == ("setup_once", "teardown_once")
            assert {tuple(trials[n : n + 3]) for n in range(0, len(trials), 3)} == {("setup", "run", "teardown")}
            log.unlink()
        scripts["run"] = ["echo run >> /var/tmp/$MARKER; sleep 2"]
        with command.start("sweep", command.environment(**scripts), *sweep) as process:
            until(lambda: all(log.exists() and "run" in log.read_text().split() for log in logs))
            process.kill()
            process.communicate()
        finished = [command("attach") for _ in range(4)]
        assert [each.returncode for each in finished] == [0, 0, 0, 0], [each.stderr for each in finished]
        assert "once-1" in finished[0].stderr, "what is left is named"
        assert [log.read_text().split() for log in logs] == [list(parts)] * 2
        assert "no unfinished trial" in command("attach").stderr
    finally:
        for log in logs:
            log.unlink(missing_ok=True)
    assert [directories(host) for host in hosts] == before


def attach_commands(err):
    """Return the commands that a message names, with the interpreter of the test."""
    lines = [line.split(": ", 1)[-1].split() for line in err.splitlines() if " attach " in line]
    return [[sys.executable, "-m", "ansible_env", *words[1:]] for words in lines]


def directories(host):
    """Return the run directories on a host."""
    return set(host.path("/tmp").glob("ansible_env.*"))


def test_a_rendered_playbook_runs_by_hand(command, ssh_hosts):
    path = command.environment(setup=["echo ready"], run=["echo score=42.5"], teardown=["echo clean"])
    rendered = command("render", path)
    assert rendered.returncode == 0
    playbook = command.directory / "p.yml"
    playbook.write_text(rendered.stdout)
    ansible = Path(sys.executable).parent / "ansible-playbook"
    done = subprocess.run(
        [ansible, "-v", "-i", ssh_hosts.inventory(), "-l", "h1,h2", playbook],
        env={**command.env, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('"score": 42.5') >= 2
    mine = command("run", path, "-i", ssh_hosts.inventory(), "-l", "h1,h2", "-o", "jsonl")
    hosts = json.loads(mine.stdout)["hosts"]
    assert [hosts[name]["metrics"] for name in ("h1", "h2")] == [{"score": 42.5}] * 2


def test_no_such_host_touches_no_host(command, ssh_hosts):
    path = command.environment(run=["echo score=1"])
    done = command("trial", path, "-i", ssh_hosts.inventory(), "-l", "nobody")
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == ["inventory", "error"]
    assert not (command.directory / "kept").exists()


def test_a_reader_that_has_gone_does_not_end_the_trial(command, tmp_path):
    path = command.environment(run=["echo score=1"], teardown=[f"touch {tmp_path}/clean"])
    reader, writer = os.pipe()
    with command.start("trial", path, stdout=writer) as process:
        os.close(writer)
        os.close(reader)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert (tmp_path / "clean").exists()
    assert "Traceback" not in err and "Broken" not in err
