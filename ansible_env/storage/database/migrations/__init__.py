"""Migrations of the store's schema, with alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection


def upgrade(connection: Connection) -> bool:
    """Migrate the schema within the connection's transaction. Return False if a later version wrote it."""
    config = configuration()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError:  # an unknown revision
        return False
    return True


def configuration() -> Config:
    """Return alembic's configuration."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
