"""Runs, their variations, event logs and selections in one SQLite file.

The database is the only thing that knows how a run stands: what a client may see is
committed here first (``append``), then published. Each gateway has one writer of
logs, ``writer.GroupWriter``; reads, and the writers of other gateways, run beside it (WAL).
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Update,
    delete,
    false,
    func,
    insert,
    not_,
    or_,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col, select

from aideator.protocol import Limits, Status
from aideator_gateway.runs.brief import R, brief_rows, select_brief
from aideator_gateway.runs.database import PATIENCE_SECONDS
from aideator_gateway.runs.model import NewRun, Run
from aideator_gateway.runs.packing import Packed
from aideator_gateway.runs.reading import to_run
from aideator_gateway.runs.saved_log import SavedLog
from aideator_gateway.runs.schema import open_database
from aideator_gateway.runs.search import matching
from aideator_gateway.runs.stored import Change, KnownKey, ListPosition, Spending
from aideator_gateway.runs.tables import (
    DaySpendingRow,
    DeletedRunRow,
    PatchRow,
    RunRow,
    SegmentRow,
    SelectionRow,
    TranscriptRow,
    VariationRow,
)

OPEN_SECONDS = 10.0
"""How long to wait for the locks of others when the file is opened, in seconds."""

APPEND_SECONDS = 2.0
"""How long the log's writer waits while somebody else writes; it tries again."""

KEPT_DELETIONS = 10_000
"""Deleted runs whose place in the list, and whose key, are remembered."""


class KeyTakenError(Exception):
    """A run was started under this Idempotency-Key before."""


