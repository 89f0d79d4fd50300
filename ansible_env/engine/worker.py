"""An engine whose ansible-playbook runs elsewhere, near the hosts: ansible-runner's transmit, worker and process.

The private directory goes to `ansible-runner worker` on another machine, through any command that carries stdin and
stdout: ssh, or Receptor's. Events come back as they happen, logs at the end.
https://ansible.readthedocs.io/projects/runner/en/latest/remote_jobs/
"""

from __future__ import annotations

import contextlib
import itertools
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible_runner.streaming import Processor, Transmitter

from ansible_env.engine import processes
from ansible_env.engine.ansible_cfg import AnsibleConfig
from ansible_env.engine.arguments import (
    limit_files,
    playbook_arguments,
    without_input,
    write_passwords,
    write_variables,
)
from ansible_env.engine.cold import ColdEngine
from ansible_env.engine.events import Events, unfinished_hosts
from ansible_env.engine.overrides import OVERRIDES, STRATEGY
from ansible_env.engine.private import PLAYBOOK, PrivateDir
from ansible_env.engine.prompts import check_prompts
from ansible_env.engine.protocol import Cancellation, EngineRun, Job, Listener
from ansible_env.engine.run import POLL
from ansible_env.errors import ConfigError, EngineError
from ansible_env.supervisor.variables import LEASE, LOG_DIR, RUN_KEY

UNSEEN = {"ANSIBLE_STRATEGY": STRATEGY, "ANSIBLE_RUN_TAGS": "all", "ANSIBLE_SKIP_TAGS": ""}
"""What overrides an ansible.cfg that we cannot read."""
LOGS = "../artifacts/job/logs"
"""Where the worker keeps logs, seen from its project directory: artifacts come back."""
SETTINGS = {
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    "PYTHONUTF8": "1",
    "ANSIBLE_HOST_KEY_CHECKING": "True",  # ansible-runner turns it off
    "ANSIBLE_PIPELINING": "True",
    LOG_DIR: LOGS,
    "MAX_EVENT_RES": "1000000000",
}


def worker_command(target: str) -> list[str]:
    """Return the command that carries a job to a worker and its events back.

    `ssh://[USER@]HOST[:PORT][/VENV]` is ssh, with the virtual environment that has ansible-env there, where its
    programs are not in the PATH. `command:WORDS` is any command, such as `receptorctl work submit … --payload - -f`.

    Raises:
        ConfigError: it is neither.
    """
    if target.startswith("command:"):
        words = shlex.split(target.removeprefix("command:"))
        if not words:
            raise ConfigError("--worker command: names no command")
        return words
    parts = urlsplit(target)
    if parts.scheme != "ssh" or not parts.hostname or parts.hostname.startswith("-"):
        raise ConfigError(f"--worker {target}: must be ssh://[user@]host[:port][/path/of/venv], or command:…")
    program = f"{parts.path.rstrip('/')}/bin/ansible-runner" if parts.path.strip("/") else "ansible-runner"
    user = ["-l", parts.username] if parts.username else []
    port = ["-p", str(parts.port)] if parts.port else []
    options = ["-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"]
    return ["ssh", *options, *user, *port, "--", parts.hostname, f"{shlex.quote(program)} worker"]


class WorkerEngine(ColdEngine):
    """Runs each job by `ansible-runner worker` at the end of a command.

    The worker is sent what it needs: playbook, inventory, the files beside the environment file. Keys, known_hosts,
    collections and the library are those of its machine. The inventory is also read here, for the names of the hosts.
    To end a run, the engine ends the connection.
    """

    def __init__(self, target: str) -> None:
        """Use a worker, given by its address.

        Raises:
            ConfigError: it is not one that `worker_command` knows.
        """
        super().__init__()
        self._words = worker_command(target)

    def run(self, job: Job, *, listener: Listener | None = None, cancel: Cancellation | None = None) -> EngineRun:
        """Run a job to its end. See `Engine.run`."""
        cancel = cancel or Cancellation()
        if cancel.requested:
            return EngineRun((), None, cancel.reason)
        check_prompts(AnsibleConfig({}, None, Path("/")), job.options)  # the worker has an ansible.cfg of its own
        private = PrivateDir(self._directory())
        try:
            return _RemoteRun(job, private, listener, cancel).run(self._words)
        finally:
            private.remove()


