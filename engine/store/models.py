"""The tables, typed. Secrets are in no row: a configuration's secret fields lie in the keyring or the vault.

Times are UTC. Rows never leave the store's sessions: other modules get frozen dataclasses and IDs.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite itself keeps no zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime was given to the store")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON, str: String}  # noqa: RUF012


class SettingRow(Base):
    """One setting: `maxConcurrentJobs`, the installation's ID, the public signing key ..."""

    __tablename__ = "settings"
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)


class ConfiguredRow(Base):
    """What hosts, sources, destinations and notifiers share."""

    __abstract__ = True
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    adapter: Mapped[str]
    config: Mapped[dict[str, Any]]
    secret_names: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class HostedRow(ConfiguredRow):
    """What is reached by way of a host: its ID, or "local" for this machine."""

    __abstract__ = True
    host: Mapped[str] = mapped_column(default="local", server_default="local")


class HostRow(HostedRow):
    __tablename__ = "hosts"


class SourceRow(HostedRow):
    __tablename__ = "sources"


class DestinationRow(ConfiguredRow):
    __tablename__ = "destinations"


class NotifierRow(ConfiguredRow):
    __tablename__ = "notifiers"


class KeyRow(Base):
    """An age key by name. The identity lies with the secrets; `recipient` is public."""

    __tablename__ = "keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    recipient: Mapped[str]
    has_identity: Mapped[bool]
    created_at: Mapped[datetime]
    exported_at: Mapped[datetime | None]


class SignerRow(Base):
    """Another installation's Ed25519 public key (hex) that was trusted explicitly."""

    __tablename__ = "signers"
    public_key: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    trusted_at: Mapped[datetime]


class PolicyRow(Base):
    """A retention policy by name, for several jobs to share."""

    __tablename__ = "policies"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    retention: Mapped[dict[str, Any]]


class JobRow(Base):
    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    source_id: Mapped[str] = mapped_column(ForeignKey("sources.id"))
    enabled: Mapped[bool] = mapped_column(default=True)
    schedule: Mapped[str | None]
    timezone: Mapped[str | None]
    scheduled_since: Mapped[datetime | None]
    compression: Mapped[str] = mapped_column(default="zstd")
    encryption: Mapped[str] = mapped_column(default="default")
    naming: Mapped[str | None]
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    destinations: Mapped[list[JobDestinationRow]] = relationship(
        order_by="JobDestinationRow.priority", cascade="all, delete-orphan"
    )
    notifiers: Mapped[list[JobNotifierRow]] = relationship(cascade="all, delete-orphan")


class JobDestinationRow(Base):
    __tablename__ = "job_destinations"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    destination_id: Mapped[str] = mapped_column(ForeignKey("destinations.id"), primary_key=True)
    priority: Mapped[int]
    retention: Mapped[dict[str, Any]] = mapped_column(default=dict)


class JobNotifierRow(Base):
    __tablename__ = "job_notifiers"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    notifier_id: Mapped[str] = mapped_column(ForeignKey("notifiers.id"), primary_key=True)
    statuses: Mapped[list[str]]


