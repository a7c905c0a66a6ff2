"""Rows of the database. They never leave the store."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, Column, DateTime, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, stored in UTC; SQLite by itself forgets the zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC on the way in."""
        del dialect
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say that it is UTC on the way out."""
        del dialect
        return value and value.replace(tzinfo=UTC)


class RunRow(SQLModel, table=True):
    """One run."""

    __tablename__: ClassVar[Any] = "run"

    run_id: str = Field(primary_key=True)
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False, index=True))
    ended_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    status: str = Field(index=True)
    github_url: str
    ref: str | None = None
    prompt: str
    commit: str | None = None
    backend: str | None = None
    isolation: str | None = None
    model: str
    scripted: bool
    limits: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    check: str | None = None
    idempotency_key: str | None = Field(default=None, unique=True)
    request_digest: str | None = None
    owner: str | None = None
    code: str | None = None
    message: str | None = None


class VariationRow(SQLModel, table=True):
    """One attempt of a run, as it stands."""

    __tablename__: ClassVar[Any] = "variation"

    run_id: str = Field(primary_key=True, foreign_key="run.run_id", ondelete="CASCADE")
    variation_id: int = Field(primary_key=True)
    status: str
    condition: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    stop_reason: str | None = None
    code: str | None = None
    message: str | None = None
    summary: str | None = None
    turns: int = 0
    seconds: float | None = None
    usage: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    patch_stat: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    check: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))


class EventRow(SQLModel, table=True):
    """One entry of a run's log; ``position`` is the id that stream clients see."""

    __tablename__: ClassVar[Any] = "event"

    run_id: str = Field(primary_key=True, foreign_key="run.run_id", ondelete="CASCADE")
    position: int = Field(primary_key=True)
    variation_id: int | None = None
    type: str
    line: str


class SelectionRow(SQLModel, table=True):
    """One choice of a winner; the last one of a run counts."""

    __tablename__: ClassVar[Any] = "selection"

    id: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(foreign_key="run.run_id", ondelete="CASCADE", index=True)
    variation_id: int
    reason: str | None = None
    selected_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
