"""The database of the store: opening, locking, and the version of its schema."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from ansible_env.common import pip_install
from ansible_env.errors import ConfigError, Problem, StoreError
from ansible_env.storage.bundle.files import make_private
from ansible_env.storage.database.schema import REVISION, VERSION_TABLE, metadata, version

LOCK_TIMEOUT = 60.0
"""Seconds to wait for another process that writes to the same SQLite file."""
MIGRATION_LOCK = 0x616E7369
"""Our key among PostgreSQL's advisory locks."""
_WRITES = "ansible_env_writes"


def parse_url(target: str | Path) -> URL:
    """Return the URL of a database; without `://` it is the path of an SQLite file. Raise ConfigError for a bad URL."""
    if isinstance(target, Path) or "://" not in target:
        return URL.create("sqlite", database=str(Path(target).expanduser().absolute()))
    try:
        url = make_url(target)
    except (ArgumentError, ValueError) as error:
        hint = "a path, or a URL such as postgresql://user@host/database"
        raise ConfigError(Problem("is not the URL of a database", "--store", hint=hint)) from error
    # SQLAlchemy 2.0 uses psycopg2 for this.
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


HINT = "name another one with --store or $ANSIBLE_ENV_STORE"
"""What to do about a store that cannot be opened."""


class Database:
    """An open database. Threads can share it; each process opens its own."""

    def __init__(self, url: URL) -> None:
        """Open the database, create it if it does not exist, and migrate its schema.

        Raises:
            ConfigError: no driver is installed for this kind of database.
            StoreError: it cannot be opened, or a later version wrote it.
        """
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        with errors_of(url, f" ({HINT})"):
            self._engine = _sqlite(url) if self.is_sqlite else _engine(url, pool_pre_ping=True)
            self._writer = self._engine.execution_options(**{_WRITES: True})
            if self._revision() != REVISION:
                self._migrate()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection whose reads see a consistent state."""
        with errors_of(self.url), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection whose writes are committed together or not at all."""
        with errors_of(self.url), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _revision(self) -> str | None:
        with self._engine.connect() as connection:
            if not inspect(connection).has_table(VERSION_TABLE):
                return None
            revision = connection.execute(select(version.c.version_num)).scalar()
            return None if revision is None else str(revision)

    def _migrate(self) -> None:
        with self._writer.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            if not inspect(connection).get_table_names():
                metadata.create_all(connection)
                version.create(connection)
                connection.execute(insert(version).values(version_num=REVISION))
                return
            # At call time: alembic is slow to import and hardly ever needed.
            migrations = import_module("ansible_env.storage.database.migrations")
            if not migrations.upgrade(connection):
                raise StoreError(f"a later version of ansible-env wrote the store {shown(self.url)} ({HINT})")


@contextlib.contextmanager
def errors_of(url: URL, hint: str = "") -> Iterator[None]:
    """Convert the errors of a database to StoreError, which names the database but not its password."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"the store {shown(url)}: {' '.join(str(cause).split())}{hint}") from error
    except OSError as error:
        raise StoreError(f"the store {shown(url)}: {error.strerror or error}{hint}") from error


def shown(url: URL) -> str:
    """Return a URL without its password."""
    if url.get_backend_name() == "sqlite" and url.database:
        return url.database
    return url.render_as_string(hide_password=True)


def without_password(target: str) -> str | None:
    """Return the location of a store for a file, or None if it does not work without its password."""
    url = parse_url(target)
    return None if url.password else shown(url)


def _engine(url: URL, **more: Any) -> Engine:
    try:
        return create_engine(url, **more)
    except ModuleNotFoundError as error:
        backend = url.get_backend_name()
        extra = pip_install("postgresql") if backend == "postgresql" else f"pip install {error.name}"
        what = f"no driver for {backend} is installed: {error}"
        raise ConfigError(Problem(what, "--store", hint=extra)) from error
    except NoSuchModuleError as error:
        raise ConfigError(Problem(f"unknown kind of database: {url.drivername}", "--store")) from error


def _sqlite(url: URL) -> Engine:
    if url.database and url.database != ":memory:":
        path = Path(url.database)
        make_private(path.parent)
        # Results may contain secrets. SQLite gives its other files the mode of this one.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    engine = _engine(url, connect_args={"timeout": LOCK_TIMEOUT})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: Any) -> None:
    # Prevents the driver from beginning transactions: _on_begin does.
    connection.isolation_level = None
    cursor = connection.cursor()
    _retried(cursor, "PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # a result that was reported as stored survives a power failure
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _retried(cursor: Any, statement: str) -> None:
    """Execute a statement that SQLite refuses at once, without waiting, while another process does the same."""
    give_up = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            cursor.execute(statement)
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
        time.sleep(0.01)


def _on_begin(connection: Connection) -> None:
    # A transaction that reads first and then writes fails if another process wrote in between.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