class ExecutionRow(Base):
    """One run of a job, or of a restore, a verification, a drill or a retention preview.

    `job_id` is no foreign key: a deleted job leaves its history. `owner` names the process that holds
    the execution's lock file. `working` is true from the claim until that process has done with it, which
    is later than the status (retention runs after it). `labels` is for scripts and later versions.
    """

    __tablename__ = "executions"
    __table_args__ = (
        UniqueConstraint("job_id", "planned_at", name="uq_executions_job_planned"),
        Index(
            "uq_executions_one_running_a_job",
            "job_id",
            unique=True,
            sqlite_where=text("kind = 'run' AND (status = 'Running' OR working = 1)"),
        ),
        Index(
            "uq_executions_system_planned",
            "kind",
            "planned_at",
            unique=True,
            sqlite_where=text("job_id IS NULL AND planned_at IS NOT NULL"),
        ),
        Index("ix_executions_status", "status"),
        Index("ix_executions_working", "working", sqlite_where=text("working = 1")),
        Index("ix_executions_queued_at", "queued_at"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(default="run")
    job_id: Mapped[str | None]
    job_name: Mapped[str] = mapped_column(default="")
    trigger: Mapped[str] = mapped_column(default="manual")
    trigger_reason: Mapped[str] = mapped_column(default="")
    status: Mapped[str]
    planned_at: Mapped[datetime | None]
    queued_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    owner: Mapped[str] = mapped_column(default="")
    retry_of: Mapped[str | None]
    attempt: Mapped[int] = mapped_column(default=1)
    not_before: Mapped[datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    working: Mapped[bool] = mapped_column(default=False)
    stage: Mapped[str] = mapped_column(default="")
    percent: Mapped[float | None]
    bytes_in: Mapped[int] = mapped_column(default=0)
    bytes_out: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
    error_kind: Mapped[str | None]
    remedy: Mapped[str | None] = mapped_column(Text)
    labels: Mapped[dict[str, Any]] = mapped_column(default=dict)
    artifacts: Mapped[list[ArtifactRow]] = relationship(
        order_by="ArtifactRow.database", cascade="all, delete-orphan"
    )
    results: Mapped[list[DestinationResultRow]] = relationship(
        order_by="DestinationResultRow.priority", cascade="all, delete-orphan"
    )
    copies: Mapped[list[CopyRow]] = relationship(order_by="CopyRow.database", cascade="all, delete-orphan")


class ArtifactRow(Base):
    """One database's artifact of an execution, and how it ended."""

    __tablename__ = "artifacts"
    execution_id: Mapped[str] = mapped_column(
        ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True
    )
    database: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    status: Mapped[str]
    size: Mapped[int | None]
    dump_size: Mapped[int | None]
    sha256: Mapped[str | None]
    error: Mapped[str | None] = mapped_column(Text)


class CopyRow(Base):
    """How one artifact's upload to one destination ended; one may be stored there while another is not."""

    __tablename__ = "copies"
    execution_id: Mapped[str] = mapped_column(
        ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True
    )
    destination_id: Mapped[str] = mapped_column(primary_key=True)
    database: Mapped[str] = mapped_column(primary_key=True)
    artifact: Mapped[str]
    status: Mapped[str]
    proof: Mapped[str | None]
    error: Mapped[str | None] = mapped_column(Text)
    bytes_sent: Mapped[int] = mapped_column(default=0)


class DestinationResultRow(Base):
    """One destination's outcome of an execution, in sum; its copies are told one by one."""

    __tablename__ = "destination_results"
    execution_id: Mapped[str] = mapped_column(
        ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True
    )
    destination_id: Mapped[str] = mapped_column(primary_key=True)
    destination_name: Mapped[str]
    priority: Mapped[int] = mapped_column(default=0)
    status: Mapped[str]
    path: Mapped[str | None]
    proof: Mapped[str | None]
    error: Mapped[str | None] = mapped_column(Text)
    bytes_sent: Mapped[int] = mapped_column(default=0)


class LogRow(Base):
    """One log line, stored as it comes."""

    __tablename__ = "log_entries"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - an ID is never used twice
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    execution_id: Mapped[str] = mapped_column(ForeignKey("executions.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime]
    level: Mapped[str]
    type: Mapped[str]
    stage: Mapped[str]
    message: Mapped[str] = mapped_column(Text)
    details: Mapped[str] = mapped_column(Text, default="")


class BackupRow(Base):
    """The cache of what lies at the destinations; the storage is the truth, this is only quick."""

    __tablename__ = "backups"
    id: Mapped[str] = mapped_column(primary_key=True)
    destination_id: Mapped[str] = mapped_column(ForeignKey("destinations.id", ondelete="CASCADE"), index=True)
    artifact: Mapped[str]
    job_id: Mapped[str] = mapped_column(default="", index=True)
    set_id: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime | None]
    size: Mapped[int]
    sidecar: Mapped[str] = mapped_column(Text)
    problem: Mapped[str] = mapped_column(default="")
    locked: Mapped[bool] = mapped_column(default=False)
    proof: Mapped[dict[str, Any] | None]
    seen_at: Mapped[datetime]


class LeftoverRow(Base):
    """What an upload may have left, written before its first byte; removed by this record alone."""

    __tablename__ = "leftovers"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - an ID is never used twice
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    execution_id: Mapped[str] = mapped_column(index=True)
    destination_id: Mapped[str]
    temporary_name: Mapped[str]
    upload_id: Mapped[str] = mapped_column(default="")
    final_name: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]


class NotificationLogRow(Base):
    """Each attempt to tell people, with the payload as it was rendered."""

    __tablename__ = "notification_log"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    execution_id: Mapped[str | None] = mapped_column(index=True)
    notifier_id: Mapped[str]
    notifier_name: Mapped[str]
    at: Mapped[datetime]
    status: Mapped[str]
    payload: Mapped[dict[str, Any]]
    error: Mapped[str | None] = mapped_column(Text)
