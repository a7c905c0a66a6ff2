"""The event log on a real database: committed first, in order, the same for every reader."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.store import Store
from tests.support.event_logs import END, opened_log, said
from tests.support.stored_logs import Frame, parsed


async def read(log: EventLog, run_id: str, after: int = 0) -> list[Frame]:
    return [
        frame
        async for segment in log.follow(run_id, after)
        if segment is not None
        for frame in parsed(segment.frames)
    ]


def test_live_and_late_readers_get_the_same(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened_log(Store(tmp_path / "x.db"), "a", "b") as log:
            live = asyncio.create_task(read(log, "a"))

            async def speak(run_id: str, variation: int) -> None:
                for number in range(500):
                    await log.append(run_id, variation, said(f"{variation} {number}"))

            await asyncio.gather(*(speak(r, v) for r in ("a", "b") for v in (1, 2)))
            for run_id in ("a", "b"):
                await (await log.append(run_id, None, END))
            heard = await live
            assert heard == await read(log, "a")
            assert [e.position for e in heard] == list(range(1, 1002))
            for variation in (1, 2):
                words = [e.data["content"].split() for e in heard[:-1]]
                own = [int(number) for speaker, number in words if speaker == str(variation)]
                assert own == list(range(500))
            assert await read(log, "a", after=990) == heard[990:]
            # Who starts behind the end is told that it is the end.
            for after in (1001, 5000):
                assert await read(log, "a", after=after) == heard[-1:]

    asyncio.run(scenario())


def test_what_a_reader_gets_is_on_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened_log(Store(tmp_path / "x.db"), "a") as log:
            reader = log.follow("a", 0)
            following = asyncio.ensure_future(anext(reader))
            await log.append("a", 1, said("first"), {"turns": 1})
            segment = await following
            assert segment is not None
            with closing(sqlite3.connect(tmp_path / "x.db")) as other:
                rows = other.execute("SELECT first, last, frames FROM segment").fetchall()
                turns = other.execute("SELECT turns FROM variation").fetchall()
            assert (segment.first, segment.last, segment.frames) == rows[0]
            assert turns == [(1,), (0,)]
            await reader.aclose()

    asyncio.run(scenario())


def test_positions_go_on_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened_log(Store(tmp_path / "x.db"), "a") as log:
            await (await log.append("a", 1, said("1")))
        async with opened_log(Store(tmp_path / "x.db")) as log:
            await log.append("a", 1, said("2"))
            await (await log.append("a", None, END))
            assert [e.position for e in await read(log, "a")] == [1, 2, 3]

    asyncio.run(scenario())


def test_a_reader_of_a_deleted_run_is_let_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = Store(tmp_path / "x.db")
        async with opened_log(store, "a") as log:
            await (await log.append("a", 1, said("1")))
            reader = asyncio.create_task(read(log, "a"))
            await asyncio.sleep(0.1)
            await store.delete_run("a")
            log.deleted("a")
            assert len(await asyncio.wait_for(reader, 5)) == 1

    asyncio.run(scenario())


def test_a_reader_ahead_of_the_log_waits_and_ends_with_the_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened_log(Store(tmp_path / "x.db"), "a") as log:
            ahead = asyncio.create_task(read(log, "a", after=5000))
            await (await log.append("a", 1, said("1")))
            done, _ = await asyncio.wait((ahead,), timeout=0.3)
            assert not done
            await (await log.append("a", None, END))
            assert [e.event for e in await asyncio.wait_for(ahead, 30)] == ["end"]

    asyncio.run(scenario())


def test_readers_who_have_all_there_is_are_let_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened_log(Store(tmp_path / "x.db"), "a") as log:
            await (await log.append("a", 1, said("1")))
            reader = asyncio.create_task(read(log, "a"))
            late = log.follow("a", 0)
            await asyncio.sleep(0)
            log.let_go()
            assert len(await asyncio.wait_for(reader, 30)) == 1
            assert [one and one.last async for one in late] == [1]

    asyncio.run(scenario())
