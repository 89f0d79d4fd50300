"""Text for a terminal: what hosts say may not act on it, and numbers are there to be read."""

from ansible_env.report.formatting import duration, number, plural, some, visible, visible_line

__all__ = ["duration", "number", "plural", "some", "visible", "visible_line"]
