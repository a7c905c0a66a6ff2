"""The events of one run, in order, from a stream that may be late, doubled or torn."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from aideator.protocol import AnyEvent, EndEvent, parse_line

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Most bytes of a run's events that wait to be taken or for a gap before them to close."""

Said = tuple[AnyEvent, bytes]
"""An event, and the line that it was read from."""


class Feed:
    """Puts each variation's events in order of ``seq`` and gives them to one reader.

    An event that comes too early waits until those before it have come, from the stream or
    from the transcript (``fill``). What has no room to wait is dropped like an event that
    was never received: the transcript has it.

    Parameters
    ----------
    run_id
        Whose events; others are ignored.
    variation_ids
        The run's variations.
    attempt
        The attempt that is followed; events of others are ignored.
    max_bytes
        Most bytes of events that wait.
    """

    def __init__(
        self,
        run_id: str,
        variation_ids: Iterable[int],
        *,
        attempt: int = 1,
        max_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._run_id = run_id
        self._attempt = attempt
        self._max_bytes = max_bytes
        self._next = dict.fromkeys(variation_ids, 1)
        self._early: dict[int, dict[int, Said]] = {n: {} for n in self._next}
        self._running = set(self._next)
        self._all_ended = asyncio.Event()
        self._ready: asyncio.Queue[Said | None] = asyncio.Queue()
        self._bytes = 0

    @property
    def running(self) -> frozenset[int]:
        """Variations whose end has not come yet."""
        return frozenset(self._running)

    async def wait_ended(self, seconds: float) -> None:
        """Wait until every variation has ended, but not for longer than ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._all_ended.wait()
        except TimeoutError:
            pass

    def add(self, event: AnyEvent, line: bytes) -> None:
        """Take an event, and its line, as it comes in; never waits."""
        if self._bytes + len(line) <= self._max_bytes:
            self._add(event, line)

    async def fill(self, variation_id: int, transcript: Path) -> None:
        """Take what is missing of a variation from its transcript; a missing file is empty."""
        try:
            file = transcript.open("rb")
        except FileNotFoundError:
            return
        with file:
            # One line after the other, so that a long transcript holds up nobody else.
            while line := await asyncio.to_thread(file.readline):
                event = parse_line(line)
                if event is not None and event.variation == variation_id:
                    self._add(event, line.rstrip(b"\r\n"))

    def skip_gaps(self) -> None:
        """Give up on what is missing and let go what waits behind it, in order."""
        for number, early in self._early.items():
            for seq in sorted(early):
                self._next[number] = seq
                self._release(number)

    def close(self) -> None:
        """End the reader's loop once it has read what is there."""
        self._ready.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Said]:
        """Give events, each with its line, as they come, until ``close``."""
        while (said := await self._ready.get()) is not None:
            self._bytes -= len(said[1])
            yield said

    def _add(self, event: AnyEvent, line: bytes) -> None:
        number = event.variation
        if event.run != self._run_id or event.attempt != self._attempt:
            return
        if number not in self._running or event.seq < self._next[number]:
            return
        if event.seq in self._early[number]:
            return
        self._early[number][event.seq] = (event, line)
        self._bytes += len(line)
        self._release(number)

    def _release(self, number: int) -> None:
        early = self._early[number]
        while said := early.pop(self._next[number], None):
            self._next[number] += 1
            self._ready.put_nowait(said)
            if isinstance(said[0], EndEvent):
                self._ended(number)

    def _ended(self, number: int) -> None:
        self._running.discard(number)
        self._bytes -= sum(len(line) for _, line in self._early[number].values())
        self._early[number].clear()
        if not self._running:
            self._all_ended.set()
