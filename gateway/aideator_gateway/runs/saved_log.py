"""Runs' logs, transcripts and patches as they are stored, read in pages of so many bytes."""

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, func
from sqlmodel import col, select

from aideator_gateway.runs.database import Database
from aideator_gateway.runs.frames import behind
from aideator_gateway.runs.stored import Segment
from aideator_gateway.runs.tables import PatchRow, SegmentRow, TranscriptRow

PAGE_BYTES = 128 * 1024
"""A page ends with the row with which it has as many bytes."""


class SavedLog(Database):
    """What of runs' logs is on disk; what is written goes through ``store``."""

    async def segment(self, run_id: str, after: int) -> Segment | None:
        """Return a page of the run's log behind position ``after``, ``None`` if there is nothing.

        The log's end is a page of its own.
        """
        rows = await self._page(
            [SegmentRow.first, SegmentRow.last, SegmentRow.ends, SegmentRow.frames],
            [col(SegmentRow.run_id) == run_id],
            SegmentRow.last,
            after,
        )
        if len(rows) > 1 and rows[-1].ends:
            rows = rows[:-1]
        if not rows:
            return None
        frames = b"".join(row.frames for row in rows)
        if after >= rows[0].first:
            frames = behind(frames, after)
        return Segment(max(rows[0].first, after + 1), rows[-1].last, rows[-1].ends, frames)

    async def last_segment(self, run_id: str) -> Segment | None:
        """Return the stretch with which the run's log ends so far."""
        query = (
            select(SegmentRow)
            .where(col(SegmentRow.run_id) == run_id)
            .order_by(col(SegmentRow.last).desc())
            .limit(1)
        )
        async with self.reading() as session:
            row = await session.scalar(query)
        return None if row is None else Segment(row.first, row.last, row.ends, row.frames)

    async def last_position(self, run_id: str) -> int:
        """Return the position of the newest frame in the run's log, 0 if there is none."""
        query = select(func.max(SegmentRow.last)).where(col(SegmentRow.run_id) == run_id)
        async with self.reading() as session:
            return await session.scalar(query) or 0

    async def transcript(self, run_id: str, variation_id: int) -> AsyncIterator[bytes]:
        """Give all that one variation's agent has said until now, oldest first, whole lines a page.

        A patch comes in pages of its own.
        """
        last = 0
        while rows := await self._page(
            [TranscriptRow.number, TranscriptRow.patch_at, TranscriptRow.lines],
            _of(TranscriptRow, run_id, variation_id),
            TranscriptRow.number,
            last,
        ):
            lines: list[bytes] = []
            for row in rows:
                if row.patch_at is None:
                    lines.append(row.lines)
                    continue
                yield b"".join((*lines, row.lines[: row.patch_at]))
                async for piece in self.patch(run_id, variation_id):
                    yield await asyncio.to_thread(base64.b64encode, piece)
                lines = [row.lines[row.patch_at :]]
            yield b"".join(lines)
            last = rows[-1].number

    async def patch(self, run_id: str, variation_id: int) -> AsyncIterator[bytes]:
        """Give the bytes of a variation's patch."""
        last = -1
        while rows := await self._page(
            [PatchRow.number, PatchRow.piece],
            _of(PatchRow, run_id, variation_id),
            PatchRow.number,
            last,
        ):
            for row in rows:
                yield row.piece
            last = rows[-1].number

    async def has_patch(self, run_id: str, variation_id: int) -> bool:
        """Whether a variation's patch, which may be empty, is stored."""
        query = select(TranscriptRow.number).where(
            *_of(TranscriptRow, run_id, variation_id), col(TranscriptRow.patch_at).is_not(None)
        )
        async with self.reading() as session:
            return (await session.execute(query.limit(1))).first() is not None

    async def lines(
        self, run_id: str, variation_id: int, *, newest_first: bool = False
    ) -> AsyncIterator[bytes]:
        """Give a variation's lines one by one; the one of a patch is without it."""
        number = col(TranscriptRow.number)
        query = select(TranscriptRow.lines).where(*_of(TranscriptRow, run_id, variation_id))
        last: int | None = None
        while True:
            step = query.order_by(number.desc() if newest_first else number).limit(1)
            if last is not None:
                step = step.where(number < last if newest_first else number > last)
            async with self.reading() as session:
                row = (await session.execute(step.add_columns(number))).first()
            if row is None:
                return
            last = row[1]
            lines = row[0].removesuffix(b"\n").split(b"\n")
            for line in reversed(lines) if newest_first else lines:
                yield line

    async def _page(
        self,
        columns: Sequence[Any],
        where: Sequence[ColumnElement[bool]],
        place: Any,
        after: int,
    ) -> Sequence[Row[Any]]:
        """Return rows behind a place, as many as make a page; the last column is what is large."""
        query = select(*columns).where(*where, col(place) > after).order_by(col(place))
        return await asyncio.to_thread(self._first_page, query)

    def _first_page(self, query: Any) -> Sequence[Row[Any]]:
        rows: list[Row[Any]] = []
        total = 0
        with self.reading_in_thread() as connection:
            found = connection.execute(query)
            # One by one: rows are of all sizes, and memory is not.
            while total < PAGE_BYTES and (row := found.fetchone()) is not None:
                rows.append(row)
                total += len(row[-1])
        return rows


def _of(row: type[TranscriptRow | PatchRow], run_id: str, variation_id: int) -> Any:
    return [col(row.run_id) == run_id, col(row.variation_id) == variation_id]
