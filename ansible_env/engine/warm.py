"""The warm engine: as the plain one, but ansible-playbook is forked from a process that has it loaded."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible_env.common import get_logger
from ansible_env.engine.cold import ColdEngine
from ansible_env.engine.environ import ansible_program
from ansible_env.engine.forkserver import client
from ansible_env.engine.inventory import Inventory
from ansible_env.engine.listing import NotStartedError
from ansible_env.engine.protocol import Cancellation, EngineRun, Job, Listener, Options
from ansible_env.supervisor.variables import PER_RUN

logger = get_logger(__name__)


class WarmEngine(ColdEngine):
    """Forks each ansible-playbook from a fork server, which is started when it is first needed.

    Where that fails, a run is done as the plain engine does it, and a warning says why.
    """

    _spares = 0
    """Processes that the fork server keeps ready for the phases to come."""

    def __init__(self) -> None:
        super().__init__()
        self._broken = False
        self._servers: dict[str, _Server] = {}
        self._servers_lock = threading.Lock()

    def hosts(self, inventory: Inventory, pattern: str, limit: str | None, options: Options) -> Sequence[str]:
        """Return the hosts that a pattern stands for. See `Engine.hosts`."""
        try:
            return super().hosts(inventory, pattern, limit, options)
        except NotStartedError as error:
            self._give_up(error)
            return super().hosts(inventory, pattern, limit, options)

    def run(self, job: Job, *, listener: Listener | None = None, cancel: Cancellation | None = None) -> EngineRun:
        """Run a job to its end. See `Engine.run`."""
        run = super().run(job, listener=listener, cancel=cancel)
        if run.rc != client.NOT_STARTED or run.events:
            return run
        self._give_up(run.message)
        return super().run(job, listener=listener, cancel=cancel)

    def _give_up(self, reason: object) -> None:
        """Do without a fork server from now on."""
        words = "; ".join(server.ending() for server in self._servers.values() if not server.lives())
        logger.warning("the fork server does not work, so Ansible is started anew for each phase: %s", words or reason)
        self._broken = True

    def close(self) -> None:
        """End the fork servers, too."""
        with self._servers_lock:
            servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            server.close()
        super().close()

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

    def _server(self, env: Mapping[str, str]) -> _Server:
        """Return the server for an environment; one that has died is replaced."""
        shared = {name: value for name, value in env.items() if name not in PER_RUN}
        key = _key(shared)
        with self._servers_lock:
            server = self._servers.get(key)
            if server is None or not server.lives():
                if server is not None:
                    logger.warning("the fork server has ended (%s); starting another", server.ending())
                    server.close()
                server = self._servers[key] = _Server(self._directory(), shared, self._spares)
            return server


class _Server:
    """One fork server, owned by this process: it ends when our end of a pipe closes, however we end."""

    def __init__(self, base: Path, env: Mapping[str, str], spares: int) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="server-", dir=base))
        self.socket = self._directory / "s"
        (self._directory / "tmp").mkdir(mode=0o700)
        self._log = self._directory / "log"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        owner, self._owner = os.pipe()
        try:
            listener.bind(str(self.socket))
            # Clients may come while Ansible is still being loaded: they wait.
            listener.listen(64)
            numbers = [str(number) for number in (listener.fileno(), owner, spares)]
            command = [sys.executable, "-m", "ansible_env.engine.forkserver.server", *numbers]
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    env={
                        **{name: value for name, value in env.items() if name != "ANSIBLE_CALLBACK_PLUGINS"},
                        "ANSIBLE_LOCAL_TEMP": str(self._directory / "tmp"),
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(listener.fileno(), owner),
                    start_new_session=True,
                    cwd=self._directory / "tmp",  # an empty path of plugins means here: nothing may lie here
                )
        except BaseException:
            os.close(self._owner)
            raise
        finally:
            listener.close()
            os.close(owner)

    def lives(self) -> bool:
        """Whether the server is still there."""
        return self._process.poll() is None

    def ending(self) -> str:
        """Return its last words."""
        words = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return words[-1] if words else f"exit status {self._process.returncode}"

    def complaints(self) -> set[str]:
        """Return why it keeps no processes ready, if it should and cannot."""
        with contextlib.suppress(OSError):
            words = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
            return {line for line in words if line.startswith(client.NOT_REHEARSED)}
        return set()

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            os.close(self._owner)
        self._owner = -1
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _key(env: Mapping[str, str]) -> str:
    """Return what tells environments apart that need a server each; a changed ansible.cfg is another one."""
    state = dict(env)
    with contextlib.suppress(OSError, KeyError):
        stat = Path(env["ANSIBLE_CONFIG"]).stat()
        state["ansible.cfg"] = f"{stat.st_mtime_ns} {stat.st_size}"
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
