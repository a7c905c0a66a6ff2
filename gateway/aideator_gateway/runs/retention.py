"""Which runs are kept, by age and by the size of the database; the oldest go first."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, tuple_
from sqlmodel import col, select

from aideator_gateway.runs.database import Database
from aideator_gateway.runs.storage import StorageError
from aideator_gateway.runs.store import Store, has_ended
from aideator_gateway.runs.stored import ListPosition
from aideator_gateway.runs.tables import PatchRow, RunRow, SegmentRow, TranscriptRow
from aideator_gateway.waiting import beside

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
"""How often a gateway looks whether there is something to remove."""

_BATCH = 50


@dataclass(frozen=True)
class Keep:
    """What is kept; ``None`` sets no bound."""

    days: float | None = None
    """Runs that ended within so many days."""
    bytes: int | None = None
    """Bytes that all runs take in the database."""

    def __bool__(self) -> bool:
        """Whether anything is ever removed."""
        return self.days is not None or self.bytes is not None


@dataclass(frozen=True)
class Pruned:
    """What was removed, or would be."""

    runs: int
    bytes: int
    """What these runs took in the database, more or less."""
    used: int
    """Bytes of the database in use then."""


class Retention:
    """Removes ended runs, one at a time, so that what else is written waits for none for long.

    Parameters
    ----------
    store
        Where from.
    keep
        What stays.
    removed
        Called with the id of each run that is gone; readers of it are told.
    """

    def __init__(
        self, store: Store, keep: Keep, removed: Callable[[str], None] = lambda _: None
    ) -> None:
        self._store = store
        self._keep = keep
        self._removed = removed

    async def prune(self, *, dry_run: bool = False) -> Pruned:
        """Remove what is not to be kept.

        Parameters
        ----------
        dry_run
            Change nothing, and say what would be removed. How much room that would leave is
            then reckoned by what the runs' logs and patches hold.

        Raises
        ------
        StorageError
            If the database cannot be read or written.
        """
        runs = held = 0
        used = before = await used_bytes(self._store)
        async for run_id, size, is_old in self._candidates():
            if not is_old and (self._keep.bytes is None or used <= self._keep.bytes):
                break
            if dry_run:
                used -= size
            else:
                began = time.monotonic()
                if not await self._store.delete_run(run_id, pruned=True):
                    continue  # somebody else has removed it
                self._removed(run_id)
                used = await used_bytes(self._store)
                # Others, in other processes too, have the database at least half of the time.
                await asyncio.sleep(time.monotonic() - began)
            runs += 1
            held += size
        return Pruned(runs, held if dry_run else max(0, before - used), used)

    async def _candidates(self) -> AsyncIterator[tuple[str, int, bool]]:
        """Give runs that have ended, the oldest first: id, bytes, and whether it is too old."""
        days = self._keep.days
        until = None if days is None else datetime.now(UTC) - timedelta(days=days)
        ended_at = func.coalesce(col(RunRow.ended_at), col(RunRow.created_at))
        place = (col(RunRow.created_at), col(RunRow.run_id))
        query = (
            select(RunRow.run_id, RunRow.created_at, ended_at)
            .where(has_ended())
            .order_by(*place)
            .limit(_BATCH)
        )
        last: ListPosition | None = None
        while True:
            step = query
            if last is not None:
                step = step.where(tuple_(*place) > tuple_(last.created_at, last.run_id))
            async with self._store.reading() as session:
                rows = (await session.execute(step)).all()
            for run_id, _, ended in rows:
                is_old = until is not None and ended is not None and ended < until
                yield run_id, await self._size(run_id), is_old
            if not rows:
                return
            last = ListPosition(rows[-1][1], rows[-1][0])

    async def _size(self, run_id: str) -> int:
        total = 0
        async with self._store.reading() as session:
            for run, held in (
                (SegmentRow.run_id, SegmentRow.frames),
                (TranscriptRow.run_id, TranscriptRow.lines),
                (PatchRow.run_id, PatchRow.piece),
            ):
                query = select(func.sum(func.length(held))).where(col(run) == run_id)
                total += await session.scalar(query) or 0
        return total

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Prune now and again while the block runs."""
        if not self._keep:
            yield
            return
        async with beside(self._go_on(), "retention"):
            yield

    async def _go_on(self) -> None:
        while True:
            try:
                done = await self.prune()
                if done.runs:
                    logger.info("%d runs were removed to keep %s", done.runs, self._words())
            except StorageError as error:
                logger.warning("old runs are not removed for now: %s", error.message)
            except Exception:
                logger.exception("old runs could not be removed")
            await asyncio.sleep(LOOK_SECONDS)

    def _words(self) -> str:
        days, size = self._keep.days, self._keep.bytes
        parts = [f"{days:g} days" if days else "", f"{size} bytes" if size is not None else ""]
        return " and ".join(part for part in parts if part)


async def used_bytes(database: Database) -> int:
    """Return the bytes of the database that are in use; the file may have room beside."""
    async with database.reading() as session:
        connection = await session.connection()
        values = [
            int((await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        ]
    pages, free, size = values
    return (pages - free) * size