class Store(SavedLog):
    """The database; its methods raise ``StorageError`` where it cannot be read or written.

    Parameters
    ----------
    path
        The SQLite file; it is created, with its tables, by ``open``.
    patience
        How long to wait for the locks of others when it is opened, in seconds.
    """

    def __init__(self, path: Path, *, patience: float = OPEN_SECONDS) -> None:
        super().__init__(path)
        self._path = path
        self._patience = patience

    async def open(self) -> None:
        """Make the file, or bring it up to date.

        Raises
        ------
        StartError
            If it is not AIdeator's, or cannot be used; then it is as it was.
        """
        await asyncio.to_thread(open_database, self._path, self._patience)

    async def check(self) -> None:
        """Write, and change nothing, to see whether that works now."""
        async with self.transaction(APPEND_SECONDS) as session:
            connection = await session.connection()
            # As it is: a newer version may have brought the file up to date meanwhile.
            found = await connection.exec_driver_sql("PRAGMA user_version")
            await connection.exec_driver_sql(f"PRAGMA user_version = {int(found.scalar_one())}")

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

        ``key`` is the client's Idempotency-Key, ``digest`` tells requests apart.
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
        async with self.transaction() as session:
            session.add(run)
            try:
                await session.flush()
            except IntegrityError as error:
                if "idempotency_key" not in str(error.orig):
                    raise
                raise KeyTakenError(key) from error
            session.add_all(variations)
        return to_run(run, variations, [])

    async def append(self, packed: Sequence[Packed], changes: Iterable[Change]) -> None:
        """Write what runs' logs take, and what follows from it, in one transaction."""
        rows: dict[type[SQLModel], list[dict[str, Any]]] = {
            SegmentRow: _rows((one.run_id, one.segments) for one in packed),
            TranscriptRow: _rows((one.run_id, one.stretches) for one in packed),
            PatchRow: _rows((one.run_id, one.pieces) for one in packed),
        }
        statements = [_set(change) for change in changes]

        def write(connection: Connection) -> None:
            for table, new in rows.items():
                if new:
                    connection.execute(insert(table), new)
            for statement in statements:
                connection.execute(statement)

        await self.write(write, APPEND_SECONDS)

    async def select(self, run_id: str, variation_id: int | None, reason: str | None) -> bool:
        """Write a choice, ``None`` for none of them; earlier ones are kept.

        ``False`` if there is no such run any more.
        """
        async with self.transaction() as session:
            if await session.get(RunRow, run_id) is None:
                return False
            session.add(
                SelectionRow(
                    run_id=run_id,
                    variation_id=variation_id or 0,
                    reason=reason,
                    selected_at=datetime.now(UTC),
                )
            )
        return True

    async def delete_run(self, run_id: str, *, pruned: bool = False) -> bool:
        """Remove a run with all that belongs to it; its place and its key are remembered.

        Parameters
        ----------
        pruned
            Retention removes it: only if it has ended in every respect, and readers are told.

        Returns
        -------
        Whether there was such a run.
        """
        found = select(RunRow.created_at, RunRow.idempotency_key).where(
            col(RunRow.run_id) == run_id
        )
        if pruned:
            found = found.where(has_ended())
        async with self.transaction() as session:
            row = (await session.execute(found)).first()
            if row is None:
                return False
            await session.execute(delete(RunRow).where(col(RunRow.run_id) == run_id))
            now = datetime.now(UTC)
            session.add(
                DeletedRunRow(
                    run_id=run_id,
                    created_at=row[0] or now,
                    deleted_at=now,
                    idempotency_key=row[1],
                    pruned=pruned,
                )
            )
            await session.flush()
            oldest_kept = (
                select(DeletedRunRow.deleted_at)
                .order_by(col(DeletedRunRow.deleted_at).desc())
                .offset(KEPT_DELETIONS - 1)
                .limit(1)
                .scalar_subquery()
            )
            await session.execute(
                delete(DeletedRunRow).where(col(DeletedRunRow.deleted_at) < oldest_kept)
            )
        return True

    async def pruned_at(self, run_id: str) -> datetime | None:
        """Return when retention removed a run, ``None`` if it did not or that is forgotten."""
        query = select(DeletedRunRow.deleted_at).where(
            col(DeletedRunRow.run_id) == run_id, col(DeletedRunRow.pruned)
        )
        async with self.reading() as session:
            return await session.scalar(query)

    async def run(self, run_id: str) -> Run | None:
        """Return one run, or ``None``."""
        async with self.reading() as session:
            row = await session.get(RunRow, run_id)
            if row is None:
                return None
            return (await self._with_parts(session, [row]))[0]

    async def runs(
        self, *, limit: int, before: ListPosition | None = None, search: str = ""
    ) -> list[Run]:
        """Return runs, newest first, with long texts cut as in ``brief``.

        ``before`` is the position of the last one already seen; ``search`` leaves only those that
        it finds, as ``matching`` says.
        """
        newest = (col(RunRow.created_at).desc(), col(RunRow.run_id).desc())
        query = select_brief(RunRow).order_by(*newest).limit(limit)
        if search:
            query = query.where(matching(search))
        if before is not None:
            query = query.where(
                tuple_(col(RunRow.created_at), col(RunRow.run_id))
                < tuple_(before.created_at, before.run_id)
            )
        async with self.reading() as session:
            rows = await brief_rows(session, RunRow, query)
            return await self._with_parts(session, rows, brief=True)

    async def winners(self, run_ids: Collection[str]) -> dict[str, int]:
        """Return which variations were chosen, by run; runs without a winner are left out."""
        found: dict[str, int] = {}
        wanted = list(run_ids)
        async with self.reading() as session:
            # A statement takes so many values and no more.
            for start in range(0, len(wanted), 500):
                query = (
                    select(SelectionRow.run_id, SelectionRow.variation_id)
                    .where(col(SelectionRow.run_id).in_(wanted[start : start + 500]))
                    .order_by(col(SelectionRow.id))
                )
                # The last one of a run counts, and 0 is none of its variations.
                found |= {row.run_id: row.variation_id for row in await session.execute(query)}
        return {run_id: number for run_id, number in found.items() if number}

    async def list_position(self, run_id: str) -> ListPosition | None:
        """Return where a run stands in the list, also one that was deleted."""
        async with self.reading() as session:
            row: RunRow | DeletedRunRow | None = await session.get(RunRow, run_id)
            row = row or await session.get(DeletedRunRow, run_id)
            return None if row is None else ListPosition(row.created_at, row.run_id)

    async def known_key(self, key: str) -> KnownKey | None:
        """Return what was started under an Idempotency-Key."""
        live = select(RunRow.run_id, RunRow.request_digest).where(
            col(RunRow.idempotency_key) == key
        )
        deleted = select(DeletedRunRow.run_id).where(col(DeletedRunRow.idempotency_key) == key)
        async with self.reading() as session:
            if found := (await session.execute(live)).first():
                return KnownKey(found[0], found[1], deleted=False)
            if gone := (await session.execute(deleted)).first():
                return KnownKey(gone[0], None, deleted=True)
        return None

    async def exists(self, run_id: str) -> bool:
        """Whether there is such a run."""
        query = select(RunRow.run_id).where(col(RunRow.run_id) == run_id)
        async with self.reading() as session:
            return (await session.execute(query)).first() is not None

    async def owner(self, run_id: str) -> str | None:
        """Return the id of the gateway that a run belongs to, ``None`` if that is not known."""
        async with self.reading() as session:
            return await session.scalar(select(RunRow.owner).where(col(RunRow.run_id) == run_id))

    async def claim(
        self, run_ids: Sequence[str], owner: str, *, patience: float = PATIENCE_SECONDS
    ) -> None:
        """Let runs belong to a gateway, whomever they belonged to."""
        async with self.transaction(patience) as session:
            await session.execute(
                update(RunRow).where(col(RunRow.run_id).in_(run_ids)).values(owner=owner)
            )

    async def unfinished_owners(self) -> set[str | None]:
        """Return the gateways that runs belong to which have not ended."""
        query = select(RunRow.owner).where(_is_unfinished()).distinct()
        async with self.reading() as session:
            return set(await session.scalars(query))

    async def unfinished(
        self, owners: Collection[str | None] | None = None, run_id: str | None = None
    ) -> list[Run]:
        """Return the runs that have not ended in every respect: row, variations and log.

        Long texts are cut as in ``brief``, but for their check.

        Parameters
        ----------
        owners, run_id
            Only runs of these gateways, or only that one, are looked at.
        """
        query = select_brief(RunRow, whole=("check",)).where(_is_unfinished())
        if owners is not None:
            # NULL is in no list.
            owned = func.coalesce(RunRow.owner, "").in_([owner or "" for owner in owners])
            query = query.where(owned)
        if run_id is not None:
            query = query.where(col(RunRow.run_id) == run_id)
        async with self.reading() as session:
            rows = await brief_rows(session, RunRow, query)
            return await self._with_parts(session, rows, brief=True)

    async def spending(self, day: date) -> Spending:
        """Return what was spent on a day."""
        async with self.reading() as session:
            row = await session.get(DaySpendingRow, day.isoformat())
            return Spending(row.usd, row.unknown) if row else Spending(0.0, 0)

    async def add_spending(
        self, day: date, spending: Spending, *, with_runs: bool = False
    ) -> Spending:
        """Add to what was spent on a day, and return the sum.

        Parameters
        ----------
        with_runs
            Begin a day that nobody has counted yet with what its runs say that they have cost.
        """
        async with self.transaction(APPEND_SECONDS) as session:
            row = await session.get(DaySpendingRow, day.isoformat())
            if row is None:
                found = await _cost_of_runs(session, day) if with_runs else 0.0
                row = DaySpendingRow(day=day.isoformat(), usd=found)
                session.add(row)
            row.usd += spending.usd
            row.unknown += spending.unknown
            return Spending(row.usd, row.unknown)

    async def _with_parts(
        self, session: AsyncSession, rows: Sequence[RunRow], *, brief: bool = False
    ) -> list[Run]:
        ids = [row.run_id for row in rows]

        async def parts(table: type[R], order: Any) -> Sequence[R]:
            query = select_brief(table) if brief else select(table)
            query = query.where(col(table.run_id).in_(ids)).order_by(col(order))
            if brief:
                return await brief_rows(session, table, query)
            return (await session.scalars(query)).all()

        variations = await parts(VariationRow, VariationRow.variation_id)
        selections = await parts(SelectionRow, SelectionRow.id)
        of_variations: dict[str, list[VariationRow]] = {run_id: [] for run_id in ids}
        for variation in variations:
            of_variations[variation.run_id].append(variation)
        of_selections: dict[str, list[SelectionRow]] = {run_id: [] for run_id in ids}
        for selection in selections:
            of_selections[selection.run_id].append(selection)
        return [to_run(row, of_variations[row.run_id], of_selections[row.run_id]) for row in rows]


