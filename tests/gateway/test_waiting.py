"""Work that may be told to stop."""

import asyncio

from aideator_gateway.waiting import unless


def test_work_is_not_begun_once_it_was_told_to_stop() -> None:
    begun = []

    async def work() -> str:
        begun.append(True)
        return "done"

    async def scene() -> tuple[str | None, str | None]:
        stop = asyncio.Event()
        before = await unless(stop, work())
        stop.set()
        return before, await unless(stop, work())

    assert asyncio.run(scene()) == ("done", None)
    assert begun == [True]
