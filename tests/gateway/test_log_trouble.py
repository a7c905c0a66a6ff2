"""Writes that fail: repeated, told, and no harm to other runs. The database is a real one."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from aideator.protocol import ErrorCode
from aideator_gateway.runs.lane import MAX_WRITES
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.packing import Packed
from aideator_gateway.runs.storage import StorageError
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.stored import Change
from tests.support.disks import small_disk
from tests.support.event_logs import END, opened_log, said
from tests.support.locks import locked
from tests.support.stored_logs import stored_frames
from tests.support.triggers import Refusing

SECONDS = 60.0


class Failing(Store):
    """A store that fails as long as it is told to."""

    failure: Exception | None = None

    async def append(self, packed: Sequence[Packed], changes: Iterable[Change]) -> None:
        """Write, unless it is told to fail."""
        if self.failure is not None:
            raise self.failure
        await super().append(packed, changes)


async def until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not done():  # noqa: ASYNC110 - nothing rings when a figure changes
            await asyncio.sleep(0.02)


def figure(metrics: Metrics, name: str) -> float:
    lines = metrics.text().decode().splitlines()
    return float(next(li for li in lines if li.startswith(f"{name} ")).split()[1])


async def texts(store: Store, run_id: str) -> list[tuple[int, str | None]]:
    frames = await stored_frames(store, run_id)
    return [(frame.position, frame.data.get("content")) for frame in frames]


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), RuntimeError("something"), OSError(5, "?")]
)
def test_a_commit_that_fails_once_loses_nothing(tmp_path: Path, failure: Exception) -> None:
    async def scenario() -> None:
        store, metrics = Failing(tmp_path / "x.db"), Metrics()
        async with opened_log(store, "a", metrics=metrics) as log:
            store.failure = failure
            waiting = [await log.append("a", 1, said(str(number))) for number in range(3)]
            await until(lambda: figure(metrics, "aideator_log_commits_failed_total"))
            assert figure(metrics, "aideator_log_writes_waiting") == 3
            assert log.trouble is not None
            store.failure = None
            async with asyncio.timeout(SECONDS):
                await asyncio.gather(*waiting)
            assert await texts(store, "a") == [(1, "0"), (2, "1"), (3, "2")]
            assert log.trouble is None
            assert figure(metrics, "aideator_log_writes_waiting") == 0

    asyncio.run(scenario())


def test_one_runs_trouble_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        store = Store(tmp_path / "x.db")
        async with opened_log(store, "a", "b") as log:
            refusing = Refusing(tmp_path / "x.db", "NEW.run_id = 'b' AND NEW.ends")
            # Both go into one commit.
            await log.append("a", 1, said("first"))
            held = await log.append("b", None, END, final=True)
            for number in range(100):
                await asyncio.wait_for(await log.append("a", 1, said(str(number))), SECONDS)
            assert not held.done()
            assert "the log of b cannot be written" in caplog.text
            assert "the log of a " not in caplog.text
            refusing.over()
            await asyncio.wait_for(held, SECONDS)
            assert await texts(store, "b") == [(1, None)]

    asyncio.run(scenario())


def test_what_ends_something_is_tried_until_it_is_in(tmp_path: Path) -> None:
    """Other writes are given up after a while, and their run is told."""

    async def scenario() -> None:
        store, metrics = Failing(tmp_path / "x.db"), Metrics()
        async with opened_log(store, "a", "b", metrics=metrics, give_up_seconds=0.5) as log:
            store.failure = OSError(28, "No space left on device")
            text = await log.append("a", 1, said("lost"))
            end = await log.append("b", None, END, final=True)
            with pytest.raises(StorageError) as refused:
                await asyncio.wait_for(text, SECONDS)
            assert refused.value.code is ErrorCode.DISK_FULL
            with pytest.raises(StorageError):
                await log.append("a", 2, said("not taken either"))
            failed = figure(metrics, "aideator_log_commits_failed_total")
            await until(lambda: figure(metrics, "aideator_log_commits_failed_total") > failed + 1)
            assert not end.done()
            store.failure = None
            await asyncio.wait_for(end, SECONDS)
            with pytest.raises(StorageError):
                await log.append("a", 2, said("until somebody has looked"))
            assert log.resume("a")
            await asyncio.wait_for(await log.append("a", 2, said("again")), SECONDS)
            assert await texts(store, "a") == [(1, "again")]

    asyncio.run(scenario())


def test_a_write_that_can_never_be_stored_harms_its_variation_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = Store(tmp_path / "x.db")
        async with opened_log(store, "a") as log:
            too_large: dict[str, object] = {"turns": 2**70}
            writes = [
                await log.append("a", 1, said("first")),
                await log.append("a", 1, said("too large"), too_large),
                await log.append("a", 1, said("behind it")),
                await log.append("a", 2, said("its sibling")),
            ]
            async with asyncio.timeout(SECONDS):
                answers = await asyncio.gather(*writes, return_exceptions=True)
            assert [type(answer) for answer in answers] == [
                type(None), StorageError, StorageError, type(None),
            ]  # fmt: skip
            assert await texts(store, "a") == [(1, "first"), (2, "its sibling")]
            with pytest.raises(StorageError):
                await log.append("a", 1, said("not taken"))
            await asyncio.wait_for(await log.append("a", 2, said("goes on")), SECONDS)

    asyncio.run(scenario())


def test_who_brings_more_than_can_wait_waits(tmp_path: Path) -> None:
    async def scenario() -> None:
        store, metrics = Failing(tmp_path / "x.db"), Metrics()
        async with opened_log(store, "a", "b", metrics=metrics) as log:
            store.failure = OSError(28, "No space left on device")

            async def talk() -> None:
                for number in range(3 * MAX_WRITES):
                    await log.append("a", 1, said(str(number)))

            talking = asyncio.create_task(talk())
            await until(lambda: figure(metrics, "aideator_log_writes_waiting") == MAX_WRITES)
            assert not talking.done()
            # Large ones are counted by their size.
            large = [asyncio.create_task(log.append("b", 1, said("x" * 2_500_000))) for _ in "123"]
            done, waiting = await asyncio.wait(large, timeout=0.3)
            assert (len(done), len(waiting)) == (2, 1)
            store.failure = None
            async with asyncio.timeout(SECONDS):
                await talking
                await asyncio.gather(*large)
                await (await log.append("a", None, END, final=True))
            kept = [text for _, text in await texts(store, "a")]
            assert kept == [*map(str, range(3 * MAX_WRITES)), None]

    asyncio.run(scenario())


def test_a_run_that_is_gone_is_written_no_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = Store(tmp_path / "x.db")
        async with opened_log(store, "a") as log:
            await store.delete_run("a")
            end = await log.append("a", None, END, final=True)
            with pytest.raises(StorageError):
                await asyncio.wait_for(end, SECONDS)

    asyncio.run(scenario())


def test_a_lock_of_another_process_is_waited_for_and_left_at_the_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        store, metrics = Store(tmp_path / "x.db"), Metrics()
        async with opened_log(store, "a", metrics=metrics) as log:
            with locked(tmp_path / "x.db"):
                first = await log.append("a", 1, said("first"), final=True)
                await until(lambda: figure(metrics, "aideator_log_commits_failed_total"))
                assert "locked" in (log.trouble or "")
            await asyncio.wait_for(first, SECONDS)
            with locked(tmp_path / "x.db"):
                left = await log.append("a", 1, said("left"), final=True)
                started = time.monotonic()
                await log.aclose()
                assert time.monotonic() - started < 20
            assert not left.done()
            assert await texts(store, "a") == [(1, "first")]

    asyncio.run(scenario())


def test_a_full_disk_is_named_and_what_waits_goes_in_when_there_is_room(tmp_path: Path) -> None:
    async def scenario(path: Path, fill: Callable[[], object], free: Callable[[], object]) -> None:
        store = Store(path)
        async with opened_log(store, "a") as log:
            await asyncio.wait_for(await log.append("a", 1, said("first")), SECONDS)
            fill()
            large = "x" * 1_000_000
            second = await log.append("a", 1, said(large))
            await until(lambda: log.trouble)
            assert "No space is left" in (log.trouble or "")
            free()
            await asyncio.wait_for(second, SECONDS)
            assert await texts(store, "a") == [(1, "first"), (2, large)]

    with small_disk(tmp_path / "disk", 8) as disk:
        full = disk.full()
        asyncio.run(
            scenario(disk.path / "x.db", full.__enter__, lambda: full.__exit__(None, None, None))
        )
