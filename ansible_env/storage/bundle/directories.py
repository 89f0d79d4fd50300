"""The directories of bundles."""

from __future__ import annotations

import os
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

ROOT_VARIABLE = "ANSIBLE_ENV_ARTIFACTS"
CALL_FILE = "call.json"
"""The options of a call, beside the directories of its trials."""
STORE_FILE = "store.sqlite"
"""The database, beside the directories of experiments; SQLite has more files, whose names begin with this."""


def root() -> Path:
    """Return the default directory for results."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(os.environ.get(ROOT_VARIABLE) or Path(state) / "ansible-env").expanduser()


def new_call(name: str) -> Path:
    """Return a directory for the trials of one call, inside that of the experiment. It is not created yet."""
    folder = slug(name)
    folder += "-experiment" * folder.lower().startswith(STORE_FILE)
    return root() / folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def slug(name: str) -> str:
    """Return a name that is safe as a directory name: it cannot lead to another directory."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.")[:80] or "environment"


def experiment_name(experiment_id: str, name: str) -> str:
    """Return the experiment of an id; that of the default id, a slug, is the environment's name as it is."""
    return name if experiment_id == slug(name) else experiment_id
