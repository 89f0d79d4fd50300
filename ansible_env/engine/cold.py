"""The plain engine: one ansible-runner run, and one new ansible-playbook process, for each phase."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import shlex
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import Any

import ansible_runner
import ansible_runner.interface
from ansible_runner.exceptions import AnsibleRunnerException

from ansible_env.common import Owner, get_logger
from ansible_env.engine import processes, terminal
from ansible_env.engine.environ import ansible_program, find_config, passed, settings
from ansible_env.engine.inventory import Inventory
from ansible_env.engine.leftovers import make_base, remove_base, sweep
from ansible_env.engine.listing import list_hosts
from ansible_env.engine.private import PrivateDir
from ansible_env.engine.protocol import Cancellation, Engine, EngineRun, Event, Job, Listener, Options
from ansible_env.engine.watch import Watch
from ansible_env.errors import EngineError
from ansible_env.playbook.names import SECRETS_VAR
from ansible_env.supervisor.variables import LOG_DIR, OWNER, RESULTS_DIR, RUN_KEY

logger = get_logger(__name__)

MAX_FORKS = 50
POLL = 0.2
"""Seconds between two looks at deadlines, cancellation and new output while a job runs."""


class ColdEngine(Engine):
    """Runs each job in a process of its own. Safe to be used from several threads at once."""

    def __init__(self) -> None:
        terminal.install()
        self._base: Path | None = None
        self._lock = threading.Lock()

    def hosts(self, inventory: Inventory, pattern: str, limit: str | None, options: Options) -> Sequence[str]:
        """Return the hosts that a pattern stands for. See `Engine.hosts`."""
        private = PrivateDir(self._directory())
        try:
            env = self._environment(options, "listing", private)
            arguments = [flag for source in inventory.arguments(private.path / "env") for flag in ("-i", source)]
            program, first = self._command("ansible", env)
            command = [program, *first, *arguments, *vault_arguments(options)]
            return list_hosts(command, pattern, limit, env, inventory.sources)
        finally:
            private.remove()

    def run(self, job: Job, *, listener: Listener | None = None, cancel: Cancellation | None = None) -> EngineRun:
        """Run a job to its end. See `Engine.run`."""
        if cancel is not None and cancel.requested:  # the first look at it while a job runs may come too late
            return EngineRun((), None, cancel.reason)
        private = PrivateDir(self._directory())
        run = self._new_run(job, private, listener, cancel or Cancellation())
        try:
            env = self._environment(job.options, run.id, private, job)
            run.prepare(env, *self._command("ansible-playbook", env))
            done = run.run()
        except BaseException:
            run.end()
            raise
        else:
            if done.stopped or done.rc is None:
                run.end()
            return done
        finally:
            private.remove()

    def close(self) -> None:
        """End the shared ssh connections and remove the directory they were in."""
        with self._lock:
            base, self._base = self._base, None
        if base is not None:
            remove_base(base)

    def _new_run(self, job: Job, private: PrivateDir, listener: Listener | None, cancel: Cancellation) -> Run:
        return Run(job, private, listener, cancel)

    def _command(self, program: str, env: Mapping[str, str]) -> tuple[str, Sequence[str]]:
        """Return what to start for an Ansible program, and the arguments that come first."""
        return ansible_program(program), []

    def _directory(self) -> Path:
        """Return the directory of this engine. Its path is short: a control socket's may have 104 bytes."""
        with self._lock:
            if self._base is None:
                parent = _short_temp()
                sweep(parent)
                self._base = make_base(parent)
            return self._base

    def _environment(self, options: Options, run: str, private: PrivateDir, job: Job | None = None) -> dict[str, str]:
        config = find_config(os.environ, Path.cwd(), options.config_file)
        env = passed(os.environ, options.pass_env)
        env |= settings(env, config, run=run, private=private.path, sockets=self._directory() / "cp")
        env[OWNER] = Owner.this().to_text()
        if job is not None and job.logs is not None:
            env[LOG_DIR] = str(job.logs)
        if job is not None and job.key is not None:
            env |= {RUN_KEY: job.key, RESULTS_DIR: str(job.results or "")}
        return env


