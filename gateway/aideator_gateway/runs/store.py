"""Runs, their variations, event logs and selections in one SQLite file.

The database is the only thing that knows how a run stands: what a client may see is
committed here first (``append``), then published. Each gateway has one writer of events,
``log.EventLog``; reads, and the writers of other gateways, run beside it (WAL).
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, func, insert, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import col, select

from aideator.protocol import Condition, Limits, Status
from aideator_gateway.runs.model import NewRun, Run, Selection, Variation
from aideator_gateway.runs.schema import open_database
from aideator_gateway.runs.tables import EventRow, RunRow, SelectionRow, VariationRow

PATIENCE = 10.0
"""How long to wait for the locks of others, in seconds."""

_UNFINISHED = (Status.PENDING, Status.RUNNING)


class KeyTakenError(Exception):
    """A run was started under this Idempotency-Key before."""


@dataclass(frozen=True)
class Entry:
    """One entry of a run's log."""

    run_id: str
    position: int
    """Counts from 1 within the run."""
    variation_id: int | None
    type: str
    line: str
    """The event as JSON, as its sandbox wrote it."""


@dataclass(frozen=True)
class Change:
    """Columns to set on a run, or on one of its variations, together with an entry."""

    run_id: str
    variation_id: int | None
    values: dict[str, Any] = field(default_factory=dict)


