"""Tokens that an answer used, read as its bytes pass by."""

import json
from typing import Any

from aideator.protocol.events import Usage

_MAX_LINE_BYTES = 32 * 1024 * 1024
_FIELDS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
}


class UsageReader:
    """Looks at an answer without holding it up: only lines that name usage are parsed.

    Parameters
    ----------
    streamed
        Whether the answer is a stream of events; else it is one JSON document.
    """

    def __init__(self, *, streamed: bool) -> None:
        self._streamed = streamed
        self._rest = bytearray()
        self._counts: dict[str, int] = {}
        self.model = ""
        """The model that answered, as the server names it."""
        self.complete = True
        """Whether all of the answer could be looked at."""

    @property
    def usage(self) -> Usage:
        """Tokens as far as the server has counted them."""
        return Usage(**{ours: self._counts.get(theirs, 0) for theirs, ours in _FIELDS.items()})

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes, cut anywhere."""
        end = chunk.rfind(b"\n") + 1 if self._streamed else 0
        if not end:
            self._keep(chunk)
            return
        # Most chunks are whole events: no byte of those is copied.
        lines = bytes(self._rest) + chunk[:end] if self._rest else chunk[:end]
        self._rest = bytearray(chunk[end:])
        if b'"usage"' in lines:
            for line in lines.splitlines():
                self._line(line)

    def end(self) -> None:
        """Take what came last; an answer that broke off may end anywhere."""
        rest, self._rest = bytes(self._rest), bytearray()
        if self._streamed:
            self._line(rest)
        elif isinstance(body := _object(rest), dict):
            self._message(body)

    def _keep(self, chunk: bytes) -> None:
        if len(self._rest) + len(chunk) > _MAX_LINE_BYTES:
            self.complete = False
            self._rest.clear()
        if self.complete:
            self._rest += chunk

    def _line(self, line: bytes) -> None:
        if not line.startswith(b"data:") or b'"usage"' not in line:
            return
        match _object(line[5:]):
            case {"type": "message_start", "message": dict(message)}:
                self._message(message)
            case {"type": "message_delta", "usage": dict(usage)}:
                self._count(usage)

    def _message(self, message: dict[str, Any]) -> None:
        self.model = str(message.get("model") or "")
        if isinstance(usage := message.get("usage"), dict):
            self._count(usage)

    def _count(self, usage: dict[str, Any]) -> None:
        # Counts are cumulative; a later one replaces an earlier one.
        for name in _FIELDS:
            if type(count := usage.get(name)) is int and count >= 0:
                self._counts[name] = count


def _object(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