class _RemoteRun:
    """One job on its way to a worker and back."""

    def __init__(self, job: Job, private: PrivateDir, listener: Listener | None, cancel: Cancellation) -> None:
        self._job = job
        self._private = private
        self._listener = listener
        self._cancel = cancel
        self._events = Events()
        self._errors: list[str] = []
        self._stopped = ""

    def run(self, words: list[str]) -> EngineRun:
        """Run the job by a command that has a worker at its other end."""
        arguments = self._prepare()
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,
                    preexec_fn=processes.unblocking(),
                )
            except OSError as error:
                raise EngineError(f"the worker cannot be reached: {words[0]}: {error.strerror}") from error
            done = threading.Event()
            watch = threading.Thread(target=self._watch, args=(process, done), daemon=True)
            watch.start()
            try:
                status = self._talk(process, arguments)
            finally:
                done.set()
                watch.join()
                _end(process)
            errors.seek(0)
            self._errors.append(errors.read().decode("utf-8", "replace"))
        events = tuple(self._events.genuine)
        return EngineRun(events, None, self._stopped, self._message(status), unfinished_hosts(events))

    def _prepare(self) -> dict[str, Any]:
        """Write everything that the worker needs to the private directory, and return the transmitter's arguments."""
        job, options = self._job, self._job.options
        self._write_project()
        for number, path in enumerate(options.extra_vars_files):
            shutil.copy(path, self._private.path / f"env/vars{number}{path.suffix}")
        variables = [f"../env/vars{number}{path.suffix}" for number, path in enumerate(options.extra_vars_files)]
        variables += [f"../env/{path.name}" for path in write_variables(job, self._private)]
        passwords = write_passwords(options, self._private)
        arguments = playbook_arguments(replace(job, limit=self._limit()), self._inventories(), variables)
        arguments += [f"{name}=../env/{path.name}" for name, path in passwords.items()]
        program, first = without_input("ansible-playbook")
        env = {**OVERRIDES, **UNSEEN, **SETTINGS, "JOB_ID": str(self._events.job_id)}
        if job.key is not None:
            env[RUN_KEY] = job.key
        if job.lease is not None:
            env[LEASE] = job.lease
        return {
            "private_data_dir": str(self._private.path),
            "binary": program,
            "ident": "job",
            "cmdline": shlex.join([*first, *arguments, PLAYBOOK]),
            "envvars": env,
            "settings": {"suppress_env_files": True},
        }

    def _write_project(self) -> None:
        """Write the playbook, and copies of the files beside the environment file."""
        job, text = self._job, self._job.playbook
        if job.beside:
            raise EngineError(
                f"a worker does not have the files beside {job.beside[0]}: put them beside the environment file"
            )
        if job.base_dir is not None:  # files beside the environment file are beside the playbook there
            text = text.replace(f"{job.base_dir}/", "")
        self._private.write_playbook(text, job.base_dir, everything=job.uses_files)
        for link in [path for path in (self._private.path / "project").iterdir() if path.is_symlink()]:
            _copy(link.resolve(), link)

    def _limit(self) -> str | None:
        """Return the limit with the files that it names as the worker sees them, and copy those."""
        limit = self._job.limit
        for number, path in enumerate(limit_files(limit)):
            try:
                self._private.write(f"env/limit{number}", path.read_text(encoding="utf-8"))
            except OSError as error:
                raise EngineError(f"{path}: {error.strerror}") from error
        numbers = itertools.count()
        parts = [f"@../env/limit{next(numbers)}" if part[:1] == "@" else part for part in (limit or "").split(",")]
        return limit and ",".join(parts)

    def _inventories(self) -> list[str]:
        """Copy the inventory with its variables, and return its sources as the worker sees them."""
        sources: list[str] = []
        for number, source in enumerate(self._job.inventory.arguments(self._private.path / "env")):
            if "," in source:
                sources.append(source)
                continue
            path, place = Path(source), self._private.path / f"sources{number}"
            if path.is_dir():
                _copy(path, place)
                sources.append(f"../{place.name}")
                continue
            place.mkdir()
            for name in (path.name, "group_vars", "host_vars"):
                if (path.parent / name).exists():
                    _copy(path.parent / name, place / name)
            sources.append(f"../{place.name}/{path.name}")
        return sources

    def _talk(self, process: subprocess.Popen[bytes], arguments: Mapping[str, Any]) -> str:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 - for mypy
        # A worker that does not take the job has its reasons: they are on its stderr.
        with contextlib.suppress(BrokenPipeError):
            Transmitter(_output=process.stdin, **arguments).run()
            process.stdin.flush()
        back = Path(tempfile.mkdtemp(prefix="back-", dir=self._private.path))
        processor = Processor(
            _input=process.stdout,
            private_data_dir=str(back),
            ident="job",
            quiet=True,
            settings={},
            event_handler=self._on_event,
            status_handler=self._on_status,
        )
        status, _ = processor.run()
        if self._job.logs is not None and (logs := back / "artifacts/job/logs").is_dir():
            shutil.copytree(logs, self._job.logs, dirs_exist_ok=True)
        return str(status)

    def _on_event(self, event: dict[str, Any]) -> bool:
        if not self._events.add(event):
            return False
        data = event.get("event_data") or {}
        result: Any = data.get("res")
        result = result if isinstance(result, dict) else {}
        for name in ("stdout_log", "stderr_log", "files_dir"):
            if name in result:
                result[name] = str(self._job.logs / Path(result[name]).name) if self._job.logs else None
        if self._listener is not None:
            self._listener.on_event(event)
            for stream in ("stdout", "stderr"):  # not before the script's end: logs come with the artifacts
                if "run_id" in result and result.get(stream):
                    self._listener.on_output(str(data.get("host")), stream, str(result[stream]))
        return False

    def _on_status(self, data: Mapping[str, Any], runner_config: Any) -> None:
        for name in ("job_explanation", "result_traceback"):
            if data.get(name):
                self._errors.append(str(data[name]))
        if data.get("status") == "error" and not data.get("job_explanation"):
            self._errors.append("the worker could not run the job")

    def _watch(self, process: subprocess.Popen[bytes], done: threading.Event) -> None:
        """End the connection when the job is canceled or its deadline passes."""
        end = None if self._job.timeout is None else time.monotonic() + self._job.timeout
        while not done.wait(POLL):
            if self._cancel.requested:
                self._stopped = self._cancel.reason
            elif end is not None and time.monotonic() >= end:
                self._stopped = "timeout"
            if self._stopped:
                process.terminate()
                return

    def _message(self, status: str) -> str:
        """Return what the worker reported, if Ansible did not reach the end of the playbook."""
        if self._stopped or self._events.complete:
            return ""
        text = " ".join(" ".join([self._events.message(), *self._errors]).split())
        return text[:1000] or f"the worker ended with the status {status!r}"


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a directory in the place of a link: what is sent may not point to this machine."""
    if target.is_symlink():
        target.unlink()
    if source.is_dir():
        shutil.copytree(source, target, ignore_dangling_symlinks=True)
    else:
        shutil.copy2(source, target)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command, and wait for it."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
