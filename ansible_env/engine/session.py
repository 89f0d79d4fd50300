"""The session engine: as the warm one, but ansible-playbook is started and prepared before its phase comes."""

from __future__ import annotations

from ansible_env.engine.warm import WarmEngine


class SessionEngine(WarmEngine):
    """Prepares processes by running an empty play; each then does one phase.

    For a single environment that wants the last milliseconds: each phase takes some 0.1 s more of the controller's
    CPU time, spent between phases. A phase for which no process is prepared is done as the warm engine does it. If
    none can be prepared, a warning says why.
    """

    prepared = 2
