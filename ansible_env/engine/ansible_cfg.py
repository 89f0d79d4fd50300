"""The user's configuration of Ansible: ansible.cfg, and the environment variables that override its settings.

It is read without Ansible's own code, because this library does not import Ansible.
"""

from __future__ import annotations

import configparser
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_env.errors import ConfigError, Problem

TRUE = frozenset({"y", "yes", "on", "1", "true", "t", "1.0"})
"""As in ansible.module_utils.parsing.convert_bool."""


def working_directory() -> Path:
    """Return the current directory, or `/` if it was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")


def find_config(environ: Mapping[str, str], directory: Path, chosen: Path | None = None) -> Path | None:
    """Return the ansible.cfg that Ansible would use if it were called from a directory.

    The order is Ansible's own: ANSIBLE_CONFIG, ./ansible.cfg (unless the directory is world-writable),
    ~/.ansible.cfg, /etc/ansible/ansible.cfg.
    https://docs.ansible.com/ansible/latest/reference_appendices/config.html#the-configuration-file

    Raises:
        ConfigError: the chosen file does not exist.
    """
    if chosen is not None:
        path = chosen.expanduser().absolute()
        if not path.is_file():  # Ansible would look elsewhere, without a word
            raise ConfigError(Problem("there is no such ansible.cfg", file=path))
        return path
    named = environ.get("ANSIBLE_CONFIG")
    if named:
        path = Path(named).expanduser().absolute()
        return path / "ansible.cfg" if path.is_dir() else path
    here = directory / "ansible.cfg"
    if here.is_file() and not directory.stat().st_mode & stat.S_IWOTH:
        return here
    others = (Path(environ.get("HOME", "/")) / ".ansible.cfg", Path("/etc/ansible/ansible.cfg"))
    return next((path for path in others if path.is_file()), None)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the user."""

    value: str
    origin: str
    """The variable, or `key in FILE`."""
    directory: Path
    """The directory to which relative paths in it refer."""

    @property
    def is_true(self) -> bool:
        """Whether Ansible would read it as true."""
        return self.value.strip().lower() in TRUE

    def items(self) -> list[str]:
        """Return the items of a list."""
        return [item for part in self.value.split(",") if (item := part.strip().strip("'\""))]

    def paths(self) -> list[Path]:
        """Return the paths of a list of paths, as Ansible resolves them."""
        here = str(working_directory())
        texts = [os.path.expandvars(item.replace("{{CWD}}", here)) for item in self.items()]
        return [Path(os.path.abspath(self.directory / Path(text).expanduser())) for text in texts]  # noqa: PTH100 - no links are to be resolved


class AnsibleConfig:
    """The settings of one ansible.cfg, below those of environment variables."""

    def __init__(self, environ: Mapping[str, str], file: Path | None, directory: Path) -> None:
        """Use these variables, this ansible.cfg, and the directory from which Ansible is called."""
        self.file = file
        self._environ = environ
        self._directory = directory
        self._parser = configparser.ConfigParser(interpolation=None, strict=False, inline_comment_prefixes=(";",))
        if file is not None:
            try:
                self._parser.read(file, encoding="utf-8")
            except (configparser.Error, UnicodeDecodeError):
                self._parser.clear()  # Ansible will say what is wrong with it

    def get(self, variable: str, *places: str) -> Setting | None:
        """Return a setting by its variable, or by the places (`section.key`) where the file may have it."""
        if variable in self._environ:
            return Setting(self._environ[variable], variable, self._directory)
        for place in places:
            section, _, key = place.partition(".")
            if self.file is not None and self._parser.has_option(section, key):
                value = self._parser.get(section, key) or ""
                return Setting(value, f"{key} in {self.file}", self.file.parent)
        return None
