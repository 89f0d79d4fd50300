"""The migration environment of alembic. The connection and its transaction are those of the store."""

from __future__ import annotations

from alembic import context

from ansible_env.storage.database.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
