"""The live view on a real terminal: a pty on one side, pyte's screen on the other."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pyte
import pytest
import yaml

RUN = [
    'echo "ops=1$((RANDOM % 10))"; echo "warming up"',
    'if [ "$broken" = yes ] && mkdir "$dir/first" 2>/dev/null; then echo "no such disk" >&2; exit 3; fi',
    "sleep 3; echo ops=77",
]


class Terminal:
    """The command on a terminal of its own."""

    def __init__(self, directory, width, height, *arguments, **env):
        self.screen = pyte.HistoryScreen(width, height, history=1000)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        usual = {name: value for name, value in os.environ.items() if name not in ("CI", "COLUMNS", "LINES")}
        env = {**usual, "TERM": "xterm-256color", "ANSIBLE_ENV_ARTIFACTS": str(directory / "kept"), **env}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ansible_env", *map(str, arguments)],
            stdin=child,
            stdout=child,
            stderr=child,
            env=env,
            preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)),  # ^C comes from it
        )
        os.close(child)
        self.fd = parent

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)
        os.close(self.fd)

    @property
    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self):
        return "\n".join(line for line in self.lines if line)

    @property
    def everything(self):
        above = ["".join(row[x].data for x in range(self.screen.columns)) for row in self.screen.history.top]
        return "\n".join(line.rstrip() for line in [*above, *self.lines])

    def look(self, seconds):
        """Take what comes; False when there will be no more."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.raw += data
        self.stream.feed(data)
        return bool(data)

    def until(self, condition, timeout=60):
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"waited in vain; the screen:\n{self.text}"
            assert self.look(0.2) or condition(), f"it has ended; the screen:\n{self.everything}"

    def finish(self):
        while self.look(60):
            pass
        return self.process.wait(30)


@pytest.fixture
def environment(tmp_path):
    path = tmp_path / "env.yml"
    data = {
        "name": "live",
        "run": RUN,
        "const_args": {"dir": str(tmp_path), "broken": "yes"},
        "shell_env_params": ["dir", "broken"],
        "results_stdout_pattern": r"^(\w+)=(\d+)$",
        "timeouts": {"run": "60s", "grace": "1s"},
    }
    path.write_text(yaml.safe_dump(data))
    return path


def inventory(path, count):
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    path.write_text(yaml.safe_dump({"all": {"hosts": {f"h{n:02}": local for n in range(1, count + 1)}}}))
    return path


def test_eight_hosts_and_a_failure(tmp_path, environment):
    hosts = inventory(tmp_path / "hosts.yml", 8)
    with Terminal(tmp_path, 80, 24, "run", environment, "-i", hosts, NO_COLOR="1") as terminal:
        terminal.until(lambda: "✗ 1 failed  ● 7 running" in terminal.text and terminal.text.count("ops=1") >= 7)
        lines = [line for line in terminal.lines if re.match("[✗●] h0", line)]
        assert len(lines) == 8
        (failed,) = [line for line in lines if line.startswith("✗")]
        assert "exit status 3  no such disk" in failed
        assert all(re.search(r"run 0:0\d/1:00  ops=1\d  warming up$", line) for line in lines if line != failed)
        assert "|" not in terminal.text  # nobody asked for a host's lines
        assert terminal.finish() == 1
        text = terminal.everything
    assert "●" not in text  # the view is gone, the report is there
    for words in (": run: exit status 3", "no such disk", "log ", "FAILED in "):
        assert words in text
    assert not re.search(rb"\x1b\[[0-9;]*(?:3[0-7]|9[0-7])m", terminal.raw)  # NO_COLOR


def test_interrupt_and_follow_with_the_view(tmp_path, environment):
    hosts = inventory(tmp_path / "hosts.yml", 2)
    options = ("-i", hosts, "-p", "broken=no", "--follow", "h02")
    with Terminal(tmp_path, 80, 24, "run", environment, *options) as terminal:
        terminal.until(lambda: re.search(r"h02 \| ops=1\d", terminal.text) and "● 2 running" in terminal.text)
        assert "h01 |" not in terminal.text
        os.write(terminal.fd, b"\x03")
        terminal.until(lambda: "ansible-env: canceling run; interrupt again to stop waiting" in terminal.text)
        assert terminal.finish() == 130
        text = terminal.everything
    assert "●" not in text
    assert text.count("canceling run") == 1
    assert "CANCELED in" in text
