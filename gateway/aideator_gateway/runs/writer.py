"""The one task that writes logs, in groups, and goes on until what has to be in is in.

Whatever has come in while the last group was committed goes into the next. A group that
fails is tried again run by run, so that it harms only the run it concerns; a run's writes
are repeated with growing pauses, those that end something until they are in.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from aideator_gateway.runs.context import working_on
from aideator_gateway.runs.lane import Lane, Write
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.packing import Packed, pack
from aideator_gateway.runs.storage import StorageError
from aideator_gateway.runs.store import Store
from aideator_gateway.runs.stored import Change

logger = logging.getLogger(__name__)

TRIES = 4
"""How often a write is repeated that the database cannot take, as far as anybody can tell."""

CLOSE_SECONDS = 2.0
"""How long what still waits is tried at the end; the rest is left to the next start."""


class GroupWriter:
    """Commits writes of all runs.

    Parameters
    ----------
    store
        Where to.
    metrics
        Counts commits that failed, and writes that wait.
    committed
        Called with what each run's log has grown by.
    give_up_seconds
        How long writes that end nothing are repeated before their run is told to fail.
    """

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        committed: Callable[[Packed], None],
        give_up_seconds: float,
    ) -> None:
        self._give_up_seconds = give_up_seconds
        self._store = store
        self._metrics = metrics
        self._committed = committed
        self._lanes: dict[str, Lane] = {}
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        metrics.log_writes_waiting.set_function(
            lambda: sum(len(lane.writes) for lane in self._lanes.values())
        )

    def start(self) -> None:
        """Start to write."""
        self._task = asyncio.create_task(self._work(), name="event log writer")

    async def aclose(self) -> None:
        """Write what is left, if that works soon, and stop."""
        task = self._task
        if task is None:
            return
        left = [write.done for lane in self._lanes.values() for write in lane.writes]
        if left and not task.cancelling():
            await asyncio.wait(left, timeout=CLOSE_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def put(self, write: Write) -> None:
        """Take a write, which is committed later.

        Raises
        ------
        StorageError
            If an earlier write of the same variation, or run, was given up.
        """
        lane = self._lanes.get(write.run_id)
        if lane is None:
            lane = self._lanes[write.run_id] = Lane(write.run_id)
        # There are few of those, and whoever brings one must be able to rely on it.
        if not write.final:
            await lane.wait_for_room()
        if error := lane.why_not(write.variation_id):
            raise error
        lane.add(write)
        self._bell.set()

    def resume(self, run_id: str, variation_id: int | None) -> bool:
        """Take writes again after some were given up; ``False`` if the whole run's still are."""
        lane = self._lanes.get(run_id)
        if lane is None:
            return True
        lane.resume(variation_id)
        return lane.why_not(variation_id) is None

    def forget(self, run_id: str) -> None:
        """Drop what is remembered of a run that has ended."""
        lane = self._lanes.get(run_id)
        if lane is not None and not lane.writes:
            del self._lanes[run_id]

    @property
    def trouble(self) -> str | None:
        """Why the log cannot be written now, if it cannot."""
        failing = [lane for lane in self._lanes.values() if lane.error is not None]
        if not failing:
            return None
        worst = max(failing, key=lambda lane: lane.failing_seconds)
        waiting = sum(len(lane.writes) for lane in failing)
        said = worst.error.message if worst.error else ""
        return (
            f"the event log cannot be written for {worst.failing_seconds:.0f} s, "
            f"and {waiting} writes wait: {said}"
        )

    async def _work(self) -> None:
        while True:
            await self._due()
            now = time.monotonic()
            lanes = self._lanes.values()
            due = [lane for lane in lanes if lane.writes and lane.again_at <= now]
            await self._commit([(lane, tuple(lane.writes)) for lane in due])

    async def _due(self) -> None:
        """Wait until a run has something to write and it is time to try."""
        while True:
            self._bell.clear()
            due = [lane.again_at for lane in self._lanes.values() if lane.writes]
            pause = min(due) - time.monotonic() if due else None
            if pause is not None and pause <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._bell.wait()

    async def _commit(self, parts: Sequence[tuple[Lane, Sequence[Write]]]) -> None:
        try:
            await self._write(parts)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is told or tried again
            self._metrics.log_commits_failed.inc()
            if len(parts) == 1:
                await self._failed(parts[0][0], StorageError.of(error))
                return
            for part in parts:
                await self._commit([part])

    async def _write(self, parts: Sequence[tuple[Lane, Sequence[Write]]]) -> None:
        """Commit these writes, and say so to whoever brought them or reads them."""
        packed: list[Packed] = []
        for lane, writes in parts:
            if lane.position is None:
                lane.position = await self._store.last_position(lane.run_id)
            records = [(write.variation_id, write.record) for write in writes if write.record]
            packed.append(pack(lane.run_id, lane.position, records))
        await self._store.append(packed, _changes(write for _, writes in parts for write in writes))
        for (lane, writes), one in zip(parts, packed, strict=True):
            if one.segments:
                lane.position = one.segments[-1].last
            lane.committed(len(writes))
            self._committed(one)

    async def _failed(self, lane: Lane, error: StorageError) -> None:
        if lane.error is None:
            with working_on(lane.run_id):
                logger.warning("the log of %s cannot be written: %s", lane.run_id, error)
        lane.failed(error)
        if await self._is_gone(lane.run_id):
            lane.refuse(None, error)
        elif not error.passing:
            if lane.tries >= TRIES:
                await self._sift(lane)
        elif lane.failing_seconds > self._give_up_seconds and not any(w.final for w in lane.writes):
            with working_on(lane.run_id):
                logger.error("writes of %s are given up: %s", lane.run_id, error)
            lane.refuse(None, error)

    async def _is_gone(self, run_id: str) -> bool:
        try:
            return not await self._store.exists(run_id)
        except StorageError:
            return False

    async def _sift(self, lane: Lane) -> None:
        """Write one by one, and give up those that cannot be, with what follows from them."""
        for _ in range(len(lane.writes)):
            if not lane.writes:
                return
            write = lane.writes[0]
            try:
                await self._write([(lane, (write,))])
            except Exception as error:  # noqa: BLE001 - whoever delivered it is told
                self._metrics.log_commits_failed.inc()
                known = StorageError.of(error)
                if known.passing:
                    lane.failed(known)
                    return
                with working_on(lane.run_id, write.variation_id):
                    logger.error("a write of %s is given up: %s", lane.run_id, known)  # noqa: TRY400 - the cause is in it
                lane.refuse(write.variation_id, known)


def _changes(writes: Iterable[Write]) -> list[Change]:
    """Return what is to be set: of each row once, and the last that was said."""
    values: dict[tuple[str, int | None], dict[str, object]] = {}
    for write in writes:
        if write.values:
            values.setdefault((write.run_id, write.variation_id), {}).update(write.values)
    return [Change(*row, new) for row, new in values.items()]
