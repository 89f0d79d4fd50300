"""The session engine: as the warm one, but ansible-playbook has been started before its phase comes."""

from __future__ import annotations

from ansible_env.engine.warm import WarmEngine


class SessionEngine(WarmEngine):
    """Keeps processes ready, each of which has been through an empty play and then does one phase.

    For a single environment that wants the last milliseconds: each phase takes some 0.1 s more of the controller's
    CPU time, spent between phases. A phase for which none is ready is done as the warm engine does it.
    """

    _spares = 2
