"""Rows of the database. They never leave the store."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from sqlalchemy import JSON, Column, DateTime, TypeDecorator, text
from sqlalchemy.engine import Dialect
from sqlmodel import Field, SQLModel

T = TypeVar("T")


class _Lenient(TypeDecorator[T]):
    """A value that comes out as ``None`` if it cannot be read, and leaves its row readable."""

    __abstract__ = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], T | None]:
        """Wrap what reads the value, so that one bad value fails no query."""
        read = super().result_processor(dialect, coltype) or (lambda value: value)

        def carefully(value: Any) -> T | None:
            try:
                return read(value)
            except (ValueError, TypeError, RecursionError):
                return None

        return carefully


class Json(_Lenient[Any]):
    """JSON that other hands, or another version, may have written."""

    impl = JSON
    cache_ok = True


class UtcDateTime(_Lenient[datetime]):
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
    copies: str | None = None
    model: str
    scripted: bool
    limits: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
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
    condition: dict[str, Any] = Field(sa_column=Column(Json, nullable=False))
    stop_reason: str | None = None
    code: str | None = None
    message: str | None = None
    summary: str | None = None
    turns: int = 0
    seconds: float | None = None
    usage: dict[str, Any] = Field(default_factory=dict, sa_column=Column(Json, nullable=False))
    patch_stat: dict[str, Any] | None = Field(default=None, sa_column=Column(Json))
    check: dict[str, Any] | None = Field(default=None, sa_column=Column(Json(none_as_null=True)))


class SegmentRow(SQLModel, table=True):
    """A stretch of a run's log, as stream clients are sent it."""

    __tablename__: ClassVar[Any] = "segment"

    run_id: str = Field(primary_key=True, foreign_key="run.run_id", ondelete="CASCADE")
    last: int = Field(primary_key=True)
    first: int
    ends: bool
    # Last, so that the columns before it are read without it.
    frames: bytes


class TranscriptRow(SQLModel, table=True):
    """A stretch of what one variation's agent said: whole lines of JSON."""

    __tablename__: ClassVar[Any] = "transcript"

    run_id: str = Field(primary_key=True, foreign_key="run.run_id", ondelete="CASCADE")
    variation_id: int = Field(primary_key=True)
    # Place in the log, or behind it, of the last frame that was made of its lines.
    number: int = Field(primary_key=True)
    # Where in the lines the patch belongs, in base64; NULL where there is none in them.
    patch_at: int | None = None
    lines: bytes


class PatchRow(SQLModel, table=True):
    """A piece of a variation's patch, so many bytes of a diff."""

    __tablename__: ClassVar[Any] = "patch"

    run_id: str = Field(primary_key=True, foreign_key="run.run_id", ondelete="CASCADE")
    variation_id: int = Field(primary_key=True)
    number: int = Field(primary_key=True)
    piece: bytes


class SelectionRow(SQLModel, table=True):
    """One choice of a winner; the last one of a run counts."""

    __tablename__: ClassVar[Any] = "selection"

    id: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(foreign_key="run.run_id", ondelete="CASCADE", index=True)
    # 0 is none of them: databases that are there allow no NULL here.
    variation_id: int
    reason: str | None = None
    selected_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))


class DeletedRunRow(SQLModel, table=True):
    """What stays of a run that was deleted: its place in the list, and its key."""

    __tablename__: ClassVar[Any] = "deleted_run"

    run_id: str = Field(primary_key=True)
    created_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    deleted_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False, index=True))
    idempotency_key: str | None = Field(default=None, index=True)
    # By retention, not because somebody asked for it.
    pruned: bool = Field(default=False, sa_column_kwargs={"server_default": text("0")})


class DaySpendingRow(SQLModel, table=True):
    """What answers of the model have cost on one day of UTC; runs that are deleted stay in it."""

    __tablename__: ClassVar[Any] = "day_spending"

    day: str = Field(primary_key=True)
    usd: float = 0.0
    unknown: int = 0
