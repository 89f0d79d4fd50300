"""The warm engine: as the cold one, but ansible-playbook is forked from a process that has Ansible loaded.

The session engine prepares such a process before its phase comes.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence

from ansible_env.common import get_logger
from ansible_env.engine.cold import ColdEngine
from ansible_env.engine.environ import ansible_program
from ansible_env.engine.forkserver import client
from ansible_env.engine.inventory import Inventory
from ansible_env.engine.listing import NotStartedError
from ansible_env.engine.protocol import Cancellation, EngineRun, Job, Listener, Options
from ansible_env.engine.server import ForkServer, key_of
from ansible_env.supervisor.variables import PER_RUN

logger = get_logger(__name__)


class WarmEngine(ColdEngine):
    """Forks each ansible-playbook from a fork server, which is started when it is first needed.

    If this fails, the job runs as in the cold engine, and a warning gives the reason.
    """

    prepared = 0
    """Processes that the fork server prepares for the phases to come."""

    def __init__(self) -> None:
        super().__init__()
        self._broken = False
        self._servers: dict[str, ForkServer] = {}
        self._servers_lock = threading.Lock()
        self._reported: set[str] = set()

    def hosts(self, inventory: Inventory, pattern: str, limit: str | None, options: Options) -> Sequence[str]:
        """Return the hosts that a pattern selects. See `Engine.hosts`."""
        try:
            return super().hosts(inventory, pattern, limit, options)
        except NotStartedError as error:
            self._give_up(error)
            return super().hosts(inventory, pattern, limit, options)

    def run(self, job: Job, *, listener: Listener | None = None, cancel: Cancellation | None = None) -> EngineRun:
        """Run a job to its end. See `Engine.run`."""
        self._report()
        run = super().run(job, listener=listener, cancel=cancel)
        if run.rc != client.NOT_STARTED or run.events:
            return run
        self._give_up(run.message)
        return super().run(job, listener=listener, cancel=cancel)

    def close(self) -> None:
        """End the fork servers and the shared ssh connections."""
        if not self._is_forked():
            with self._servers_lock:
                servers, self._servers = list(self._servers.values()), {}
            for server in servers:
                server.close()
        super().close()

    def _report(self) -> None:
        """Log once why the servers do without a patch, or without prepared processes."""
        for server in list(self._servers.values()):
            for line in server.complaints() - self._reported:
                self._reported.add(line)
                if line.startswith(client.NOT_PREPARED):
                    logger.warning("each phase is done as by the warm engine: %s", line)
                else:
                    logger.debug("%s", line)

    def _give_up(self, reason: object) -> None:
        """Do without a fork server from now on."""
        words = "; ".join(server.last_words() for server in self._servers.values() if not server.is_alive())
        logger.warning(
            "the fork server does not work, so each phase starts a new ansible-playbook: %s", words or reason
        )
        self._broken = True

    def _after_fork(self) -> None:
        super()._after_fork()
        self._servers_lock = threading.Lock()
        servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            server.abandon()

    def _command(self, program: str, env: Mapping[str, str]) -> tuple[str, Sequence[str]]:
        if self._broken:
            return super()._command(program, env)
        try:
            server = self._server(env)
        except (OSError, subprocess.SubprocessError) as error:
            self._give_up(error)
            return super()._command(program, env)
        first, *others = client.command(str(server.socket), ansible_program(program))
        return first, others

    def _server(self, env: Mapping[str, str]) -> ForkServer:
        """Return the server for an environment; one that has ended, or lost its socket, is replaced."""
        shared = {name: value for name, value in env.items() if name not in PER_RUN}
        key = key_of(shared)
        with self._servers_lock:
            server = self._servers.get(key)
            if server is None or not server.is_usable():
                if server is not None:
                    logger.warning("the fork server has ended (%s); starting another", server.last_words())
                    server.close()
                server = self._servers[key] = ForkServer(self._directory(), shared, self.prepared)
            return server


class SessionEngine(WarmEngine):
    """Prepares processes with an empty play. Each of them then runs one phase.

    It saves about 25 ms of each phase, for a single environment on few hosts. It uses about 0.1 s of the controller's
    CPU time between two phases. If no process is prepared, a phase runs as in the warm engine. If none can be prepared,
    a warning gives the reason.
    """

    prepared = 2
