"""The private directory of one run."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PLAYBOOK = "ansible_env_phase.yml"
_ALWAYS = {"group_vars", "host_vars", "vars_plugins", "library", "module_utils", "collections", "roles"}


class PrivateDir:
    """A directory that only its owner can read, made for one run of ansible-runner and removed after it.

    It is new for each run, because in ansible-runner files of an earlier run take precedence over arguments.
    """

    def __init__(self, base: Path) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="run-", dir=base))
        for name in ("project", "env", "tmp"):
            (self.path / name).mkdir(mode=0o700)
        self.write("workers", "")

    def write(self, name: str, text: str) -> Path:
        """Write a file that only its owner can read."""
        path = self.path / name
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
        return path

    def write_playbook(
        self, text: str, base_dir: Path | None, beside: Sequence[Path] = (), *, everything: bool
    ) -> Path:
        """Write the playbook, with the environment file's neighbours beside it.

        Ansible looks beside the playbook for group_vars and roles and, where a phase has tasks of the author's
        (`everything`), for templates, files and task files of any name. If imported playbooks were run alone, it would
        look for the former beside them, in the directories `beside`.
        """
        project = self.path / "project"
        if base_dir is not None and base_dir.is_dir():
            for entry in base_dir.iterdir():
                if entry.name != PLAYBOOK and (everything or entry.name in _ALWAYS):
                    (project / entry.name).symlink_to(entry.absolute())
        for directory in beside:
            for name in _ALWAYS:
                if (directory / name).is_dir():
                    _add(project / name, directory / name)
        return self.write(f"project/{PLAYBOOK}", text)

    def write_variables(self, name: str, variables: Mapping[str, Any]) -> Path:
        """Write variables to be given with `-e @file`."""
        return self.write(f"env/{name}.json", json.dumps(variables))

    def follow_logs(self) -> Path:
        """Create the directory of files with the output of scripts, which can be followed."""
        path = self.path / "logs"
        path.mkdir(mode=0o700)
        return path

    def waiting(self) -> dict[int, str]:
        """Return the workers that have not reported the end of their script, by pid, and the host of each.

        A worker writes `+PID HOST` before it starts or follows a script, and `-PID HOST` when it knows its end.
        """
        waiting: dict[int, str] = {}
        for line in (self.path / "workers").read_text(encoding="utf-8").splitlines():
            pid, _, host = line[1:].partition(" ")
            if line[0] == "+":
                waiting[int(pid)] = host
            else:
                waiting.pop(int(pid), None)
        return waiting

    def remove(self) -> None:
        """Remove the directory with all its contents."""
        shutil.rmtree(self.path, ignore_errors=True)


def _add(link: Path, directory: Path) -> None:
    """Link a directory's entries from another one, too; of two with the same name, the first counts."""
    if link.is_symlink():
        first = link.resolve()
        link.unlink()
        link.mkdir()
        _add(link, first)
    link.mkdir(exist_ok=True)
    for entry in directory.iterdir():
        if not (link / entry.name).is_symlink():
            (link / entry.name).symlink_to(entry.absolute())
