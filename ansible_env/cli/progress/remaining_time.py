"""How long the remaining trials will take."""

from __future__ import annotations

from collections import deque

WINDOW = 20
"""Trials that the estimate is based on: a tuner moves on to regions where trials take another time."""


class RemainingTime:
    """Estimates the end of several trials from the moments at which trials ended.

    It counts ends, not durations, so trials in parallel and the time between two trials are included.
    """

    def __init__(self, total: int, now: float) -> None:
        """Estimate the end of a number of trials. Moments are seconds of one clock."""
        self.total = total
        self.ended = 0
        self._ends: deque[float] = deque([now], maxlen=WINDOW + 1)

    def trial_ended(self, now: float) -> None:
        """Count a trial."""
        self.ended += 1
        self._ends.append(now)

    def seconds(self, now: float) -> float | None:
        """Return the seconds that are left, None before the first trial has ended.

        A trial that takes longer than the others did delays the end from then on.
        """
        if not self.ended:
            return None
        each = (self._ends[-1] - self._ends[0]) / (len(self._ends) - 1)
        waited = now - self._ends[-1]
        return max(0.0, (self.total - self.ended) * each - min(waited, each))

    def text(self, now: float) -> str:
        """Return how many trials have ended, and how long the others will take."""
        return f"{self.ended} of {self.total} trials, {time_left(self.seconds(now))}"


def time_left(seconds: float | None) -> str:
    """Return a time span with suitable precision: `about 4 min left`."""
    if seconds is None:
        return "time left unknown"
    if seconds < 10:
        return "a few seconds left"
    if seconds < 90:
        return f"about {round(seconds / 5) * 5} s left"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"about {minutes} min left"
    hours, rest = divmod(round(seconds / 300) * 5, 60)
    if hours < 48:
        return f"about {hours} h {rest} min left" if rest else f"about {hours} h left"
    return f"about {round(seconds / 86400)} days left"
