"""The event log on a real database: committed first, in order, the same for every reader."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from aideator.protocol import Limits
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.model import NewRun
from aideator_gateway.runs.store import Change, Entry, Store

REQUEST = NewRun(github_url="https://github.com/user/repo", prompt="x", variations=2)


@asynccontextmanager
async def opened(path: Path, *runs: str, store: Store | None = None) -> AsyncIterator[EventLog]:
    store = store or Store(path)
    log = EventLog(store)
    try:
        await store.open()
        for run_id in runs:
            await store.create_run(run_id, REQUEST, limits=Limits(), model="m", scripted=True)
        log.start()
        yield log
    finally:
        await log.aclose()
        await store.aclose()


async def read(log: EventLog, run_id: str, after: int = 0) -> list[Entry]:
    return [entry async for entries in log.follow(run_id, after) for entry in entries]


def test_live_and_late_readers_get_the_same(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db", "a", "b") as log:
            live = asyncio.create_task(read(log, "a"))

            async def speak(run_id: str, variation: int) -> None:
                for number in range(500):
                    await log.append(run_id, variation, "text", json.dumps(number))

            await asyncio.gather(*(speak(r, v) for r in ("a", "b") for v in (1, 2)))
            for run_id in ("a", "b"):
                await log.append(run_id, None, "end", "{}", wait=True)
            heard = await live
            assert heard == await read(log, "a")
            assert [e.position for e in heard] == list(range(1, 1002))
            for variation in (1, 2):
                said = [json.loads(e.line) for e in heard if e.variation_id == variation]
                assert said == list(range(500))
            assert await read(log, "a", after=990) == heard[990:]

    asyncio.run(scenario())


def test_what_a_reader_gets_is_on_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db", "a") as log:
            reader = log.follow("a", 0)
            following = asyncio.ensure_future(anext(reader))
            await log.append("a", 1, "text", '"first"', {"turns": 1})
            entry = (await following)[0]
            with closing(sqlite3.connect(tmp_path / "x.db")) as other:
                rows = other.execute("SELECT position, line FROM event").fetchall()
                turns = other.execute("SELECT turns FROM variation").fetchall()
            assert (entry.position, entry.line) == rows[0]
            assert turns == [(1,), (0,)]
            await reader.aclose()

    asyncio.run(scenario())


def test_positions_go_on_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "x.db", "a") as log:
            await log.append("a", 1, "text", "1", wait=True)
        async with opened(tmp_path / "x.db") as log:
            await log.append("a", 1, "text", "2")
            await log.append("a", None, "end", "{}", wait=True)
            assert [e.position for e in await read(log, "a")] == [1, 2, 3]

    asyncio.run(scenario())


def test_a_reader_of_a_deleted_run_is_let_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = Store(tmp_path / "x.db")
        async with opened(tmp_path / "x.db", "a", store=store) as log:
            await log.append("a", 1, "text", "1", wait=True)
            reader = asyncio.create_task(read(log, "a"))
            await asyncio.sleep(0.1)
            await store.delete_run("a")
            log.deleted("a")
            assert len(await asyncio.wait_for(reader, 5)) == 1

    asyncio.run(scenario())


class FullDisk(Store):
    """A store whose disk is full for events of one run."""

    async def append(self, entries: Sequence[Entry], changes: Iterable[Change]) -> None:
        """Write, unless there is no space."""
        if any(entry.line == '"too much"' for entry in entries):
            raise OSError(28, "No space left on device")
        await super().append(entries, changes)


def test_a_write_that_fails_is_told_and_leaves_no_gap(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "x.db"
        async with opened(path, "a", store=FullDisk(path)) as log:
            await log.append("a", 1, "text", "1", wait=True)
            with pytest.raises(OSError, match="No space left"):
                await log.append("a", 1, "text", '"too much"', wait=True)
            with pytest.raises(OSError, match="No space left"):
                await log.append("a", 1, "text", "2")
            await log.append("a", None, "end", "{}", wait=True)
            assert [(e.position, e.type) for e in await read(log, "a")] == [(1, "text"), (2, "end")]

    asyncio.run(scenario())
