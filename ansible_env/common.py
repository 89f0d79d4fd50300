"""Helpers that several packages share: loggers, and the process that owns a run or a row.

Every log record says which environment, trial, phase and host it is about.

The loggers are those of the standard library, below `ansible_env`. A format of your own may use `%(environment)s`,
`%(trial)s`, `%(phase)s` and `%(host)s`; each is empty where a record is not about one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

__version__ = "0.1.0"

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
    """Set some of FIELDS in the log records of a block."""
    before = _about.get()
    token = _about.set({**before, **{name: str(value) for name, value in fields.items()}})
    try:
        yield
    finally:
        _about.reset(token)


def join_surrogates(text: str, *, lone: str = "surrogatepass") -> str:
    r"""Join the surrogate pairs of JSON's escapes (`\ud83d\ude00`) to characters.

    `lone` is what becomes of half a pair, as the error handler of a codec: it stays, or `replace` makes it U+FFFD.
    """
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", lone)


def reason(error: OSError) -> str:
    """Return why the system refused something, and for which file."""
    return f"{error.strerror or error}: {error.filename}" if error.filename else str(error.strerror or error)


@dataclass(frozen=True, slots=True)
class Owner:
    """A process and when it was started, in the kernel's own count (boot id and ticks) where /proc tells."""

    pid: int
    started: str
    namespace: str = field(default_factory=lambda: _namespace())
    """The pid namespace that the pid is one of: a container sees none of its host's, and its host all of its."""

    @classmethod
    def this(cls) -> Owner:
        """Return the process that asks."""
        return cls(os.getpid(), _started(os.getpid()))

    @classmethod
    def of_text(cls, text: str) -> Owner:
        """Read what `to_text` gave.

        Raises:
            ValueError: it is something else.
        """
        pid, namespace, started = text.split(" ", 2)
        return cls(int(pid), started, namespace)

    def to_text(self) -> str:
        """Return it on one line."""
        return f"{self.pid} {self.namespace} {self.started}"

    def lives(self) -> bool:
        """Whether the very same process is still there; True where that cannot be told from here."""
        if self.namespace != _namespace():
            return True
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):  # no such process, or no such number
            return False
        except PermissionError:
            pass
        return _started(self.pid) == self.started


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "-"


def _started(pid: int) -> str:
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii').strip()} {ticks}"
    except (OSError, IndexError):
        return ""


def pip_install(extra: str) -> str:
    """Return the command that installs what an extra of this distribution needs, wherever it came from itself."""
    from importlib import metadata  # slow to load, and only a missing package needs it

    marker = re.compile(rf"(.+?)\s*;.*\bextra\s*==\s*['\"]{extra}['\"]")
    try:
        needed = [match[1] for text in metadata.requires("ansible-env") or () if (match := marker.match(text))]
    except metadata.PackageNotFoundError:  # a copy of the package alone
        needed = []
    return f"pip install {' '.join(map(shlex.quote, needed))}" if needed else f"install the extra {extra!r}"
