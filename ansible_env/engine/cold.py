"""The cold engine: one ansible-runner run, and one new ansible-playbook process, for each phase."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_env.common import Owner, get_logger, reason
from ansible_env.engine.arguments import inventory_arguments, vault_arguments
from ansible_env.engine.environ import ansible_program, passed, settings, user_config
from ansible_env.engine.inventory import Inventory
from ansible_env.engine.leftovers import has_room, make_base, remove_base, remove_leftovers, usable_temp
from ansible_env.engine.listing import list_hosts
from ansible_env.engine.private import PrivateDir
from ansible_env.engine.prompts import check_prompts
from ansible_env.engine.protocol import Cancellation, Engine, EngineRun, Job, Listener, Options
from ansible_env.errors import EngineError
from ansible_env.supervisor.variables import LEASE, LOG_DIR, OWNER, RESULTS_DIR, RUN_KEY

if TYPE_CHECKING:
    from ansible_env.engine.run import Run

logger = get_logger(__name__)

_engines: weakref.WeakSet[ColdEngine] = weakref.WeakSet()


@atexit.register
def _close_engines() -> None:
    """Close the engines that a program has not closed."""
    for engine in list(_engines):
        engine.close()


class ColdEngine(Engine):
    """Runs each job in a new ansible-playbook process. Threads can share an engine.

    The directory and the processes of an engine belong to the process that created them. A process that is forked from
    it creates its own when it needs them, and does not touch the others.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._base: Path | None = None
        self._full: list[Path] = []
        self._runs: set[Run] = set()
        _engines.add(self)

    def hosts(self, inventory: Inventory, pattern: str, limit: str | None, options: Options) -> Sequence[str]:
        """Return the hosts that a pattern selects. See `Engine.hosts`."""
        private = PrivateDir(self._directory())
        try:
            env: Mapping[str, str] = self._environment(options, "listing", private)
            sources = inventory_arguments(inventory.arguments(private.path / "env"))
            command, env = self._listing(inventory, options, env, private.path)
            command = [*command, *sources, *vault_arguments(options)]
            return list_hosts(command, pattern, limit, env, inventory.sources)
        finally:
            private.remove()

    def run(self, job: Job, *, listener: Listener | None = None, cancel: Cancellation | None = None) -> EngineRun:
        """Run a job to its end. See `Engine.run`."""
        if cancel is not None and cancel.requested:  # the first check while a job runs may come too late
            return EngineRun((), None, cancel.reason)
        private = PrivateDir(self._directory())
        run = self._new_run(job, private, listener, cancel or Cancellation())
        self._runs.add(run)
        try:
            env = self._environment(job.options, run.id, private, job)
            run.prepare(env, *self._command("ansible-playbook", env))
            return run.run()
        except BaseException:
            run.end()
            raise
        finally:
            self._runs.discard(run)
            private.remove()

    def close(self) -> None:
        """End the shared ssh connections and remove the directory of their sockets.

        A run that another thread still waits for is ended first: its processes would make the directory anew.
        """
        if self._is_forked():
            return
        for run in list(self._runs):
            run.end()
        with self._lock:
            bases, self._base, self._full = [*self._full, self._base], None, []
        for base in bases:
            if base is not None:
                remove_base(base)

    def _new_run(self, job: Job, private: PrivateDir, listener: Listener | None, cancel: Cancellation) -> Run:
        from ansible_env.engine.run import Run  # brings ansible-runner; meanwhile the fork server loads Ansible

        return Run(job, private, listener, cancel)

    def _command(self, program: str, env: Mapping[str, str]) -> tuple[str, Sequence[str]]:
        """Return the program to start for an Ansible program, and its first arguments."""
        return ansible_program(program), []

    def _listing(
        self, inventory: Inventory, options: Options, env: Mapping[str, str], private: Path
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return the command that runs `ansible` to list hosts, without arguments, and its environment."""
        program, first = self._command("ansible", env)
        return [program, *first], env

    def _directory(self) -> Path:
        """Return the directory of this engine; a new one if it was removed or belongs to another process."""
        if self._is_forked():
            self._after_fork()
        with self._lock:
            if self._base is None or not self._base.is_dir() or not has_room(self._base):
                self._base = self._new_base()
            (self._base / "cp").mkdir(mode=0o700, exist_ok=True)
            return self._base

    def _new_base(self) -> Path:
        """Return a new directory, if possible where there is room; the one that is full is in use until the end."""
        places = usable_temp()
        if self._base is not None and self._base.is_dir():
            if not has_room(places[0]):
                return self._base
            self._full.append(self._base)
            logger.warning("%s is full: temporary files are in %s", self._base.parent, places[0])
        for place in places:
            remove_leftovers(place)
        refused = None
        for place in places:
            try:
                return make_base(place)
            except OSError as error:
                refused = refused or error
        assert refused is not None  # noqa: S101 - for mypy
        raise EngineError(f"no directory for temporary files: {reason(refused)}") from refused

    def _is_forked(self) -> bool:
        """Whether the engine's directory and processes belong to the process from which this one was forked."""
        return self._pid != os.getpid()

    def _after_fork(self) -> None:
        """Drop the objects of the process from which this one was forked; its threads may hold their locks."""
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._base, self._full, self._runs = None, [], set()

    def _environment(self, options: Options, run: str, private: PrivateDir, job: Job | None = None) -> dict[str, str]:
        env = passed(os.environ, options.pass_env)
        config = user_config(options)
        check_prompts(config, options, only_inventory=job is None)
        env |= settings(env, config, run=run, private=private.path, sockets=self._directory() / "cp")
        env[OWNER] = Owner.this().to_text()
        if job is not None and job.logs is not None:
            env[LOG_DIR] = str(job.logs)
        if job is not None and job.key is not None:
            env |= {RUN_KEY: job.key, RESULTS_DIR: str(job.results or "")}
        if job is not None and job.lease is not None:
            env[LEASE] = job.lease
        return env