class Run:
    """One job on its way through ansible-runner."""

    def __init__(self, job: Job, private: PrivateDir, listener: Listener | None, cancel: Cancellation) -> None:
        self.id = uuid.uuid4().hex
        self._job = job
        self._private = private
        self._listener = None if listener is None else _Guarded(listener, self._on_listener_error)
        self._cancel = cancel
        # Events can be forged by text on the terminal; genuine ones carry the number that only ansible-playbook knows.
        self._nonce = secrets.randbelow(2**53)
        self._events: list[Event] = []
        self._words: list[str] = []
        self._failure: BaseException | None = None
        self._done = threading.Event()
        self._logs = job.logs or (None if listener is None else private.follow_logs())
        self._watch = Watch(job, self.id, private, self._logs, self._listener, cancel)
        self._runner: Any = None

    def prepare(self, env: Mapping[str, str], program: str, first: Sequence[str]) -> None:
        """Write the private directory and set ansible-runner up."""
        job = self._job
        playbook = self._private.write_playbook(job.playbook, job.base_dir, job.beside, everything=job.uses_files)
        try:
            given = {
                "private_data_dir": str(self._private.path),
                "binary": program,
                "cmdline": shlex.join([*first, *self._arguments(), str(playbook)]),
                "settings": {"pexpect_timeout": POLL, "suppress_output_file": True},
                "quiet": True,
                "fact_cache_type": "",
                "ident": "job",
                "event_handler": self._on_event,
                "cancel_callback": self._on_poll,
                "finished_callback": None,
            }
            self._runner = ansible_runner.interface.init_runner(**{**given, **self.isolation(env)})
        except (AnsibleRunnerException, OSError, ValueError) as error:
            raise EngineError(f"ansible-runner could not be set up: {error}") from error
        own = {name: value for name, value in self._runner.config.env.items() if os.environ.get(name) != value}
        own.pop("ANSIBLE_HOST_KEY_CHECKING", None)  # ansible-runner turns it off
        own.pop("ORIGINAL_STDOUT_CALLBACK", None)  # the caller's, which we do not pass
        self._runner.config.env = {**own, **env, "JOB_ID": str(self._nonce)}

    def run(self) -> EngineRun:
        """Run it in a thread of its own, so that Ctrl-C in the main thread finds us waiting and nothing half done."""
        drive = functools.partial(copy_context().run, self._drive)  # its log records are about the same
        thread = threading.Thread(target=drive, name=f"ansible_env-{self.id[:8]}", daemon=True)
        thread.start()
        try:
            # Not join(): one that was interrupted takes the thread for ended (https://github.com/python/cpython/issues/90882).
            self._done.wait()
        except BaseException:
            # A caller who has asked for the end before, and interrupts us now, does not want to wait for it.
            waiting = not self._cancel.requested
            self._cancel.cancel()
            if waiting:
                self._done.wait(self._job.grace + 10)
            raise
        thread.join()
        self._watch.drain()
        if self._failure is not None:
            raise self._failure
        rc = self._runner.rc
        has_stats = any(event.get("event") == "playbook_on_stats" for event in self._events)
        message = "" if has_stats and rc in (0, 2, 4) else self._message(rc)
        return EngineRun(tuple(self._events), rc, self._watch.stopped, message)

    def _drive(self) -> None:
        try:
            self._runner.run()
        except AnsibleRunnerException as error:
            self._failure = EngineError(f"ansible-runner failed: {error}")
            self._failure.__cause__ = error
            self._end()
        except BaseException as error:
            self._failure = error
            self._end()
        finally:
            self._done.set()

    def end(self) -> None:
        """End all of its processes, without asking."""
        processes.end(self.id)

    def isolation(self, env: Mapping[str, str]) -> dict[str, Any]:
        """Return what ansible-runner is told besides, where it is not to run Ansible on this machine as it is."""
        return {}

    def _end(self) -> None:
        """End a run that ansible-runner has given up, scripts first: their workers are told, and waited for."""
        self._watch.stop()
        give_up = time.monotonic() + self._job.grace + 10
        while processes.marked(self.id) and time.monotonic() < give_up:
            self._watch.look(time.monotonic())
            time.sleep(POLL)
        self.end()

    def _on_listener_error(self, error: BaseException) -> None:
        """End the run in order; the error is raised after that."""
        self._failure = self._failure or error
        self._watch.stop()

    def _arguments(self) -> list[str]:
        job, options = self._job, self._job.options
        arguments = [flag for source in job.inventory.arguments(self._private.path / "env") for flag in ("-i", source)]
        if job.limit:
            arguments.append(f"--limit={job.limit}")
        arguments += ["--forks", str(options.forks or min(max(len(job.hosts), 5), MAX_FORKS))]
        for path in options.extra_vars_files:
            arguments += ["-e", f"@{path}"]
        if options.extra_vars:
            arguments += ["-e", f"@{self._private.write_variables('extra_vars', options.extra_vars)}"]
        if job.secrets:
            values = {SECRETS_VAR: marked_unsafe(job.secrets)}
            arguments += ["-e", f"@{self._private.write_variables('secrets', values)}"]
        arguments += ["--check"] if options.check else []
        arguments += ["--diff"] if options.diff else []
        if options.verbosity:
            arguments.append(f"-{'v' * options.verbosity}")
        return [*arguments, *options.arguments]

    def _on_event(self, event: dict[str, Any]) -> bool:
        """Keep a genuine event; False has ansible-runner write no file for it."""
        if event.get("job_id") == self._nonce:
            self._watch.pid = event.get("pid") or self._watch.pid
            self._events.append(event)
            if self._listener is not None:
                self._listener.on_event(event)
        elif event.get("job_id") is not None or str(event.get("event", "")).startswith(("runner_", "playbook_")):
            logger.warning("an event that Ansible did not send was ignored: somebody forged it")
        text = event.get("stdout")
        if text and event.get("event") in ("verbose", "error", "warning", "system_warning"):
            self._words.append(text)
        return False

    def _on_poll(self) -> bool:
        """Look after deadlines and cancellation; ansible-runner's own way of ending a run leaves workers behind."""
        self._watch.look(time.monotonic())
        return False

    def _message(self, rc: int | None) -> str:
        """Return what Ansible said before it gave up."""
        text = "\n".join(self._words).strip()
        lines = [line for line in text.splitlines() if line.strip()]
        # ansible-core says in which file and line on a line of its own.
        errors = [line for line in lines if "ERROR" in line or line.startswith("Origin: ")] or lines[-3:]
        said = " ".join(" ".join(errors[-4:]).split())
        return said[:1000] or f"ansible-playbook ended with {'a signal' if rc is None else f'exit status {rc}'}"


