"""One run's writes that are not committed yet."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass

from aideator_gateway.runs.storage import StorageError
from aideator_gateway.runs.stored import Record

MAX_WRITES = 2000
"""Most writes of one run that wait; who brings more waits with them."""

MAX_BYTES = 8 * 1024 * 1024
"""Most that these writes may hold together, beside the last one."""

PAUSES = (0.1, 0.3, 1.0, 2.0, 5.0, 10.0)
"""Seconds between tries, growing."""


@dataclass(eq=False, slots=True)
class Write:
    """What a log takes, and columns that are set with it."""

    run_id: str
    variation_id: int | None
    record: Record | None
    """``None`` sets columns alone."""
    values: dict[str, object]
    final: bool
    """It ends a variation or a run, and is repeated until it is in."""
    done: asyncio.Future[None]


class Lane:
    """What one run has to write, in order; what holds it up holds up no other run."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.writes: deque[Write] = deque()
        self.position: int | None = None
        """Of the newest entry in the run's log, where that is known."""
        self.error: StorageError | None = None
        """What the last try failed with."""
        self.tries = 0
        self.again_at = 0.0
        """When to try next, by the monotonic clock."""
        self._since = 0.0
        self._bytes = 0
        self._refused: dict[int | None, StorageError] = {}
        self._room = asyncio.Event()

    async def wait_for_room(self) -> None:
        """Wait while more writes wait than may be held in memory."""
        while len(self.writes) >= MAX_WRITES or self._bytes >= MAX_BYTES:
            self._room.clear()
            await self._room.wait()

    def add(self, write: Write) -> None:
        """Put a write behind the others."""
        self.writes.append(write)
        self._bytes += _size(write)

    def committed(self, count: int) -> None:
        """Take away the first writes, which are on disk."""
        for _ in range(count):
            write = self.writes.popleft()
            self._bytes -= _size(write)
            if not write.done.done():
                write.done.set_result(None)
        self.error = None
        self.tries = 0
        self._room.set()

    def failed(self, error: StorageError) -> None:
        """Note that a try failed, and when the next one is due."""
        now = time.monotonic()
        if self.error is None:
            self._since = now
        self.error = error
        self.again_at = now + PAUSES[min(self.tries, len(PAUSES) - 1)]
        self.tries += 1
        # Whatever it was, somebody else may have written meanwhile.
        self.position = None

    @property
    def failing_seconds(self) -> float:
        """How long nothing could be written."""
        return 0.0 if self.error is None else time.monotonic() - self._since

    def refuse(self, variation_id: int | None, error: StorageError) -> None:
        """Give up what a variation has to write, or the whole run, until ``resume``."""
        self._refused[variation_id] = error
        kept: deque[Write] = deque()
        for write in self.writes:
            if self.why_not(write.variation_id) is None:
                kept.append(write)
                continue
            self._bytes -= _size(write)
            if not write.done.done():
                write.done.set_exception(error)
                # Most callers do not wait; asyncio must not complain that nobody looked.
                write.done.exception()
        self.writes = kept
        self.error = None
        self.tries = 0
        self._room.set()

    def why_not(self, variation_id: int | None) -> StorageError | None:
        """Return why nothing more of a variation, or of the run, is taken."""
        return self._refused.get(None) or self._refused.get(variation_id)

    def resume(self, variation_id: int | None) -> None:
        """Take writes again; a whole run with all its variations."""
        if variation_id is None:
            self._refused.clear()
        else:
            self._refused.pop(variation_id, None)


def _size(write: Write) -> int:
    return write.record.size if write.record else 0
