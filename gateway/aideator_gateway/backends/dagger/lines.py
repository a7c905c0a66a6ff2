"""Lines put together from the chunks that many writers' output arrives in."""

from collections import OrderedDict
from collections.abc import Hashable

from aideator.protocol import MAX_LINE_BYTES


class LineJoiner:
    """Rebuilds lines that may hold a JSON object; everything else is let go at once.

    What is kept is the start of the line that each writer is in the middle of. The bounds
    hold whatever is printed: beyond them a line is dropped, oldest writers first.

    Parameters
    ----------
    max_line_bytes
        Longest line that is rebuilt.
    max_bytes
        Most bytes of unfinished lines, over all writers.
    max_writers
        Most writers with an unfinished line.
    """

    def __init__(
        self,
        *,
        max_line_bytes: int = MAX_LINE_BYTES,
        max_bytes: int = 4 * MAX_LINE_BYTES,
        max_writers: int = 4096,
    ) -> None:
        self._max_line_bytes = max_line_bytes
        self._max_bytes = max_bytes
        self._max_writers = max_writers
        self._open: OrderedDict[Hashable, _Line] = OrderedDict()
        self._bytes = 0

    @property
    def writers(self) -> int:
        """Writers that are in the middle of a line."""
        return len(self._open)

    def add(self, writer: Hashable, chunk: bytes) -> list[bytes]:
        """Take a writer's next chunk and return the lines that it ends, without line ends."""
        *ends, rest = chunk.split(b"\n")
        lines = []
        if ends and writer in self._open:
            self._extend(writer, ends.pop(0))
            line = self._open[writer]
            if not line.dropped:
                lines.append(b"".join(line.parts))
            self.forget(writer)
        lines += [line for line in ends if self._is_wanted(line)]
        if rest:
            self._extend(writer, rest)
        return lines

    def forget(self, writer: Hashable) -> None:
        """Let go what a writer left unfinished."""
        line = self._open.pop(writer, None)
        if line is not None:
            self._bytes -= line.size

    def _is_wanted(self, line: bytes) -> bool:
        return line.startswith(b"{") and len(line) <= self._max_line_bytes

    def _extend(self, writer: Hashable, part: bytes) -> None:
        line = self._open.get(writer)
        if line is None:
            line = self._open[writer] = _Line(dropped=not part.startswith(b"{"))
        self._open.move_to_end(writer)
        if line.dropped:
            pass
        elif line.size + len(part) > self._max_line_bytes:
            self._bytes -= line.drop()
        else:
            line.parts.append(part)
            line.size += len(part)
            self._bytes += len(part)
        while len(self._open) > self._max_writers or self._bytes > self._max_bytes:
            # Its rest, should it come, does not start with an object and is dropped too.
            self.forget(next(iter(self._open)))


class _Line:
    """The start of a line; ``dropped`` means that the rest of it is let go as well."""

    def __init__(self, *, dropped: bool) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.dropped = dropped

    def drop(self) -> int:
        size, self.size = self.size, 0
        self.parts.clear()
        self.dropped = True
        return size