class _Guarded:
    """A listener that is not called again after its first error, which goes to `on_error`."""

    def __init__(self, listener: Listener, on_error: Callable[[BaseException], None]) -> None:
        self._listener: Listener | None = listener
        self._on_error = on_error

    def on_event(self, event: Event) -> None:
        with self._guard() as listener:
            if listener is not None:
                listener.on_event(event)

    def on_output(self, host: str, stream: str, text: str) -> None:
        with self._guard() as listener:
            if listener is not None:
                listener.on_output(host, stream, text)

    @contextlib.contextmanager
    def _guard(self) -> Iterator[Listener | None]:
        try:
            yield self._listener
        except BaseException as error:
            self._listener = None
            self._on_error(error)


def marked_unsafe(value: Any) -> Any:
    """Mark each string in JSON data as not to be templated (ansible/parsing/ajson.py)."""
    if isinstance(value, Mapping):
        return {key: marked_unsafe(item) for key, item in value.items()}
    return {"__ansible_unsafe": str(value)}


def vault_arguments(options: Options) -> list[str]:
    """Return those arguments for ansible-playbook that reading an inventory needs, too."""
    found: list[str] = []
    takes = ("--vault-id", "--vault-password-file", "--vault-pass-file")
    arguments = iter(options.arguments)
    for argument in arguments:
        if argument in takes:
            found += [argument, next(arguments, "")]
        elif argument.startswith(tuple(f"{name}=" for name in takes)):
            found.append(argument)
    return found


def _short_temp() -> str | None:
    """Return the usual directory for temporary files, or /tmp where that one's name cannot be that of a socket's.

    It would be too long, or hold what ssh takes for its own: `%h`, spaces, quotes.
    """
    usual = tempfile.gettempdir()
    return usual if len(usual) < 40 and re.fullmatch(r"[A-Za-z0-9_./+-]+", usual) else "/tmp"  # noqa: S108