class Store:
    """The database.

    Parameters
    ----------
    path
        The SQLite file; it is created, with its tables, by ``open``.
    patience
        How long to wait for the locks of others, in seconds.
    """

    def __init__(self, path: Path, *, patience: float = PATIENCE) -> None:
        self._path = path
        self._patience = patience
        self._engine = create_async_engine(
            f"sqlite+aiosqlite:///{path}", connect_args={"timeout": patience}
        )
        event.listen(self._engine.sync_engine, "connect", _configure)
        event.listen(self._engine.sync_engine, "begin", _begin)
        self._session = async_sessionmaker(self._engine, expire_on_commit=False)
        self._writing = async_sessionmaker(
            self._engine.execution_options(**{_WRITES: True}), expire_on_commit=False
        )

    async def open(self) -> None:
        """Make the file, or bring it up to date.

        Raises
        ------
        StartError
            If it is not AIdeator's, or cannot be used; then it is as it was.
        """
        await asyncio.to_thread(open_database, self._path, self._patience)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncSession]:
        async with self._writing() as session, session.begin():
            yield session

    async def create_run(
        self,
        run_id: str,
        request: NewRun,
        *,
        limits: Limits,
        model: str,
        scripted: bool,
        key: str | None = None,
        digest: str | None = None,
        owner: str | None = None,
    ) -> Run:
        """Write a new run, pending, with its variations.

        ``key`` is the client's Idempotency-Key, ``digest`` tells requests apart, ``owner`` is
        the gateway that works on it.

        Raises
        ------
        KeyTakenError
            If there is a run under the key already.
        """
        run = RunRow(
            run_id=run_id,
            created_at=datetime.now(UTC),
            status=Status.PENDING,
            github_url=request.github_url,
            ref=request.ref,
            prompt=request.prompt,
            model=model,
            scripted=scripted,
            limits=limits.model_dump(),
            check=request.check,
            idempotency_key=key,
            request_digest=digest,
            owner=owner,
        )
        variations = [
            VariationRow(
                run_id=run_id,
                variation_id=number,
                status=Status.PENDING,
                condition=request.condition(number).model_dump(exclude_none=True),
            )
            for number in range(1, request.variations + 1)
        ]
        async with self._transaction() as session:
            session.add(run)
            try:
                await session.flush()
            except IntegrityError as error:
                if "idempotency_key" not in str(error.orig):
                    raise
                raise KeyTakenError(key) from error
            session.add_all(variations)
        return _to_run(run, variations, [])

    async def append(self, entries: Sequence[Entry], changes: Iterable[Change]) -> None:
        """Write log entries and what follows from them in one transaction."""
        async with self._transaction() as session:
            if entries:
                await session.execute(insert(EventRow), [vars(entry) for entry in entries])
            for change in changes:
                if change.variation_id is None:
                    statement = update(RunRow).where(col(RunRow.run_id) == change.run_id)
                else:
                    statement = update(VariationRow).where(
                        col(VariationRow.run_id) == change.run_id,
                        col(VariationRow.variation_id) == change.variation_id,
                    )
                await session.execute(statement.values(**change.values))

    async def select(self, run_id: str, variation_id: int, reason: str | None) -> None:
        """Write a choice; earlier ones are kept."""
        async with self._transaction() as session:
            session.add(
                SelectionRow(
                    run_id=run_id,
                    variation_id=variation_id,
                    reason=reason,
                    selected_at=datetime.now(UTC),
                )
            )

    async def delete_run(self, run_id: str) -> None:
        """Remove a run with all that belongs to it."""
        async with self._transaction() as session:
            run = await session.get(RunRow, run_id)
            if run is not None:
                await session.delete(run)

    async def run(self, run_id: str) -> Run | None:
        """Return one run, or ``None``."""
        async with self._session() as session:
            row = await session.get(RunRow, run_id)
            if row is None:
                return None
            return (await self._with_parts(session, [row]))[0]

    async def runs(self, *, limit: int, before: str | None = None) -> list[Run]:
        """Return runs, newest first; ``before`` is the id of the last one already seen."""
        newest = (col(RunRow.created_at).desc(), col(RunRow.run_id).desc())
        query = select(RunRow).order_by(*newest).limit(limit)
        async with self._session() as session:
            if before is not None:
                seen = await session.get(RunRow, before)
                if seen is None:
                    return []
                query = query.where(
                    tuple_(col(RunRow.created_at), col(RunRow.run_id))
                    < tuple_(seen.created_at, seen.run_id)
                )
            rows = (await session.scalars(query)).all()
            return await self._with_parts(session, rows)

    async def run_of_key(self, key: str) -> tuple[str, str | None] | None:
        """Return id and request digest of the run that was started under a key."""
        query = select(RunRow.run_id, RunRow.request_digest).where(
            col(RunRow.idempotency_key) == key
        )
        async with self._session() as session:
            found = (await session.execute(query)).first()
        return None if found is None else (found[0], found[1])

    async def exists(self, run_id: str) -> bool:
        """Whether there is such a run."""
        async with self._session() as session:
            return await session.get(RunRow, run_id) is not None

    async def owner(self, run_id: str) -> str | None:
        """Return the id of the gateway that a run belongs to, ``None`` if that is not known."""
        async with self._session() as session:
            return await session.scalar(select(RunRow.owner).where(col(RunRow.run_id) == run_id))

    async def unfinished_owners(self) -> set[str | None]:
        """Return the gateways that runs belong to which have not ended."""
        query = select(RunRow.owner).where(col(RunRow.status).in_(_UNFINISHED)).distinct()
        async with self._session() as session:
            return set(await session.scalars(query))

    async def unfinished(self, owners: Collection[str | None]) -> list[Run]:
        """Return the runs of these gateways that have not ended."""
        # NULL is in no list.
        owned = func.coalesce(RunRow.owner, "").in_([owner or "" for owner in owners])
        query = select(RunRow).where(col(RunRow.status).in_(_UNFINISHED), owned)
        async with self._session() as session:
            return await self._with_parts(session, (await session.scalars(query)).all())

    async def _with_parts(self, session: AsyncSession, rows: Sequence[RunRow]) -> list[Run]:
        ids = [row.run_id for row in rows]
        variations = await session.scalars(
            select(VariationRow)
            .where(col(VariationRow.run_id).in_(ids))
            .order_by(col(VariationRow.variation_id))
        )
        selections = await session.scalars(
            select(SelectionRow)
            .where(col(SelectionRow.run_id).in_(ids))
            .order_by(col(SelectionRow.id))
        )
        of_variations: dict[str, list[VariationRow]] = {run_id: [] for run_id in ids}
        for variation in variations:
            of_variations[variation.run_id].append(variation)
        of_selections: dict[str, list[SelectionRow]] = {run_id: [] for run_id in ids}
        for selection in selections:
            of_selections[selection.run_id].append(selection)
        return [_to_run(row, of_variations[row.run_id], of_selections[row.run_id]) for row in rows]

    async def entries(self, run_id: str, after: int, limit: int) -> list[Entry]:
        """Return the run's log behind position ``after``, oldest first."""
        query = (
            select(EventRow)
            .where(col(EventRow.run_id) == run_id, col(EventRow.position) > after)
            .order_by(col(EventRow.position))
            .limit(limit)
        )
        return await self._entries(query)

    async def transcript(
        self, run_id: str, variation_id: int, *, only: str | None = None
    ) -> list[Entry]:
        """Return all entries of one variation, oldest first, or ``only`` those of a type."""
        query = select(EventRow).where(
            col(EventRow.run_id) == run_id, col(EventRow.variation_id) == variation_id
        )
        if only is not None:
            query = query.where(col(EventRow.type) == only)
        return await self._entries(query.order_by(col(EventRow.position)))

    async def _entries(self, query: Any) -> list[Entry]:
        async with self._session() as session:
            return [
                Entry(row.run_id, row.position, row.variation_id, row.type, row.line)
                for row in await session.scalars(query)
            ]

    async def last_position(self, run_id: str) -> int:
        """Return the position of the run's newest entry, 0 if there is none."""
        query = select(func.max(EventRow.position)).where(col(EventRow.run_id) == run_id)
        async with self._session() as session:
            return await session.scalar(query) or 0


_WRITES = "aideator_writes"
"""Option of the connections that write."""


def _configure(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
    del record
    # Else Python begins transactions by itself, and only where it sees something written.
    connection.isolation_level = None
    cursor = connection.cursor()
    # NORMAL survives a crash of the process, which is what the log promises.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    # What reads first and then writes would fail if another gateway wrote in between; asked for
    # at once, the lock is waited for.
    if connection.get_execution_options().get(_WRITES):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _to_run(
    row: RunRow, variations: Sequence[VariationRow], selections: Sequence[SelectionRow]
) -> Run:
    return Run.model_validate(
        {
            **row.model_dump(),
            "limits": Limits.model_validate(row.limits),
            "winning_variation_id": selections[-1].variation_id if selections else None,
            "selections": [
                Selection(
                    variation_id=choice.variation_id,
                    reason=choice.reason,
                    selected_at=choice.selected_at,
                )
                for choice in selections
            ],
            "variations": [_to_variation(variation) for variation in variations],
        }
    )


def _to_variation(row: VariationRow) -> Variation:
    return Variation.model_validate(
        {
            **row.model_dump(exclude={"patch_stat"}),
            "condition": Condition.model_validate(row.condition),
            "patch": row.patch_stat,
        }
    )
