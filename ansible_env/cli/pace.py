"""How long the rest will take."""

from __future__ import annotations

from collections import deque

WINDOW = 20
"""Trials that the pace is taken from: a tuner moves on to regions where trials take another time."""


class Pace:
    """The pace of trials, from the moments at which they ended.

    It counts ends, not durations: trials that run side by side and the time between two trials are in it already.
    """

    def __init__(self, total: int | None, now: float) -> None:
        """Take how many trials there are to be, None where nobody knows; moments are seconds of any one clock."""
        self.total = total
        self.ended = 0
        self._begun = now
        self._ends: deque[float] = deque([now], maxlen=WINDOW + 1)

    def end(self, now: float) -> None:
        """Say that a trial has ended."""
        self.ended += 1
        self._ends.append(now)

    def left(self, now: float) -> float | None:
        """Return the seconds that are left, None before the first trial has ended.

        A trial that takes longer than the others did puts the end off from then on.
        """
        if self.total is None or not self.ended:
            return None
        each = (self._ends[-1] - self._ends[0]) / (len(self._ends) - 1)
        waited = now - self._ends[-1]
        return max(0.0, (self.total - self.ended) * each - min(waited, each))


def about(seconds: float | None) -> str:
    """Return a time span no more exactly than it is known: `about 4 min`."""
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


def clock(seconds: float | None) -> str:
    """Return a time span as a stopwatch shows it: `0:42`, `1:02:03`."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def bar(done: int, total: int, width: int) -> str:
    """Return a bar of a given width."""
    full = round(width * done / total) if total else 0
    return "━" * full + "─" * (width - full)
