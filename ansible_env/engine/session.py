"""The session engine: as the warm one, but ansible-playbook has been started before its phase comes."""

from __future__ import annotations

from ansible_env.common import get_logger
from ansible_env.engine.protocol import Cancellation, EngineRun, Job, Listener
from ansible_env.engine.warm import WarmEngine

logger = get_logger(__name__)


class SessionEngine(WarmEngine):
    """Keeps processes ready, each of which has been through an empty play and then does one phase.

    For a single environment that wants the last milliseconds: each phase takes some 0.1 s more of the controller's
    CPU time, spent between phases. A phase for which none is ready is done as the warm engine does it. If none can be
    made ready, a warning says why.
    """

    _spares = 2

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def run(self, job: Job, *, listener: Listener | None = None, cancel: Cancellation | None = None) -> EngineRun:
        """Run a job to its end. See `Engine.run`."""
        for server in list(self._servers.values()):
            for words in server.complaints() - self._said:
                self._said.add(words)
                logger.warning("each phase is done as by the warm engine: %s", words)
        return super().run(job, listener=listener, cancel=cancel)
