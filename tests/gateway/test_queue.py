"""Runs that wait for their turn: how many may, in which order, and what of them is in memory."""

import asyncio
import gc
import tracemalloc
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from aideator_gateway.runs.backend import RunSpec, Sink
from aideator_gateway.runs.problems import Problem
from aideator_gateway.runs.store import Store
from tests.support.hosted import until
from tests.support.scripted_backend import REQUEST, House, completes, house


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(90):
            await scenario

    asyncio.run(bounded())


class Held:
    """What a backend was given; each run goes on when it is let go."""

    def __init__(self) -> None:
        self.specs: list[RunSpec] = []
        self._go = asyncio.Semaphore(0)

    async def __call__(self, spec: RunSpec, sink: Sink, stop: asyncio.Event) -> None:
        self.specs.append(spec)
        going = asyncio.create_task(self._go.acquire())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((going, stopping), return_when=asyncio.FIRST_COMPLETED)
        going.cancel()
        stopping.cancel()
        if not stop.is_set():
            await completes(spec, sink, stop)

    def let_go(self) -> None:
        self._go.release()


async def create(opened: House, prompt: str = "x") -> str:
    created, _ = await opened.runs.create(REQUEST.model_copy(update={"prompt": prompt}))
    return created.run_id


async def refusal(opened: House, prompt: str = "x") -> Problem:
    with pytest.raises(Problem) as refused:
        await create(opened, prompt)
    return refused.value


async def position(opened: House, run_id: str) -> int | None:
    return (await opened.runs.get(run_id)).queue_position


def test_runs_have_their_turns_in_order_and_say_which_is_theirs(tmp_path: Path) -> None:
    async def scenario() -> None:
        held = Held()
        async with house(Store(tmp_path / "x.db"), held, max_concurrent_runs=1) as opened:
            ids = [await create(opened, f"prompt {number}") for number in range(4)]
            await until(lambda: len(held.specs) == 1)
            assert [await position(opened, id_) for id_ in ids] == [None, 1, 2, 3]
            listed = {one.run_id: one.queue_position for one in await opened.runs.list(limit=9)}
            assert [listed[id_] for id_ in ids] == [None, 1, 2, 3]
            assert "aideator_runs_pending 3.0" in opened.metrics.text().decode()
            # Whoever leaves makes way.
            await opened.runs.cancel(ids[2])
            assert [await position(opened, id_) for id_ in ids] == [None, 1, None, 2]
            for number in (2, 3):
                held.let_go()
                await until(lambda number=number: len(held.specs) == number)  # type: ignore[misc]
            held.let_go()
            ends = [(await opened.ended(id_))[-1][0] for id_ in ids]
            assert ends == ["end"] * 4
            statuses = [(await opened.runs.get(id_)).status for id_ in ids]
            assert statuses == ["completed", "completed", "cancelled", "completed"]
        assert [spec.tasks[0].prompt for spec in held.specs] == [
            "prompt 0", "prompt 1", "prompt 3",
        ]  # fmt: skip

    run(scenario())


def test_a_full_queue_takes_no_more_until_there_is_room(tmp_path: Path) -> None:
    async def scenario() -> None:
        held = Held()
        store = Store(tmp_path / "x.db")
        async with house(store, held, max_concurrent_runs=1, max_pending_runs=2) as opened:
            ids = [await create(opened) for _ in range(3)]
            problem = await refusal(opened)
            assert (problem.code, problem.retry_after) == ("queue_full", 30)
            assert "--max-pending-runs" in problem.detail
            figures = opened.metrics.text().decode()
            assert 'aideator_runs_refused_total{code="queue_full"} 1.0' in figures
            await opened.runs.cancel(ids[-1])
            await create(opened)
            assert len(await store.runs(limit=9)) == 4

    run(scenario())


def test_none_may_wait_and_still_runs_work(tmp_path: Path) -> None:
    async def scenario() -> None:
        held = Held()
        store = Store(tmp_path / "x.db")
        async with house(store, held, max_concurrent_runs=2, max_pending_runs=0) as opened:
            first = await create(opened)
            await create(opened)
            assert (await refusal(opened)).code == "queue_full"
            await until(lambda: len(held.specs) == 2)
            held.let_go()
            held.let_go()
            await opened.ended(first)
            await until(lambda: "aideator_runs_active 0.0" in opened.metrics.text().decode())
            await create(opened)

    run(scenario())


def test_many_at_once_get_no_further_than_one_by_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        held = Held()
        store = Store(tmp_path / "x.db")
        async with house(store, held, max_concurrent_runs=2, max_pending_runs=3) as opened:
            came = await asyncio.gather(
                *(create(opened) for _ in range(20)), return_exceptions=True
            )
            assert sum(isinstance(one, str) for one in came) == 5
            codes = {one.code for one in came if isinstance(one, Problem)}
            assert codes == {"queue_full"}
            assert len(await store.runs(limit=30)) == 5

    run(scenario())


def test_prompts_that_wait_may_only_be_so_large_together(tmp_path: Path) -> None:
    async def scenario() -> None:
        held = Held()
        store = Store(tmp_path / "x.db")
        async with house(store, held, max_concurrent_runs=1, max_pending_bytes=1000) as opened:
            await create(opened, "ä" * 900)
            await until(lambda: len(held.specs) == 1)
            await create(opened, "ä" * 400)
            assert "aideator_runs_pending_bytes 800.0" in opened.metrics.text().decode()
            assert (await refusal(opened, "ä" * 101)).code == "queue_full"
            await create(opened, "ä" * 100)

    run(scenario())


def test_what_waits_is_in_the_database_and_not_in_memory(tmp_path: Path) -> None:
    each, count = 500_000, 30

    async def scenario() -> None:
        held = Held()
        async with house(Store(tmp_path / "x.db"), held, max_concurrent_runs=1) as opened:
            await create(opened, "the first")
            await until(lambda: len(held.specs) == 1)
            await create(opened, "warm")
            gc.collect()
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            for number in range(count):
                await create(opened, f"{number} " + "p" * each)
            gc.collect()
            kept = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            assert kept < 3 * each
            held.let_go()
            held.let_go()
            await until(lambda: len(held.specs) == 3)
            assert held.specs[2].tasks[0].prompt == "0 " + "p" * each

    run(scenario())


def test_runs_that_wait_when_the_gateway_stops_are_interrupted(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = Store(tmp_path / "x.db")
        async with house(store, Held(), max_concurrent_runs=1) as opened:
            ids = [await create(opened) for _ in range(5)]
        store = Store(tmp_path / "x.db")
        async with house(store, completes) as opened:
            statuses = [(await opened.runs.get(id_)).status for id_ in ids]
            assert statuses == ["interrupted"] * 5

    run(scenario())
