"""Inventories, in every form that Ansible accepts, and as data from Python."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_env.errors import InventoryError, Problem

LOCALHOST: dict[str, Any] = {
    "all": {
        "hosts": {
            "localhost": {
                "ansible_connection": "local",
                # Discovery may find an interpreter that does not run; the controller's own does.
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            }
        }
    }
}

Source = str | Path | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Inventory:
    """An inventory of one or more sources. Without a source it is the controller itself."""

    sources: tuple[str, ...] = ()
    """Absolute paths, and host lists in Ansible's form (`web1,web2` or `web1,`)."""
    data: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """Inventories as data, in the layout of Ansible's yaml inventory plugin."""
    origin: str = ""
    """The setting that names the sources, if the caller did not."""

    def __str__(self) -> str:
        """Describe the inventory for a user."""
        if not self.sources and self.data == (LOCALHOST,):
            return "localhost: neither the call nor Ansible's configuration names an inventory"
        words = [*self.sources, *("data" for _ in self.data)]
        return ", ".join(words) + (f" ({self.origin})" if self.origin else "")

    @classmethod
    def of(cls, sources: Source | Inventory | Sequence[Source] | None = None) -> Inventory:
        """Return the inventory of a path, a host list, a mapping, or several of these.

        Raises:
            InventoryError: there is no such file, or it cannot be read.
        """
        if isinstance(sources, Inventory):
            return sources
        if sources is None:
            return cls(data=(LOCALHOST,))
        if isinstance(sources, str | Path | Mapping):
            sources = [sources]
        if not isinstance(sources, Sequence) or not all(isinstance(each, str | Path | Mapping) for each in sources):
            raise InventoryError("the inventory must be a path, a host list, a mapping, or a list of these")
        paths: list[str] = []
        data: list[Mapping[str, Any]] = []
        for source in sources:
            if isinstance(source, Mapping):
                data.append(_with_group(source))
            else:
                paths.append(_checked(source))
        if not paths and not data:
            raise InventoryError("the inventory is empty: name a file, a directory, or hosts as 'web1,web2'")
        return cls(tuple(paths), tuple(data))

    def arguments(self, directory: Path) -> list[str]:
        """Return the values for `-i`, writing what is data to files in a directory."""
        files = []
        for number, data in enumerate(self.data):
            path = directory / f"inventory{number}.json"
            path.write_text(json.dumps(data), encoding="utf-8")
            files.append(str(path))
        return [*self.sources, *files]


def _with_group(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Convert `{host: {var: value}}` to the group `all`; groups have `hosts`, `vars` or `children`."""
    groups = {"hosts", "vars", "children"}
    if data and all(value is None or (isinstance(value, Mapping) and set(value) <= groups) for value in data.values()):
        if all(value is None or value == {} for value in data.values()):
            return {"all": {"hosts": dict(data)}}
        return data
    wrong = [host for host, variables in data.items() if variables is not None and not isinstance(variables, Mapping)]
    if wrong:
        raise InventoryError(f"inventory: the variables of {wrong[0]!r} must be a mapping")
    return {"all": {"hosts": {host: dict(variables or {}) for host, variables in data.items()}}}


def _checked(source: str | Path) -> str:
    if isinstance(source, str) and "," in source:
        return source
    path = Path(source).expanduser()
    if not path.exists():
        hint = "for a host instead of a file, write a comma after its name: 'web1,'"
        raise InventoryError(Problem("there is no such inventory", file=path, hint=hint))
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            path.open("rb").close()
    except OSError as error:
        raise InventoryError(Problem(f"the inventory cannot be read: {error.strerror}", file=path)) from error
    return str(path.resolve() if path.is_dir() else path.absolute())