def _rows(parts: Iterable[tuple[str, Sequence[Any]]]) -> list[dict[str, Any]]:
    return [{"run_id": run_id, **vars(part)} for run_id, of_run in parts for part in of_run]


async def _cost_of_runs(session: AsyncSession, day: date) -> float:
    begin = datetime.combine(day, time(), UTC)
    usages = await session.scalars(
        select(VariationRow.usage)
        .join(RunRow, col(RunRow.run_id) == col(VariationRow.run_id))
        .where(
            col(RunRow.created_at) >= begin,
            col(RunRow.created_at) < begin + timedelta(days=1),
            col(RunRow.scripted).is_(False),
        )
    )
    costs = [usage.get("cost_usd") for usage in usages if isinstance(usage, dict)]
    return sum(cost for cost in costs if isinstance(cost, int | float))


def _set(change: Change) -> Update:
    """Return the statement that sets columns of a run, or of one of its variations."""
    if change.variation_id is None:
        statement = update(RunRow).where(col(RunRow.run_id) == change.run_id)
    else:
        statement = update(VariationRow).where(
            col(VariationRow.run_id) == change.run_id,
            col(VariationRow.variation_id) == change.variation_id,
        )
    return statement.values(**change.values)


def has_ended() -> ColumnElement[bool]:
    """Return the condition that a run has ended in every respect: row, variations and log."""
    return not_(_is_unfinished())


def _is_unfinished() -> ColumnElement[bool]:
    open_ = (Status.PENDING, Status.RUNNING)
    going = select(VariationRow.run_id).where(
        col(VariationRow.run_id) == col(RunRow.run_id), col(VariationRow.status).in_(open_)
    )
    ended = (
        select(SegmentRow.ends)
        .where(col(SegmentRow.run_id) == col(RunRow.run_id))
        .order_by(col(SegmentRow.last).desc())
        .limit(1)
        .scalar_subquery()
    )
    return or_(
        col(RunRow.status).in_(open_),
        going.exists(),
        func.coalesce(ended, false()).is_(False),
    )
