"""Every run ends, once, whatever its database did meanwhile or an earlier gateway left."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aideator.protocol import ErrorCode, Status
from aideator_gateway.runs.backend import RunSpec, Sink
from aideator_gateway.runs.packing import Packed
from aideator_gateway.runs.problems import Problem
from aideator_gateway.runs.storage import StorageError
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.stored import Change, Segment
from tests.support.locks import locked
from tests.support.scripted_backend import REQUEST, House, completes, events, hangs, house
from tests.support.stored_logs import (
    Frame,
    cut_all,
    cut_ends,
    stored_frames,
    stored_lines,
)
from tests.support.triggers import Refusing

SECONDS = 60.0


def leave(database: Path, run_id: str, left: str) -> None:
    """Leave a database as gateways did that died."""
    missing, statements, _ = LEFT[left]
    if missing is None:
        cut_all(database, run_id)
    elif missing:
        cut_ends(database, run_id, *missing)
    edit(database, *statements)


def edit(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


async def whole(opened: House, run_id: str) -> list[Frame]:
    """Check that a run has ended in every respect, and return its log."""
    run = await opened.runs.get(run_id)
    assert run.status.ended
    assert run.ended_at is not None
    assert all(variation.status.ended for variation in run.variations)
    frames = await stored_frames(opened.store, run_id)
    assert [frame.position for frame in frames] == list(range(1, len(frames) + 1))
    assert frames[-1].event == "end"
    assert frames[-1].data["status"] == run.status
    ends = Counter(f.variation_id for f in frames if f.event in ENDS)
    assert ends == {1: 1, 2: 1, None: 1}
    for variation in run.variations:
        number = variation.variation_id
        end = next(f for f in frames if f.variation_id == number and f.event in ENDS)
        assert end.data["status"] == variation.status
        lines = await stored_lines(opened.store, run_id, number)
        assert lines[-1]["status"] == variation.status
        assert len(lines) == sum(frame.variation_id == number for frame in frames)
    assert await opened.store.unfinished() == []
    return frames


ENDS = ("end", "completion", "error")

NOT_ENDED = "UPDATE run SET status = 'running', ended_at = NULL"

ALL = (None, 1, 2)

LEFT: dict[str, tuple[tuple[int | None, ...] | None, list[str], list[str | None]]] = {
    # what the logs lack (None is the run's end; all of it without a tuple), how the rows stand,
    # and how run and variations end: None where nothing said it
    "all variations have ended but the run has not": (
        (None,), [NOT_ENDED],
        ["completed", "completed", "completed"],
    ),
    "the run's row has ended but its log has not": (
        (None,), ["UPDATE run SET status = 'failed'"],
        ["failed", "completed", "completed"],
    ),
    "the run's log has ended but its row has not": (
        (), [NOT_ENDED],
        ["completed", "completed", "completed"],
    ),
    "a variation's log has ended but its row has not": (
        (), ["UPDATE variation SET status = 'running', stop_reason = NULL WHERE variation_id = 1"],
        ["completed", "completed", "completed"],
    ),
    "a variation's row has ended but its log has not": (
        (None, 2),
        [
            NOT_ENDED,
        ],
        ["completed", "completed", "completed"],
    ),
    "a variation was in the middle": (
        (None, 2),
        [
            NOT_ENDED,
            "UPDATE variation SET status = 'running' WHERE variation_id = 2",
        ],
        [None, "completed", None],
    ),
    "nothing was written of a run": (
        None,
        [
            "UPDATE run SET status = 'pending', ended_at = NULL",
            "UPDATE variation SET status = 'pending'",
        ],
        [None, None, None],
    ),
}  # fmt: skip


@pytest.mark.parametrize("by", ["the next start", "cancelling"])
@pytest.mark.parametrize("left", LEFT)
def test_what_was_left_is_mended(tmp_path: Path, left: str, by: str) -> None:
    path = tmp_path / "x.db"
    _, _, expected = LEFT[left]

    async def make() -> str:
        async with house(Store(path), completes) as opened:
            run, _ = await opened.runs.create(REQUEST)
            await opened.ended(run.run_id)
            return run.run_id

    async def mended(run_id: str) -> list[Frame]:
        async with house(Store(path), completes) as opened:
            if by == "cancelling":
                leave(path, run_id, left)
                await opened.runs.cancel(run_id)
            run = await opened.runs.get(run_id)
            unsaid = "cancelled" if by == "cancelling" else "interrupted"
            found = [run.status, *(variation.status for variation in run.variations)]
            assert found == [status or unsaid for status in expected]
            frames = await whole(opened, run_id)
            await opened.runs.delete(run_id)
            return frames

    run_id = asyncio.run(make())
    if by == "the next start":
        leave(path, run_id, left)
    assert asyncio.run(mended(run_id))


class Unreadable(Store):
    """A store that cannot be read the first times somebody looks at a log."""

    failures = 2

    async def last_segment(self, run_id: str) -> Segment | None:
        """Read, unless that fails."""
        if self.failures:
            self.failures -= 1
            raise StorageError.of(OSError(5, "Input/output error"))
        return await super().last_segment(run_id)


def test_an_end_is_tried_again_where_the_log_could_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.db"

    async def make() -> str:
        async with house(Store(path), completes) as opened:
            run, _ = await opened.runs.create(REQUEST)
            await opened.ended(run.run_id)
            return run.run_id

    async def mended(run_id: str) -> None:
        store = Unreadable(path)
        async with house(store, completes) as opened:
            await opened.runs.cancel(run_id)
            await whole(opened, run_id)
        assert store.failures == 0

    run_id = asyncio.run(make())
    leave(path, run_id, "all variations have ended but the run has not")
    asyncio.run(mended(run_id))


def figures(said: dict[str, Any]) -> tuple[str, int, int]:
    return said["type"], said["turns"], said["total"]["input_tokens"]


def test_an_attempt_that_the_gateway_interrupts_says_what_it_used(tmp_path: Path) -> None:
    path = tmp_path / "x.db"

    async def stopped() -> str:
        async with house(Store(path), hangs) as opened:
            run, _ = await opened.runs.create(REQUEST)
            async for segment in opened.log.follow(run.run_id, 0):
                if segment and segment.last >= 8:
                    break
            return run.run_id

    async def check(run_id: str) -> None:
        store = Store(path)
        ends = [(await stored_lines(store, run_id, number))[-1] for number in (1, 2)]
        assert [figures(end) for end in ends] == [
            ("interrupted", 3, 100), ("interrupted", 3, 200),
        ]  # fmt: skip
        run = await store.run(run_id)
        assert run is not None
        for variation, end in zip(run.variations, ends, strict=True):
            seconds = end["seconds"]
            assert 0 < seconds < SECONDS
            assert (variation.turns, variation.seconds) == (3, seconds)
            assert variation.usage.input_tokens == 100 * variation.variation_id
        await store.aclose()

    asyncio.run(check(asyncio.run(stopped())))


def test_an_attempt_of_a_gateway_that_died_says_what_it_used(tmp_path: Path) -> None:
    path = tmp_path / "x.db"

    async def make() -> str:
        async with house(Store(path), completes) as opened:
            run, _ = await opened.runs.create(REQUEST)
            await opened.ended(run.run_id)
            return run.run_id

    async def check(run_id: str) -> None:
        async with house(Store(path), completes) as opened:
            run = await opened.runs.get(run_id)
            assert run.status is Status.INTERRUPTED
            for variation in run.variations:
                number = variation.variation_id
                end = (await stored_lines(opened.store, run_id, number))[-1]
                assert figures(end) == ("interrupted", 3, 100 * number)
                # From its first event to the last one that is stored, by its own clock.
                assert end["seconds"] == 3.0
                assert end["seq"] == 5
                assert (variation.turns, variation.seconds) == (3, 3.0)
                assert variation.usage.input_tokens == 100 * number

    run_id = asyncio.run(make())
    cut_ends(path, run_id, *ALL)
    edit(
        path,
        NOT_ENDED,
        "UPDATE variation SET status = 'running', seconds = NULL, turns = 0, usage = '{}'",
    )
    asyncio.run(check(run_id))


@pytest.mark.parametrize(
    "kind",
    ["event: completion", "event: end", '"type": "status"'],
    ids=["completed", "end", "status"],
)
def test_a_database_that_refuses_for_a_while_changes_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.db"

    async def scenario() -> None:
        async with house(Store(path), completes) as opened:
            refusing = Refusing(path, f"instr(NEW.frames, CAST('{kind}' AS BLOB))")
            run, _ = await opened.runs.create(REQUEST)
            ending = asyncio.create_task(opened.ended(run.run_id))
            async with asyncio.timeout(SECONDS):
                while not opened.log.trouble:  # noqa: ASYNC110 - nothing rings when it changes
                    await asyncio.sleep(0.02)
            assert not (await opened.runs.readiness()).ready
            assert not ending.done()
            refusing.over()
            await ending
            frames = await whole(opened, run.run_id)
            assert len(frames) == 11
            assert (await opened.runs.get(run.run_id)).status is Status.COMPLETED
            assert (await opened.runs.readiness()).ready
            text = opened.metrics.text().decode()
            assert 'variations_ended_total{reason="end_turn",status="completed"} 2.0' in text

    asyncio.run(scenario())


class Full(Store):
    """A store whose disk is full while it is told so."""

    full = False

    async def append(self, packed: Sequence[Packed], changes: Iterable[Change]) -> None:
        """Write, unless there is no room."""
        if self.full:
            raise OSError(28, "No space left on device")
        await super().append(packed, changes)


def test_a_disk_that_stays_full_fails_the_run_and_its_end_is_written_later(tmp_path: Path) -> None:
    store = Full(tmp_path / "x.db")
    told = asyncio.Event()

    async def talks(spec: RunSpec, sink: Sink, stop: asyncio.Event) -> None:
        del stop
        first = events(spec.run_id, 1)
        try:
            for seq in range(1, 1_000_000):
                await sink.event(first[1].model_copy(update={"seq": seq}))
                store.full = seq > 100
                await asyncio.sleep(0.001)
        finally:
            told.set()

    async def scenario() -> None:
        async with house(store, talks, give_up_seconds=0.3) as opened:
            run, _ = await opened.runs.create(REQUEST)
            ending = asyncio.create_task(opened.ended(run.run_id))
            await asyncio.wait_for(told.wait(), SECONDS)
            async with asyncio.timeout(SECONDS):
                while not opened.log.trouble:  # noqa: ASYNC110 - nothing rings when it changes
                    await asyncio.sleep(0.02)
            assert not ending.done()
            ready = await opened.runs.readiness()
            assert not ready.ready
            assert "No space is left" in ready.reason
            store.full = False
            await ending
            run = await opened.runs.get(run.run_id)
            assert (run.status, run.code) == (Status.FAILED, ErrorCode.DISK_FULL)
            assert {v.code for v in run.variations} == {ErrorCode.DISK_FULL}
            await whole(opened, run.run_id)

    asyncio.run(scenario())


def test_what_one_attempt_says_and_cannot_be_stored_harms_no_other(tmp_path: Path) -> None:
    async def absurd(spec: RunSpec, sink: Sink, stop: asyncio.Event) -> None:
        for event in events(spec.run_id, 1, turn=2**70):
            await sink.event(event)
        await completes(spec, sink, stop)

    async def scenario() -> None:
        async with house(Store(tmp_path / "x.db"), absurd) as opened:
            run, _ = await opened.runs.create(REQUEST)
            await opened.ended(run.run_id)
            await whole(opened, run.run_id)
            run = await opened.runs.get(run.run_id)
            assert [v.status for v in run.variations] == ["failed", "completed"]
            assert run.variations[0].code is ErrorCode.STORAGE_FAILED
            assert run.status is Status.COMPLETED

    asyncio.run(scenario())


def test_a_locked_database_is_not_ready_also_where_nothing_runs(tmp_path: Path) -> None:
    path = tmp_path / "x.db"

    async def scenario() -> None:
        async with house(Store(path), completes) as opened:
            assert (await opened.runs.readiness()).ready
            with locked(path):
                ready = await opened.runs.readiness()
            assert not ready.ready
            assert "locked" in ready.reason
            assert (await opened.runs.readiness()).ready

    asyncio.run(scenario())


class DeletedMeanwhile(Store):
    """A store in which somebody deletes a run between a look at it and the choice."""

    async def select(self, run_id: str, variation_id: int | None, reason: str | None) -> bool:
        """Choose what was deleted just now."""
        await self.delete_run(run_id)
        return await super().select(run_id, variation_id, reason)


def test_choosing_beside_deleting_finds_no_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(DeletedMeanwhile(tmp_path / "x.db"), completes) as opened:
            run, _ = await opened.runs.create(REQUEST)
            await opened.ended(run.run_id)
            await opened.runs.cancel(run.run_id)
            with pytest.raises(Problem) as refused:
                await opened.runs.select(run.run_id, 1, None)
            assert refused.value.code == "run_not_found"

    asyncio.run(scenario())


def test_only_so_many_deleted_runs_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aideator_gateway.runs.store.KEPT_DELETIONS", 2)

    async def scenario() -> None:
        async with house(Store(tmp_path / "x.db"), completes) as opened:
            for key in ("first", "second", "third"):
                run, _ = await opened.runs.create(REQUEST, key)
                await opened.runs.cancel(run.run_id)
                await opened.runs.delete(run.run_id)
            known = [await opened.store.known_key(key) for key in ("first", "second", "third")]
            assert [found and found.deleted for found in known] == [None, True, True]

    asyncio.run(scenario())


def test_no_run_is_started_by_a_gateway_that_stops(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(Store(tmp_path / "x.db"), completes) as opened:
            await opened.runs.aclose()
            with pytest.raises(Problem) as refused:
                await opened.runs.create(REQUEST)
            assert refused.value.code == "stopping"
            assert await opened.store.runs(limit=10) == []

    asyncio.run(scenario())
