"""Waiting for work that may be told to stop, and work that goes on beside other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what ``work`` returns, or ``None`` if ``stop`` was set and it was cancelled.

    Work is not begun at all if ``stop`` is set already.
    """
    if stop.is_set():
        work.close()
        return None
    task = asyncio.create_task(work)
    bell = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, bell), return_when=asyncio.FIRST_COMPLETED)
    finally:
        bell.cancel()
        task.cancel()  # nothing happens to a task that is done
        await asyncio.wait((task, bell))
    return None if task.cancelled() else task.result()


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Let work go on in a task of this name while the block runs, and cancel it then."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
