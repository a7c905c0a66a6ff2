"""The event log: committed first, then published.

One task writes, in groups: whatever has come in while the last group was committed goes
into the next. So many small events cost few commits, none waits for a timer, and what a
client has been sent is on disk.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from aideator_gateway.runs.store import Change, Entry, Store

PAGE = 500
"""Entries read from the database at a time."""

GROUP = 1000
"""Most entries in one commit."""

POLL_SECONDS = 0.25
"""How often to look for what another gateway has written."""


@dataclass
class _Write:
    run_id: str
    variation_id: int | None
    type: str | None
    line: str
    values: dict[str, object]
    done: asyncio.Future[None]


class EventLog:
    """Writer and readers of all runs' logs.

    Parameters
    ----------
    store
        Where entries are kept.
    owner
        Id of the gateway that this is the log of. The runs of others can be read, too.
    """

    def __init__(self, store: Store, owner: str | None = None) -> None:
        self._store = store
        self._owner = owner
        self._queue: asyncio.Queue[_Write] = asyncio.Queue(maxsize=2 * GROUP)
        self._positions: dict[str, int] = {}
        self._bells: dict[str, set[asyncio.Event]] = {}
        self._broken: dict[str, Exception] = {}
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the writer."""
        self._writer = asyncio.create_task(self._write_groups(), name="event log writer")

    async def aclose(self) -> None:
        """Write what is left and stop."""
        if self._writer is not None:
            await self._queue.join()
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    async def append(
        self,
        run_id: str,
        variation_id: int | None,
        type_: str | None,
        line: str,
        values: dict[str, object] | None = None,
        *,
        wait: bool = False,
    ) -> None:
        """Add an entry, and set columns of its variation (or run) with it.

        Parameters
        ----------
        type_
            Type of the event; ``None`` sets columns without an entry.
        wait
            Return only when it is committed. Else it is queued, and a full queue makes the
            caller wait.

        Raises
        ------
        Exception
            Whatever kept this entry, or an earlier one of the run, from being committed.
        """
        if broken := self._broken.pop(run_id, None):
            raise broken
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Write(run_id, variation_id, type_, line, values or {}, done))
        if wait:
            await done

    async def _write_groups(self) -> None:
        while True:
            group = [await self._queue.get()]
            while len(group) < GROUP and not self._queue.empty():
                group.append(self._queue.get_nowait())
            try:
                await self._commit(group)
            except Exception as error:  # noqa: BLE001 - the runs in the group get it
                self._broken |= {write.run_id: error for write in group}
                _settle(group, error)
            else:
                _settle(group, None)
            finally:
                for _ in group:
                    self._queue.task_done()

    async def _commit(self, group: list[_Write]) -> None:
        entries: list[Entry] = []
        positions: dict[str, int] = {}
        for write in group:
            if write.type is None:
                continue
            last = positions.get(write.run_id) or self._positions.get(write.run_id)
            if last is None:
                last = await self._store.last_position(write.run_id)
            positions[write.run_id] = last + 1
            entries.append(
                Entry(write.run_id, last + 1, write.variation_id, write.type, write.line)
            )
        await self._store.append(
            entries,
            [Change(w.run_id, w.variation_id, w.values) for w in group if w.values],
        )
        self._positions |= positions
        for run_id in positions:
            for bell in self._bells.get(run_id, ()):
                bell.set()

    def forget(self, run_id: str) -> None:
        """Drop what is remembered of a run that has ended."""
        self._positions.pop(run_id, None)
        self._broken.pop(run_id, None)

    def deleted(self, run_id: str) -> None:
        """Tell readers of a run that was deleted."""
        for bell in self._bells.get(run_id, ()):
            bell.set()

    async def follow(self, run_id: str, after: int) -> AsyncGenerator[list[Entry], None]:
        """Give the entries behind position ``after``, then new ones as they are committed.

        Ends with the run's ``end`` entry, or when the run is deleted. Every reader reads from
        the database at its own pace, so a slow one holds up nobody and misses nothing.
        """
        # Nobody rings here for what another process writes.
        own = await self._store.owner(run_id) == self._owner
        bell = asyncio.Event()
        self._bells.setdefault(run_id, set()).add(bell)
        try:
            while True:
                bell.clear()
                entries = await self._store.entries(run_id, after, PAGE)
                if entries:
                    yield entries
                    after = entries[-1].position
                    if entries[-1].type == "end":
                        return
                elif not await self._store.exists(run_id):
                    return
                else:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(None if own else POLL_SECONDS):
                            await bell.wait()
        finally:
            self._bells[run_id].discard(bell)
            if not self._bells[run_id]:
                del self._bells[run_id]


def _settle(group: list[_Write], error: Exception | None) -> None:
    for write in group:
        if write.done.done():
            continue
        if error is None:
            write.done.set_result(None)
        else:
            write.done.set_exception(error)
            # Most callers do not wait; asyncio must not complain that nobody looked.
            write.done.exception()
