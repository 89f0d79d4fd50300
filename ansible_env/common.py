"""Logging: every record says which environment, trial, phase and host it is about.

The loggers are those of the standard library, below `ansible_env`. A format of your own may use `%(environment)s`,
`%(trial)s`, `%(phase)s` and `%(host)s`; each is empty where a record is not about one.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar

FIELDS = ("environment", "trial", "phase", "host")

_about: ContextVar[dict[str, str]] = ContextVar("ansible_env_about", default={})  # noqa: B039 - never changed in place


class AboutFilter(logging.Filter):
    """Puts the fields on a record. The library's own loggers have it; put it on a handler that also serves others."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        for name in FIELDS:
            if not hasattr(record, name):
                setattr(record, name, _about.get().get(name, ""))
        return True


_FILTER = AboutFilter()


def get_logger(name: str) -> logging.Logger:
    """Return a logger of the library."""
    logger = logging.getLogger(name)
    logger.addFilter(_FILTER)  # does nothing the second time
    return logger


@contextlib.contextmanager
def about(**fields: object) -> Iterator[None]:
    """Say what the log records of a block are about, by some of FIELDS."""
    before = _about.get()
    token = _about.set({**before, **{name: str(value) for name, value in fields.items()}})
    try:
        yield
    finally:
        _about.reset(token)
