"""What a day costs: added up in the database, and begun anew at midnight UTC."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from aideator_gateway.runs.problems import Problem
from aideator_gateway.runs.spending import DaySpending
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.stored import Spending

EVENING = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = EVENING

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    store = Store(path / "aideator.db")
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


@asynccontextmanager
async def counting(
    store: Store, cap: float, clock: Clock
) -> AsyncIterator[tuple[DaySpending, list[float]]]:
    left: list[float] = []
    spending = DaySpending(store, cap, left.append, clock)
    await spending.start()
    try:
        yield spending, left
    finally:
        await spending.aclose()


def test_a_day_ends_with_its_cap_and_begins_anew_at_midnight(tmp_path: Path) -> None:
    async def check() -> None:
        clock = Clock()
        async with opened(tmp_path) as store, counting(store, 2.0, clock) as (spending, left):
            spending.add(1.5)
            spending.add(None)
            await spending.check()
            assert not spending.used_up
            spending.add(0.5)
            # Before anything is written: attempts are at work.
            assert spending.used_up
            with pytest.raises(Problem, match=r"2\.00 US dollars \(without 1 of unknown price\)"):
                await spending.check()
            clock.now += timedelta(hours=2)
            await spending.check()
            # Who counts by itself is told what it cannot know.
            assert left == [2.0, 2.0]
            # Each answer counts on the day on which it came.
            spending.add(0.25)
            await spending.settle()
            clock.now += timedelta(days=1)
            spending.add(0.5)
            assert left[2:] == [1.5]
            clock.now -= timedelta(days=1)
            assert await store.spending(EVENING.date()) == Spending(2.0, 1)
            assert await store.spending(clock.now.date()) == Spending(0.25, 0)

    asyncio.run(check())


def test_what_was_spent_outlives_the_gateway_and_is_that_of_all(tmp_path: Path) -> None:
    async def check() -> None:
        clock = Clock()
        async with opened(tmp_path) as store, counting(store, 2.0, clock) as (one, left):
            async with counting(store, 2.0, clock) as (other, _):
                other.add(1.5)
                one.add(0.25)
            await one.check()
            async with counting(store, 2.0, clock) as (third, _):
                third.add(0.25)
            with pytest.raises(Problem):
                await one.check()
            assert left == [2.0, 0.25, 0.0]
        async with opened(tmp_path) as store, counting(store, 2.0, clock) as (again, left):
            assert (left, again.used_up) == ([0.0], True)

    asyncio.run(check())


def test_what_cannot_be_written_is_counted_and_written_later(tmp_path: Path) -> None:
    async def check() -> None:
        async with opened(tmp_path) as store, counting(store, 1.0, Clock()) as (spending, left):
            other = sqlite3.connect(tmp_path / "aideator.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            spending.add(1.0)
            await spending.settle()
            assert spending.used_up
            other.execute("ROLLBACK")
            other.close()
            await spending.settle()
            assert await store.spending(date(2026, 3, 1)) == Spending(1.0, 0)
            assert (left, spending.used_up) == ([1.0], True)

    asyncio.run(check())
