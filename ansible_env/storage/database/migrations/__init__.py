"""Migrations of the store's schema, by alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection


def upgrade(connection: Connection) -> bool:
    """Bring the schema up to date within the connection's transaction; False if it is of a later version."""
    config = configuration()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError:  # the revision that it has is none of ours
        return False
    return True


def configuration() -> Config:
    """Return alembic's configuration."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
