"""The tables of the store. A change needs a migration in `migrations/versions`; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

REVISION = "0003"
"""The newest migration."""
VERSION_TABLE = "ansible_env_version"
"""Table with the revision of a database. mlos_bench's storage has an `alembic_version` of its own."""

GROUP = ""
"""The value of a `host` column in rows about the whole group."""


version = sa.Table(VERSION_TABLE, sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))
"""The table that alembic would create."""


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A time with its zone, even in databases that store none."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        """Return the column's type."""
        return dialect.type_descriptor(sa.DateTime(timezone=dialect.name != "sqlite"))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Convert a time for the database."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Convert a time from the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _trial(**more: Any) -> sa.Column[int]:
    return sa.Column("trial_id", sa.ForeignKey("trials.id", ondelete="CASCADE"), nullable=False, **more)


def _value() -> tuple[sa.Column[Any], ...]:
    """Return the columns of one value, see `ansible_env.storage.database.values`."""
    return sa.Column("type", sa.String(8), nullable=False), sa.Column("number", sa.Double), sa.Column("text", sa.Text)


experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("created", UtcDateTime, nullable=False),
)

trials = sa.Table(
    "trials",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uid", sa.String(64), nullable=False, unique=True),
    sa.Column("experiment_id", sa.ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("environment", sa.Text, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("infrastructure", sa.Boolean, nullable=False),
    sa.Column("phase", sa.String(16)),  # the deciding phase
    sa.Column("started", UtcDateTime, nullable=False),
    sa.Column("finished", UtcDateTime),
    sa.Column("elapsed", sa.Double),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("artifacts", sa.Text),
    sa.Column("controller", sa.String(255), nullable=False),
    sa.Column("owner", sa.Text),  # the process that runs it; null for a finished trial
    sa.Column("versions", sa.Text, nullable=False),  # JSON
    sa.Index("ix_trials_experiment", "experiment_id", "id"),
)

params = sa.Table(
    "params",
    metadata,
    _trial(primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    *_value(),
    sqlite_with_rowid=False,
)

phases = sa.Table(
    "phases",
    metadata,
    _trial(primary_key=True),
    sa.Column("phase", sa.String(16), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

host_results = sa.Table(
    "host_results",
    metadata,
    _trial(primary_key=True),
    sa.Column("phase", sa.String(16), primary_key=True),
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(24), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("rc", sa.Integer),
    sa.Column("started", UtcDateTime),
    sa.Column("finished", UtcDateTime),
    sa.Column("metrics_partial", sa.Boolean, nullable=False),
    sa.Column("reconnects", sa.Integer, nullable=False),
    sa.Column("task", sa.Text),
    sa.Column("stdout_log", sa.Text),
    sa.Column("stderr_log", sa.Text),
    sa.Column("last_words", sa.Text, nullable=False),  # the end of stderr or stdout, if the host did not succeed
    sa.Column("disturbed", sa.Text),  # what was above its limit; null if nothing was
    sqlite_with_rowid=False,
)

metrics = sa.Table(
    "metrics",
    metadata,
    _trial(primary_key=True),
    sa.Column("phase", sa.String(16), primary_key=True),
    sa.Column("host", sa.String(255), primary_key=True),  # GROUP for the metrics of all hosts
    sa.Column("name", sa.String(255), primary_key=True),
    *_value(),
    sqlite_with_rowid=False,
)

telemetry = sa.Table(
    "telemetry",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    _trial(),
    sa.Column("time", UtcDateTime, nullable=False),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    *_value(),
    sa.Index("ix_telemetry_trial", "trial_id", "name"),
)

fingerprints = sa.Table(
    "fingerprints",
    metadata,
    _trial(primary_key=True),
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("facts", sa.Text, nullable=False),  # JSON
    sqlite_with_rowid=False,
)

assertions = sa.Table(
    "assertions",
    metadata,
    _trial(primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("metric", sa.String(255), nullable=False),
    sa.Column("comparison", sa.Text, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("threshold", sa.Double),
    sa.Column("baseline", sa.Double),
    sa.Column("message", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
