"""Case 50: a secret is where its script reads it, and nowhere else."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ansible_env import Kind, Options
from ansible_env.common import Owner
from ansible_env.storage.journal import Journal
from tests.faults.bench import Bench, bases
from tests.hosts.procs import all_pids

pytestmark = pytest.mark.ssh
SECRET = "h1dd3n '\"$x {{ 7*6 }}"
PLAIN = SECRET.encode()


class Watcher:
    """Looks at every argument list on this machine (the hosts' are among them) and every file of a run."""

    def __init__(self, owner: str) -> None:
        self.seen: set[str] = set()
        self.files: dict[str, int] = {}
        self.looks = 0
        self._owner = owner
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(0.01):
            self.looks += 1
            for pid in all_pids():
                self._argv(pid)
            for base in bases(self._owner):
                for directory, _, names in os.walk(base):
                    for name in names:
                        self._file(Path(directory, name))

    def _argv(self, pid):
        try:
            argv = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return
        if b"h1dd3n" in argv:
            self.seen.add(f"argv of {pid}: {argv[:200]!r}")

    def _file(self, path):
        try:
            if path.is_file() and b"h1dd3n" in path.read_bytes():
                self.files[path.name] = path.stat().st_mode & 0o777
        except OSError:
            return


class Listener:
    def __init__(self):
        self.said = []

    def on_event(self, event):
        self.said.append(repr(event))

    def on_output(self, host, stream, text):
        self.said.append(text)


@pytest.mark.parametrize(
    ("anywhere", "engine", "code"),
    [("ssh", "warm", 0), ("ssh", "cold", 3), ("local", "warm", 3), ("local", "cold", 0), ("local", "session", 3)],
    indirect=["anywhere", "engine"],
)
def test_50_secret_is_nowhere(anywhere: Bench, caplog, capfd, tmp_path, code):
    listener = Listener()
    stream = io.StringIO()
    config = {
        "run": [
            {"ansible.builtin.command": {"argv": ["true"]}},
            f'printf "%s|%s\\n" "$password" "${{#password}}"; echo "$password" >&2; sleep 1; exit {code}',
        ],
        "secret_params": ["password"],
        "shell_env_params": ["password"],
        "results_stdout_pattern": r"^(.*)\|(\d+)$",
    }
    logs = tmp_path / "logs"
    with (
        caplog.at_level(logging.DEBUG),
        Watcher(Owner.this().to_text()) as watcher,
        anywhere.env(
            global_config={"password": SECRET},
            options=Options(verbosity=3),
            listener=listener,
            logs=logs,
            journal=Journal(tmp_path / "journal"),
            **config,
        ) as env,
    ):
        assert env.setup()
        group = env.run_phase("run")
        (result,) = group.hosts.values()
        told = [repr(env), repr(env.params), env.render("run"), repr(group), group.summary(), str(group.to_dict())]
    assert (result.kind, result.rc) == (Kind.EXIT if code else Kind.OK, code)
    # The script did get it, and what it printed of it is masked.
    assert result.stdout == f"********|{len(SECRET)}\n"
    assert result.stderr == "********\n"
    assert watcher.looks >= 3
    assert watcher.seen == set()
    # On the controller it is in the one file that Ansible reads it from.
    assert set(watcher.files) <= {"secrets.json"}
    assert set(watcher.files.values()) <= {0o600}
    captured = capfd.readouterr()
    told += [*listener.said, caplog.text, captured.out, captured.err, stream.getvalue()]
    assert not [text for text in told if "h1dd3n" in text]
    assert listener.said
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"h1dd3n" not in path.read_bytes(), path
    anywhere.assert_clean()


def test_50_secret_is_not_in_an_error(remote: Bench, tmp_path):
    """Also where Ansible itself fails, and quotes what it fails on."""
    fails = {"ansible.builtin.fail": {"msg": "no"}, "when": "ansible_env_secrets.params.password is no_such_test"}
    result = remote.phase([fails], secret_params=["password"], global_config={"password": SECRET}, limit="h1")
    assert result.hosts["h1"].kind is Kind.TASK
    assert "h1dd3n" not in result.summary()


def test_50_file_of_the_target_is_empty_before_the_script_runs(remote: Bench):
    script = 'd="$(dirname "$0")"; ls "$d"; wc -c <"$d/env"; grep -rl h1dd""3n "$d"; true'
    result = remote.host(
        script, secret_params=["password"], shell_env_params=["password"], global_config={"password": SECRET}
    )
    assert "script" in result.stdout.split()
    assert result.stdout.split()[-1] == "0"
    assert "/" not in result.stdout  # grep names nothing


def test_50_secret_in_tasks_of_the_author(tmp_path):
    """Ansible prints it in a message, in a difference and in base64; the script prints it in base64."""
    config = {
        "name": "author",
        "secret_params": {"password": {"env": "GIVEN"}},
        "shell_env_params": ["password"],
        "vars_params": ["password"],
        "setup": [
            {"ansible.builtin.copy": {"content": "{{ password }}\n", "dest": str(tmp_path / "there")}},
            'printf %s "$password" | base64 -w0',
            {"ansible.builtin.debug": {"msg": "{{ password }}"}},
            {"name": "It is {{ password }}", "ansible.builtin.command": "echo {{ password | quote }}"},
        ],
        "run": [{"ansible.builtin.fail": {"msg": "{{ password }} is {{ password | b64encode }}"}}],
    }
    (tmp_path / "env.yml").write_text(json.dumps(config))
    (tmp_path / "ansible.cfg").write_text("[diff]\nalways = true\n")
    words = ["trial", "env.yml", "-i", "h,", "-c", "local", "-vv", "--artifacts", "kept", "-o", "json"]
    words += ["--store", "store.sqlite", "--junit", "junit.xml"]
    command, env = [sys.executable, "-m", "ansible_env", *words], {**os.environ, "GIVEN": SECRET}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    assert b"******** is ********" in done.stderr
    assert b"+********" in done.stderr, "the difference"
    assert (
        json.loads(done.stdout)["trials"][0]["hosts"]["h"]["message"]
        == "task 'ansible.builtin.fail': ******** is ********"
    )
    (tmp_path / "there").unlink()
    encoded = base64.b64encode(PLAIN)
    for text in (done.stdout, done.stderr, *(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())):
        assert b"h1dd3n" not in text
        assert encoded not in text
