"""Decode server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html.

httpx2 and httpx-sse can do that too, but neither fits here: both refuse a response whose
content type is not exactly right, put U+FFFD where bytes are no UTF-8, and know no byte
order mark.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""Longest event that is buffered; all of it becomes one piece of a message."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ServerSentEvent(NamedTuple):
    """One event; its id and its retry time are of no use here."""

    name: str
    """``message`` where the server names none."""
    data: str


class SseDecoder:
    """Turns the bytes of one stream, in pieces cut anywhere, into events.

    What the stream ends in the middle of is no event, as the specification has it.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._line: list[bytes] = []
        self._after_return = False
        self._at_start = True
        self._name = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that ``piece`` completes.

        Raises
        ------
        ValueError
            A line is no UTF-8, or an event is longer than ``max_event_bytes``.
        """
        # A line ends with its carriage return already: to wait for what follows it would
        # hold an event back. A line feed that does follow is no second end.
        skipped = int(self._after_return and piece.startswith(b"\n"))
        if piece:
            self._after_return = piece.endswith(b"\r")
        *ended, rest = _LINE_END.split(piece[skipped:])
        for part in ended:
            self._keep(part)
            line = b"".join(self._line)
            self._line.clear()
            if event := self._take(line):
                yield event
        self._keep(rest)

    def _keep(self, part: bytes) -> None:
        self._line.append(part)
        self._size += len(part)
        if self._size > self._max_event_bytes:
            raise ValueError(f"an event is longer than {self._max_event_bytes} bytes")

    def _take(self, line: bytes) -> ServerSentEvent | None:
        if self._at_start:
            line = line.removeprefix(_BYTE_ORDER_MARK)
            self._at_start = False
        if not line:
            event = ServerSentEvent(self._name or "message", "\n".join(self._data))
            found = event if self._data else None
            self._name, self._data, self._size = "", [], 0
            return found
        field, _, value = line.decode().partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        else:
            # Nothing is kept of a comment, so that a stream of nothing else is no long event.
            self._size -= len(line)
            if field == "event":
                self._name = value
        return None
