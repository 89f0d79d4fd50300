"""The tables of the store. A change needs a migration in `migrations/versions`; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

REVISION = "0002"
"""The newest migration."""
VERSION_TABLE = "ansible_env_version"
"""Table with the revision of a database. mlos_bench's storage has an `alembic_version` of its own."""

GROUP = ""
"""The value of a `host` column in rows about the whole group."""


version = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))
"""The table that alembic would create."""


class UtcDateTime(TypeDecorator[datetime]):
    """A time with its zone, even in databases that store none."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Return the column's type."""
        return dialect.type_descriptor(DateTime(timezone=dialect.name != "sqlite"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a time for the database."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a time from the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _trial(**more: Any) -> Column[int]:
    return Column("trial_id", ForeignKey("trials.id", ondelete="CASCADE"), nullable=False, **more)


def _value() -> tuple[Column[Any], ...]:
    """Return the columns of one value, see `ansible_env.storage.database.values`."""
    return Column("type", String(8), nullable=False), Column("number", Double), Column("text", Text)


experiments = Table(
    "experiments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("created", UtcDateTime, nullable=False),
)

trials = Table(
    "trials",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uid", String(64), nullable=False, unique=True),
    Column("experiment_id", ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("environment", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("infrastructure", Boolean, nullable=False),
    Column("phase", String(16)),  # the deciding phase
    Column("started", UtcDateTime, nullable=False),
    Column("finished", UtcDateTime),
    Column("elapsed", Double),
    Column("error", Text, nullable=False),
    Column("artifacts", Text),
    Column("controller", String(255), nullable=False),
    Column("owner", Text),  # the process that runs it; null for a finished trial
    Column("versions", Text, nullable=False),  # JSON
    Index("ix_trials_experiment", "experiment_id", "id"),
)

params = Table(
    "params",
    metadata,
    _trial(primary_key=True),
    Column("name", String(255), primary_key=True),
    *_value(),
    sqlite_with_rowid=False,
)

phases = Table(
    "phases",
    metadata,
    _trial(primary_key=True),
    Column("phase", String(16), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("message", Text, nullable=False),
    sqlite_with_rowid=False,
)

host_results = Table(
    "host_results",
    metadata,
    _trial(primary_key=True),
    Column("phase", String(16), primary_key=True),
    Column("host", String(255), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("kind", String(24), nullable=False),
    Column("status", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("rc", Integer),
    Column("started", UtcDateTime),
    Column("finished", UtcDateTime),
    Column("metrics_partial", Boolean, nullable=False),
    Column("reconnects", Integer, nullable=False),
    Column("task", Text),
    Column("stdout_log", Text),
    Column("stderr_log", Text),
    Column("last_words", Text, nullable=False),  # the end of stderr or stdout, if the host did not succeed
    sqlite_with_rowid=False,
)

metrics = Table(
    "metrics",
    metadata,
    _trial(primary_key=True),
    Column("phase", String(16), primary_key=True),
    Column("host", String(255), primary_key=True),  # GROUP for the metrics of all hosts
    Column("name", String(255), primary_key=True),
    *_value(),
    sqlite_with_rowid=False,
)

telemetry = Table(
    "telemetry",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    _trial(),
    Column("time", UtcDateTime, nullable=False),
    Column("host", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    *_value(),
    Index("ix_telemetry_trial", "trial_id", "name"),
)

fingerprints = Table(
    "fingerprints",
    metadata,
    _trial(primary_key=True),
    Column("host", String(255), primary_key=True),
    Column("facts", Text, nullable=False),  # JSON
    sqlite_with_rowid=False,
)

assertions = Table(
    "assertions",
    metadata,
    _trial(primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("metric", String(255), nullable=False),
    Column("comparison", Text, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("value", Double),
    Column("threshold", Double),
    Column("baseline", Double),
    Column("message", Text, nullable=False),
    sqlite_with_rowid=False,
)

PARTS = (params, phases, host_results, metrics, telemetry, fingerprints)
"""The tables with rows that belong to a trial."""
