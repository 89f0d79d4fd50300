"""`Pacing`: the waits of an environment between its phases and its trials."""

from __future__ import annotations

import math
import random
import time

from ansible_env.common import get_logger
from ansible_env.config.model import EnvironmentConfig
from ansible_env.engine.protocol import Cancellation

logger = get_logger(__name__)


class Pacing:
    """Waits as `settle`, `cooldown` and `splay` of the environment file ask for. A cancel ends each wait."""

    def __init__(self, config: EnvironmentConfig) -> None:
        self._config = config
        self._ended = -math.inf

    def trial_ended(self) -> None:
        """Note that the hosts begin to rest."""
        self._ended = time.monotonic()

    def before_trial(self, cancel: Cancellation) -> dict[str, float]:
        """Wait until the hosts have rested since the last trial; return the seconds, by the name of the key."""
        return self._wait({"cooldown": self._ended + self._config.cooldown - time.monotonic()}, cancel)

    def before_run(self, seed: str, cancel: Cancellation, *, was_set_up: bool) -> dict[str, float]:
        """Wait before run. The seed decides the random wait, so that it is the same in a trial that is repeated."""
        splay = random.Random(seed).uniform(0, self._config.splay)  # noqa: S311 - a pause, not a secret
        return self._wait({"settle": self._config.settle if was_set_up else 0, "splay": splay}, cancel)

    def _wait(self, pauses: dict[str, float], cancel: Cancellation) -> dict[str, float]:
        waited: dict[str, float] = {}
        for name, seconds in pauses.items():
            if seconds > 0 and not cancel.requested:
                logger.info("%s: waiting for %.3g s (%s)", self._config.name, seconds, name)
                begun = time.monotonic()
                cancel.wait(seconds)
                waited[name] = round(time.monotonic() - begun, 3)
        return waited
