"""Writing a file whole or not at all: somebody may be looking at the former one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ansible_env.errors import ConfigError, Problem


def write_whole(path: Path, text: str, option: str) -> None:
    """Write a file that was asked for by an option.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as file:
            temporary = Path(file.name)
            try:
                file.write(text)
            except BaseException:
                temporary.unlink()
                raise
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(Problem(f"cannot be written: {error.strerror}", option, path)) from error
