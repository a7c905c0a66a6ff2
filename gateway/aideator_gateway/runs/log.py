"""The event log: committed first, then published.

One task writes (``writer``), in groups: so many small events cost few commits, none waits
for a timer, and what a client has been sent is on disk. Clients are sent the bytes that were
committed: from memory (``tail``) if they are up to date, else from the database, in pages.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator

from aideator_gateway.runs.lane import Write
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.packing import Packed
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.stored import Record, Segment
from aideator_gateway.runs.tail import Tail
from aideator_gateway.runs.writer import GroupWriter

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
        self._writer = GroupWriter(store, metrics, self._publish, give_up_seconds)
        self._tails: dict[str, Tail] = {}
        self._cuts: set[Callable[[], object]] = set()
        self._closing = False

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
        for cut in tuple(self._cuts):
            cut()

    @contextlib.contextmanager
    def cutting(self, cut: Callable[[], object]) -> Iterator[None]:
        """Have a reader called when it is waited for no longer."""
        self._cuts.add(cut)
        try:
            yield
        finally:
            self._cuts.discard(cut)

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
        record: Record | None,
        values: dict[str, object] | None = None,
        *,
        final: bool = False,
    ) -> asyncio.Future[None]:
        """Add to a run's log, and set columns of its variation (or run) with it.

        It is queued; while too much of the run is, the caller waits.

        Parameters
        ----------
        record
            What is added; ``None`` sets columns alone.
        final
            It ends the variation or the run, and is repeated until it is in.

        Returns
        -------
        What is done once it is committed, or has the error that kept it from being. Wait for
        it shielded: it is the writer's.

        Raises
        ------
        StorageError
            Whatever kept something earlier of the variation, or the run, from being committed.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._writer.put(Write(run_id, variation_id, record, values or {}, final, done))
        return done

    def resume(self, run_id: str, variation_id: int | None = None) -> bool:
        """Take what is said of a run, or a variation, again after some of it was given up.

        Returns
        -------
        ``False`` if only a variation was asked for, and the whole run's is refused.
        """
        return self._writer.resume(run_id, variation_id)

    def forget(self, run_id: str) -> None:
        """Drop what is remembered of a run that has ended."""
        self._writer.forget(run_id)
        self._tails.pop(run_id, None)

    def deleted(self, run_id: str) -> None:
        """Tell readers of a run that was deleted."""
        self._tails.pop(run_id, None)
        self._ring(run_id)

    def _publish(self, packed: Packed) -> None:
        if packed.segments:
            self._tails.setdefault(packed.run_id, Tail()).add(packed.segments)
            self._ring(packed.run_id)

    def _ring(self, run_id: str) -> None:
        for bell in self._bells.get(run_id, ()):
            bell.set()

    async def follow(
        self, run_id: str, after: int, *, idle_seconds: float | None = None
    ) -> AsyncGenerator[Segment | None, None]:
        """Give what comes behind position ``after``, then what is new as it is committed.

        Ends with the log's end, which also those get who start behind it, or when the run is
        deleted or the gateway stops. Every reader reads at its own pace, so a slow one holds
        up nobody and misses nothing.

        Parameters
        ----------
        idle_seconds
            How long nothing may come before a ``None`` does.
        """
        # Nobody rings here for what another process writes.
        own = await self._store.owner(run_id) == self._owner
        bell = asyncio.Event()
        self._bells.setdefault(run_id, set()).add(bell)
        idle = 0.0
        try:
            while True:
                bell.clear()
                closing = self._closing
                segment = await self._behind(run_id, after)
                if segment is not None:
                    yield segment
                    after = max(after, segment.last)
                    idle = 0.0
                    if segment.ends:
                        return
                elif closing or not await self._goes_on(run_id):
                    return
                else:
                    pause = idle_seconds if own else POLL_SECONDS
                    try:
                        async with asyncio.timeout(pause):
                            await bell.wait()
                    except TimeoutError:
                        idle += pause or 0.0
                        if idle_seconds is not None and idle >= idle_seconds:
                            yield None
                            idle = 0.0
        finally:
            self._bells[run_id].discard(bell)
            if not self._bells[run_id]:
                del self._bells[run_id]

    async def _behind(self, run_id: str, after: int) -> Segment | None:
        """Return what comes behind a position; of a log that has ended at least its end."""
        tail = self._tails.get(run_id)
        if tail is not None:
            if segment := tail.segment(after):
                return segment
            if after >= tail.last and not tail.ends:
                return None
        if segment := await self._store.segment(run_id, after):
            return segment
        last = await self._store.last_segment(run_id)
        if last is None:
            return None
        if last.last > after:
            return await self._store.segment(run_id, after)
        return last if last.ends else None

    async def _goes_on(self, run_id: str) -> bool:
        return run_id in self._tails or await self._store.exists(run_id)
