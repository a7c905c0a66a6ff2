"""Runs' event logs, read from the database; what is written goes through ``store``."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import func
from sqlmodel import col, select

from aideator_gateway.runs.database import Database
from aideator_gateway.runs.stored import Entry
from aideator_gateway.runs.tables import EventRow


class Entries(Database):
    """The entries of runs' logs."""

    async def entries(self, run_id: str, after: int, limit: int) -> list[Entry]:
        """Return the run's log behind position ``after``, oldest first."""
        query = (
            select(EventRow)
            .where(col(EventRow.run_id) == run_id, col(EventRow.position) > after)
            .order_by(col(EventRow.position))
            .limit(limit)
        )
        return await self._entries(query)

    async def transcript(self, run_id: str, variation_id: int) -> list[Entry]:
        """Return all that one variation's agent said, oldest first."""
        query = select(EventRow).where(
            col(EventRow.run_id) == run_id,
            col(EventRow.variation_id) == variation_id,
            # What the gateway found out afterwards.
            col(EventRow.type) != "check",
        )
        return await self._entries(query.order_by(col(EventRow.position)))

    async def entry(
        self,
        run_id: str,
        variation_id: int | None = None,
        *,
        types: Collection[str] = (),
        oldest: bool = False,
    ) -> Entry | None:
        """Return the newest entry, or the oldest, of a run, of a variation, of some types."""
        query = select(EventRow).where(col(EventRow.run_id) == run_id)
        if variation_id is not None:
            query = query.where(col(EventRow.variation_id) == variation_id)
        if types:
            query = query.where(col(EventRow.type).in_(types))
        position = col(EventRow.position)
        found = await self._entries(
            query.order_by(position if oldest else position.desc()).limit(1)
        )
        return found[0] if found else None

    async def _entries(self, query: Any) -> list[Entry]:
        async with self.reading() as session:
            return [
                Entry(row.run_id, row.position, row.variation_id, row.type, row.line)
                for row in await session.scalars(query)
            ]

    async def last_position(self, run_id: str) -> int:
        """Return the position of the run's newest entry, 0 if there is none."""
        query = select(func.max(EventRow.position)).where(col(EventRow.run_id) == run_id)
        async with self.reading() as session:
            return await session.scalar(query) or 0
