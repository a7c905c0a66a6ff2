"""The newest part of a run's log in memory, for readers who are up to date."""

from collections import deque
from collections.abc import Iterable

from aideator_gateway.runs.frames import behind
from aideator_gateway.runs.stored import Segment

TAIL_BYTES = 1024 * 1024
"""Most bytes of a run's log that are kept in memory, beside the newest segment."""


class Tail:
    """What was committed last of one run's log; who is further behind reads the database."""

    def __init__(self) -> None:
        self._segments: deque[Segment] = deque()
        self._bytes = 0

    def add(self, segments: Iterable[Segment]) -> None:
        """Take what was committed."""
        for segment in segments:
            if self._segments and segment.first != self._segments[-1].last + 1:
                # Another gateway wrote in between: what it wrote is in the database alone.
                self._segments.clear()
                self._bytes = 0
            self._segments.append(segment)
            self._bytes += len(segment.frames)
            while self._bytes > TAIL_BYTES and len(self._segments) > 1:
                self._bytes -= len(self._segments.popleft().frames)

    @property
    def last(self) -> int:
        """Place of the newest frame, 0 if there is none."""
        return self._segments[-1].last if self._segments else 0

    @property
    def ends(self) -> bool:
        """Whether the log's end is among it."""
        return bool(self._segments) and self._segments[-1].ends

    def segment(self, after: int) -> Segment | None:
        """Return the segment behind a position, cut if it is in the middle of one.

        ``None`` if it is not here, or there is nothing behind it.
        """
        if not self._segments or after < self._segments[0].first - 1:
            return None
        # Readers who are here are up to date, or nearly.
        found = None
        for segment in reversed(self._segments):
            if segment.last <= after:
                break
            found = segment
        if found is None or after < found.first:
            return found
        return Segment(after + 1, found.last, found.ends, behind(found.frames, after))
