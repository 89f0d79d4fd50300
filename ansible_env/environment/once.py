"""`Once`: `setup_once` and `teardown_once`, which run once on each host for many trials.

A part is one run of both on some hosts. It is a trial of its own, with a directory of its own: `setup_once` is its
setup, `teardown_once` its teardown. So `attach` finishes it like any other trial.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ansible_env.common import get_logger
from ansible_env.config.model import EnvironmentConfig
from ansible_env.errors import AnsibleEnvError
from ansible_env.results.host_result import HostResult
from ansible_env.results.observer import TrialObserver
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.trial import TrialRequest
from ansible_env.storage.bundle.bundle import RESULT, Bundle
from ansible_env.storage.bundle.files import make_private
from ansible_env.storage.journal import Journal

logger = get_logger(__name__)

PREFIX = "once-"
"""The beginning of the name of a part's directory, which is beside those of the trials."""
AT_ONCE = 32
"""Parts that are torn down at the same time."""


class Environment(Protocol):
    """What is needed of a `RemoteEnv`."""

    config: EnvironmentConfig
    logs: Path | None
    journal: Journal | None
    results: dict[str, PhaseResult]

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts."""

    @property
    def is_canceled(self) -> bool:
        """Whether the end of the trial was requested."""

    def on_once(self, hosts: Sequence[str]) -> Environment:
        """Return the environment of a part."""

    def __enter__(self) -> object: ...

    def __exit__(self, kind: None, value: None, trace: None) -> object: ...

    @property
    def is_ready(self) -> bool:
        """Whether setup has succeeded."""

    def start_trial(self, request: TrialRequest, directory: Path | None = None, **known: Any) -> object:
        """Start a trial that only `finish_trial` ends."""

    def attach(self) -> PhaseResult | None:
        """Resume the phase in which a controller was killed."""

    def finish_trial(self) -> object:
        """Finish the trial."""

    def setup(self, tunables: Any = None, global_config: Mapping[str, Any] | None = None) -> bool:
        """Run setup."""

    def run_phase(self, phase: str) -> PhaseResult:
        """Run a phase."""

    def cancel_teardown(self) -> None:
        """End a teardown."""

    def release(self) -> None:
        """Give back the leases."""


class Once:
    """The parts of an environment. Trials on different hosts may ask for one at the same time."""

    def __init__(self) -> None:
        self.values: Mapping[str, Any] = {}
        """Values of tunables that all trials share."""
        self.observers: tuple[TrialObserver, ...] = ()
        """Follow the parts, which are no trials for the observers of the environment."""
        self.lasts = False
        """Whether the hosts stay prepared when the context of the environment ends."""
        self._lock = threading.Lock()
        self._count = 0
        self._prepared: set[str] = set()
        self._failed: dict[str, HostResult] = {}
        self._parts: list[Environment] = []
        self._abandoned = False

    def prepare(self, env: Environment) -> PhaseResult | None:
        """Run `setup_once` on the hosts of a trial where it has not run, and return its result; None if there are none.

        If it fails, `teardown_once` follows at once, and the next trial on one of the hosts tries it again.

        Raises:
            AnsibleEnvError: it could not be started.
        """
        if env.config.once is None or env.is_canceled:
            return None
        hosts = [host for host in env.hosts if host not in self._prepared]
        if not hosts:
            return None
        part = self._begin(env, hosts)
        try:
            ready = part.setup(self.values, {"trial_id": 0})
        except AnsibleEnvError:
            self._end(part)
            raise
        result = part.results.get("setup")
        if not ready:
            self._end(part)
            return result and replace(result, phase="setup_once")
        part.release()
        with self._lock:
            self._prepared.update(hosts)
            self._failed |= {host.host: host for host in result.failed_hosts} if result else {}
        return result and replace(result, phase="setup_once")

    def resume(self, env: Environment, call: Path) -> None:
        """Resume the parts that an interrupted call has left: hosts that it prepared stay so until `finish`.

        A part whose `setup_once` did not succeed is torn down.

        Raises:
            ConfigError: a record cannot be read.
            LifecycleError: another process finishes a part.
        """
        paths = {int(path.name.removeprefix(PREFIX)): path for path in call.glob(f"{PREFIX}[0-9]*")}
        self._count = max(paths, default=0)
        for _, path in sorted(paths.items()):
            if not (path / "state.json").exists() or (path / RESULT).exists():
                continue
            journal, bundle = Journal.open(path), Bundle.open(path)
            hosts = [host for host in journal.recall("hosts") or () if host in env.hosts]
            part = env.on_once(hosts)
            part.logs, part.journal = path / "logs", journal
            part.__enter__()
            request = TrialRequest(0, self.values, {"trial_id": 0})
            part.start_trial(request, path, uid=bundle.uid, started=bundle.created)
            with self._lock:
                self._parts.append(part)
            part.attach()
            if not part.is_ready:
                logger.warning("%s had not prepared its hosts: it is torn down", path.name)
                self._end(part)
                continue
            part.release()
            with self._lock:
                self._prepared.update(hosts)
                setup = part.results.get("setup")
                self._failed |= {host.host: host for host in setup.failed_hosts} if setup else {}

    def failed(self, hosts: Iterable[str]) -> dict[str, HostResult]:
        """Return the results of hosts on which it failed, though enough others were prepared to continue."""
        return {host: self._failed[host] for host in hosts if host in self._failed}

    def tear_down(self, env: Environment) -> None:
        """Run `teardown_once` alone, on hosts that another process has prepared."""
        if env.config.teardown_once:
            self._end(self._begin(env, env.hosts))

    def finish(self) -> None:
        """Run `teardown_once` wherever `setup_once` has run. A failure is logged."""
        with self._lock:
            parts = [] if self._abandoned else list(self._parts)
            self._prepared.clear()
            self._failed.clear()
        if len(parts) == 1:
            self._end(parts[0])
        elif parts:
            with ThreadPoolExecutor(min(len(parts), AT_ONCE), "ansible_env-once") as pool:
                list(pool.map(self._end, parts))

    def abandon(self) -> list[Path]:
        """Wait for no part any more; return the directories of those that are not finished, for `attach`."""
        self._abandoned = True
        parts = list(self._parts)
        for part in parts:
            part.cancel_teardown()
        return [part.journal.directory for part in parts if part.journal is not None]

    def _begin(self, env: Environment, hosts: Sequence[str]) -> Environment:
        part = env.on_once(hosts)
        with self._lock:
            self._count += 1
            number = self._count
        directory = None
        if env.journal is not None:
            directory = env.journal.directory.parent / f"{PREFIX}{number}"
            make_private(directory)
            part.logs, part.journal = directory / "logs", Journal(directory)
        part.__enter__()
        part.start_trial(TrialRequest(0, self.values, {"trial_id": 0}), directory)
        with self._lock:
            self._parts.append(part)
        return part

    def _end(self, part: Environment) -> None:
        """Tear down a part and finish it. After `abandon` it stays as it is, for `attach`."""
        if self._abandoned:
            return
        try:
            if part.config.teardown:
                result = part.run_phase("teardown")
                if not result.status.is_succeeded():
                    logger.warning("teardown_once: %s", result.summary())
        except AnsibleEnvError as error:
            logger.warning("teardown_once on %s: %s", ", ".join(part.hosts), error)
        if self._abandoned:
            return
        part.finish_trial()
        part.__exit__(None, None, None)
        with self._lock:
            self._parts.remove(part)
