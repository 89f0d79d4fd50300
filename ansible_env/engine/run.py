"""The run of one job by ansible-runner."""

from __future__ import annotations

import functools
import os
import shlex
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from typing import Any

import ansible_runner.interface
from ansible_runner.exceptions import AnsibleRunnerException

from ansible_env.engine import processes, terminal
from ansible_env.engine.ansible_cfg import working_directory
from ansible_env.engine.arguments import playbook_arguments, write_passwords, write_variables
from ansible_env.engine.events import Events
from ansible_env.engine.private import PrivateDir
from ansible_env.engine.protocol import Cancellation, EngineRun, Event, Job, Listener
from ansible_env.engine.watch import Watch
from ansible_env.errors import EngineError

POLL = 0.2
"""Seconds between two checks of deadlines, cancellation and new output while a job runs."""
ENDED_BY_ITSELF = (0, 2, 4)
"""Exit statuses with which ansible-playbook has waited for all of its workers."""


class Run:
    """Runs one job by ansible-runner, and ends all of its processes."""

    def __init__(self, job: Job, private: PrivateDir, listener: Listener | None, cancel: Cancellation) -> None:
        terminal.install()
        self.id = uuid.uuid4().hex
        self._job = job
        self._private = private
        self._listener = None if listener is None else _GuardedListener(listener, self._on_listener_error)
        self._cancel = cancel
        self._events = Events()
        self._failure: BaseException | None = None
        self._done = threading.Event()
        self._logs = job.logs or (None if listener is None else private.follow_logs())
        self._watch = Watch(job, self.id, private, cancel)
        self._watch.follow(self._logs, self._listener)
        self._runner: Any = None

    def prepare(self, env: Mapping[str, str], program: str, first: Sequence[str]) -> None:
        """Write the private directory and set up ansible-runner.

        Raises:
            EngineError: ansible-runner refuses the job.
        """
        job = self._job
        playbook = self._private.write_playbook(job.playbook, job.base_dir, job.beside, everything=job.uses_files)
        variables = [*job.options.extra_vars_files, *write_variables(job, self._private)]
        arguments = playbook_arguments(job, job.inventory.arguments(self._private.path / "env"), variables)
        arguments += [f"{name}={path}" for name, path in write_passwords(job.options, self._private).items()]
        try:
            settings = {
                "private_data_dir": str(self._private.path),
                "binary": program,
                "cmdline": shlex.join([*first, *arguments, str(playbook)]),
                "settings": {"pexpect_timeout": POLL, "suppress_output_file": True},
                "quiet": True,
                "fact_cache_type": "",
                "ident": "job",
                "event_handler": self._on_event,
                "cancel_callback": self._on_poll,
                "finished_callback": None,
            }
            self._runner = ansible_runner.interface.init_runner(**{**settings, **self.isolation(env)})
        except (AnsibleRunnerException, OSError, ValueError) as error:
            raise EngineError(f"ansible-runner could not be set up: {error}") from error
        if not self._runner.config.containerized:
            self._runner.config.cwd = str(working_directory())  # what relative paths start from
        own = {name: value for name, value in self._runner.config.env.items() if os.environ.get(name) != value}
        own.pop("ANSIBLE_HOST_KEY_CHECKING", None)  # ansible-runner turns it off
        own.pop("ORIGINAL_STDOUT_CALLBACK", None)  # the caller's, which we do not pass
        self._runner.config.env = {**own, **env, "JOB_ID": str(self._events.job_id)}

    def run(self) -> EngineRun:
        """Run the job to its end, in its own thread, so that Ctrl-C interrupts only the wait for it."""
        drive = functools.partial(copy_context().run, self._drive)  # its log records are about the same
        thread = threading.Thread(target=drive, name=f"ansible_env-{self.id[:8]}", daemon=True)
        thread.start()
        try:
            # Not join(): an interrupted one takes the thread for ended (https://github.com/python/cpython/issues/90882).
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
        return self._result()

    def end(self) -> None:
        """End all of its processes: TERM, and soon KILL."""
        processes.end(self.id)

    def isolation(self, env: Mapping[str, str]) -> dict[str, Any]:
        """Return further settings of ansible-runner, for engines that run Ansible in another place."""
        return {}

    def _result(self) -> EngineRun:
        rc = self._runner.rc
        complete = self._events.complete and rc in ENDED_BY_ITSELF
        message = "" if complete else self._message(rc)
        unfinished = tuple(dict.fromkeys(self._private.waiting().values()))
        return EngineRun(tuple(self._events.genuine), rc, self._watch.stopped, message, unfinished)

    def _drive(self) -> None:
        try:
            self._runner.run()
            if self._watch.stopped or self._runner.rc not in ENDED_BY_ITSELF or self._private.waiting():
                # A worker that was killed ends ansible-playbook, which sends SIGTERM to the other ones and goes.
                self._end_scripts(asked=self._runner.rc is not None)
        except BaseException as error:
            if isinstance(error, OSError) and self._events.complete and self._runner.rc in ENDED_BY_ITSELF:
                return  # ansible-runner cannot write how the run ended, and every event has arrived
            self._failure = error
            if isinstance(error, AnsibleRunnerException):
                self._failure = EngineError(f"ansible-runner failed: {error}")
                self._failure.__cause__ = error
            self._end_scripts()
        finally:
            self._done.set()

    def _end_scripts(self, *, asked: bool = False) -> None:
        """End what is left of the run: the workers that wait for a script end that first; then end the processes."""
        self._watch.stop(asked=asked)
        give_up = time.monotonic() + self._job.grace + 10
        while processes.marked(self.id) and time.monotonic() < give_up:
            self._watch.poll(time.monotonic())
            time.sleep(POLL)
        self.end()

    def _on_listener_error(self, error: BaseException) -> None:
        """End the run in order; the error is raised after that."""
        self._failure = self._failure or error
        self._watch.stop()

    def _on_event(self, event: dict[str, Any]) -> bool:
        """Keep a genuine event. False prevents ansible-runner from writing a file for it."""
        if self._events.add(event):
            self._watch.pid = event.get("pid") or self._watch.pid
            if self._listener is not None:
                self._listener.on_event(event)
        return False

    def _on_poll(self) -> bool:
        """Check deadlines and cancellation; ansible-runner's own way of ending a run leaves workers behind."""
        self._watch.poll(time.monotonic())
        return False

    def _message(self, rc: int | None) -> str:
        """Return the error with which Ansible ended. It names the author's files, not our links to these."""
        how = "a signal" if rc is None else f"exit status {rc}"
        message = self._events.message() or f"ansible-playbook ended with {how}"
        return message.replace(str(self._private.path / "project"), str(self._job.base_dir or "."))


class _GuardedListener(Listener):
    """A listener that is not called again after its first error, which goes to `on_error`."""

    def __init__(self, listener: Listener, on_error: Callable[[BaseException], None]) -> None:
        self._listener: Listener | None = listener
        self._on_error = on_error

    def on_event(self, event: Event) -> None:
        self._guarded(lambda listener: listener.on_event(event))

    def on_output(self, host: str, stream: str, text: str) -> None:
        self._guarded(lambda listener: listener.on_output(host, stream, text))

    def _guarded(self, call: Callable[[Listener], None]) -> None:
        try:
            if self._listener is not None:
                call(self._listener)
        except BaseException as error:
            self._listener = None
            self._on_error(error)
