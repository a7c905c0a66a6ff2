"""The event log: committed first, then published.

One task writes (``writer``), in groups: so many small events cost few commits, none waits
for a timer, and what a client has been sent is on disk.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from aideator_gateway.runs.lane import Write
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.stored import Entry
from aideator_gateway.runs.writer import GroupWriter

PAGE = 500
"""Entries read from the database at a time."""

POLL_SECONDS = 0.25
"""How often to look for what another gateway has written."""

GIVE_UP_SECONDS = 60.0
"""How long writes that end nothing are repeated before their run is told to fail."""


class EventLog:
    """Writer and readers of all runs' logs.

    Parameters
    ----------
    store
        Where entries are kept.
    metrics
        Counts commits that failed, and writes that wait.
    owner
        Id of the gateway that this is the log of. The runs of others can be read, too.
    give_up_seconds
        How long writes that end nothing are repeated before their run is told to fail.
    """

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        owner: str | None = None,
        *,
        give_up_seconds: float = GIVE_UP_SECONDS,
    ) -> None:
        self._store = store
        self._owner = owner
        self._bells: dict[str, set[asyncio.Event]] = {}
        self._writer = GroupWriter(store, metrics, self._ring, give_up_seconds)
        self._closing = False
        self.cut = asyncio.Event()
        """Set when readers are not waited for any more."""

    def start(self) -> None:
        """Start the writer."""
        self._writer.start()

    def let_go(self) -> None:
        """Let readers go who have read all there is; nothing more will come."""
        self._closing = True
        for run_id in self._bells:
            self._ring(run_id)

    def cut_off(self) -> None:
        """Wait for readers no longer, not even for those who are behind."""
        self.let_go()
        self.cut.set()

    async def aclose(self) -> None:
        """Write what is left, if that works soon, and stop."""
        self.let_go()
        await self._writer.aclose()

    @property
    def trouble(self) -> str | None:
        """Why the log cannot be written now, if it cannot."""
        return self._writer.trouble

    async def append(
        self,
        run_id: str,
        variation_id: int | None,
        type_: str | None,
        line: str,
        values: dict[str, object] | None = None,
        *,
        final: bool = False,
    ) -> asyncio.Future[None]:
        """Add an entry, and set columns of its variation (or run) with it.

        It is queued; while too much of the run is, the caller waits.

        Parameters
        ----------
        type_
            Type of the event; ``None`` sets columns without an entry.
        final
            It ends the variation or the run, and is repeated until it is in.

        Returns
        -------
        What is done once it is committed, or has the error that kept it from being. Wait for
        it shielded: it is the writer's.

        Raises
        ------
        StorageError
            Whatever kept an earlier entry of the variation, or the run, from being committed.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._writer.put(Write(run_id, variation_id, type_, line, values or {}, final, done))
        return done

    def resume(self, run_id: str, variation_id: int | None = None) -> bool:
        """Take entries of a run, or a variation, again after some were given up.

        Returns
        -------
        ``False`` if only a variation was asked for, and the whole run's are refused.
        """
        return self._writer.resume(run_id, variation_id)

    def forget(self, run_id: str) -> None:
        """Drop what is remembered of a run that has ended."""
        self._writer.forget(run_id)

    def deleted(self, run_id: str) -> None:
        """Tell readers of a run that was deleted."""
        self._ring(run_id)

    def _ring(self, run_id: str) -> None:
        for bell in self._bells.get(run_id, ()):
            bell.set()

    async def follow(self, run_id: str, after: int) -> AsyncGenerator[list[Entry], None]:
        """Give the entries behind position ``after``, then new ones as they are committed.

        Ends with the run's ``end`` entry, which also those get who start behind it, or when
        the run is deleted or the gateway stops. Every reader reads from the database at its
        own pace, so a slow one holds up nobody and misses nothing.
        """
        # Nobody rings here for what another process writes.
        own = await self._store.owner(run_id) == self._owner
        bell = asyncio.Event()
        self._bells.setdefault(run_id, set()).add(bell)
        try:
            while True:
                bell.clear()
                closing = self._closing
                entries = await self._store.entries(run_id, after, PAGE)
                if not entries:
                    last = await self._store.entry(run_id)
                    if last is None and not await self._store.exists(run_id):
                        return
                    if last is not None and last.position > after:
                        continue
                    if last is not None and last.type == "end":
                        entries = [last]
                if entries:
                    yield entries
                    after = max(after, entries[-1].position)
                    if entries[-1].type == "end":
                        return
                elif closing:
                    return
                else:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(None if own else POLL_SECONDS):
                            await bell.wait()
        finally:
            self._bells[run_id].discard(bell)
            if not self._bells[run_id]:
                del self._bells[run_id]
