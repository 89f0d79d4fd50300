"""The inventory if the caller names none: Ansible's own default, or else this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ansible_env.engine.environ import user_config
from ansible_env.engine.inventory import Inventory, Source
from ansible_env.engine.protocol import Options
from ansible_env.errors import InventoryError, Problem

SETTING = ("ANSIBLE_INVENTORY", "defaults.inventory")
SYSTEM = Path("/etc/ansible/hosts")


def choose_inventory(
    given: Source | Inventory | Sequence[Source] | None, options: Options, system: Path = SYSTEM
) -> Inventory:
    """Return the inventory to use: the given one, that of Ansible's configuration, or this machine.

    Raises:
        InventoryError: a file does not exist, or cannot be read.
        ConfigError: the chosen ansible.cfg does not exist.
    """
    if given is not None:
        return Inventory.of(given)
    setting = user_config(options).get(*SETTING)
    if setting is not None and setting.items():
        paths = setting.paths()
        missing = [path for path in paths if not path.exists()]
        if missing:
            raise InventoryError([Problem("there is no such inventory", setting.origin, path) for path in missing])
        return Inventory(tuple(map(str, paths)), origin=setting.origin)
    if _names_hosts(system):
        return Inventory((str(system),), origin="Ansible's default")
    return Inventory.of()


def _names_hosts(path: Path) -> bool:
    """Whether an inventory exists and is not empty: distributions install one that has only comments."""
    try:
        if path.is_dir():
            return any(path.iterdir())
        if os.access(path, os.X_OK):
            return path.is_file()
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.strip() and not line.lstrip().startswith(("#", ";")) for line in lines)
