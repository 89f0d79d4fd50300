"""The tables of Ansible's settings, and what the ansible-core at hand says about each."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ansible_env.engine.environ import ansible_program

TABLES = Path(__file__).parent
PLUGINS = {"callback": ("default",), "connection": ("ssh", "local"), "become": ("sudo",), "shell": ("sh",),
           "inventory": ("yaml",), "vars": ("host_group_vars",), "cache": ("jsonfile",)}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """A setting of the ansible-core at hand, with the row of the table."""

    name: str
    places: tuple[tuple[str, str], ...]
    """Sections and keys of ansible.cfg."""
    variables: tuple[str, ...]
    row: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def is_alone(self) -> bool:
        return bool(self.row.get("alone"))


@cache
def table(name: str) -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load((TABLES / f"{name}.yml").read_text(encoding="utf-8")))


def core_settings() -> list[Setting]:
    """Return every setting of ansible-core itself."""
    return [_setting("core", name, entry) for name, entry in _listed().items() if name != "PLUGINS"]


def plugin_settings() -> list[Setting]:
    """Return the options of the plugins that a phase uses, as far as they can be configured."""
    found = []
    for kind, names in PLUGINS.items():
        for name in names:
            for option, definition in _listed()["PLUGINS"][kind.upper()][name].items():
                setting = _setting("plugins", f"{kind}/{name}/{option}", definition)
                if setting.places or setting.variables:
                    found.append(setting)
    return found


@cache
def _listed() -> dict[str, Any]:
    command = [ansible_program("ansible-config"), "list", "-t", "all", "--format", "json"]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def _setting(kind: str, name: str, definition: Mapping[str, Any]) -> Setting:
    places = tuple((entry["section"], entry["key"]) for entry in definition.get("ini") or ())
    variables = tuple(entry["name"] for entry in definition.get("env") or ())
    return Setting(name, places, variables, next(iter(_rows(kind, name)), {}))


def _rows(kind: str, name: str) -> Iterator[Mapping[str, Any]]:
    yield from (row for pattern, row in table(kind).items() if re.fullmatch(pattern, name))
