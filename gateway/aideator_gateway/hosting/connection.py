"""One connection: uvicorn's, with a limit on everything that a client can make it wait for or keep.

Clients are looked at now and again (``look``), which costs less than timers of each request.
"""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from aideator_gateway.hosting.connections import Connections

HEAD_BYTES = 64 * 1024
"""Most of a request's head, beside what came with its first byte."""

HEADERS = 100
"""Most headers of a request, those behind its body included."""

LEFT_OVER_BYTES = 64 * 1024
"""Most that is parsed of a body behind its answer; the rest is thrown away unseen."""

PIPELINED = 8
"""Most requests that wait for the answers to those before."""

TAKEN_BYTES = 16 * 1024
"""A client that has taken this much of what waits for it is one that reads."""

TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 16\r\nconnection: close\r\n\r\nRequest Timeout\n"
)


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, for a server whose state is ``Connections``.

    An application that returns in the middle of an answer breaks the connection off: what the
    client has not taken by then is not waited for.
    """

    def __init__(
        self,
        config: Config,
        server_state: Connections,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._all = server_state
        self._limits = server_state.limits
        self._answering: RequestResponseCycle | None = None
        self._due: str | None = None
        """What the client has to do next, and until when."""
        self._due_at = 0.0
        self._in_head = False
        self._whole = True
        """Whether the newest request has been received to its end."""
        self._headers = 0
        self._received = 0
        """Bytes since its head began, its body, or what is left of that behind the answer."""
        self._deaf = False
        """Whether what still comes is thrown away."""
        self._most_waiting = 0
        """Most bytes that waited to be sent since the client took some."""
        self._took = False
        self._took_at = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._look_ahead()
        self._all.came(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._all.went(self)
        super().connection_lost(exc)

    def cut(self, reason: str) -> None:
        """End it now, whatever has not been sent, and say why."""
        self._all.cut(reason)
        self.abort()

    def abort(self) -> None:
        """End it now, whatever has not been sent."""
        self._all.went(self)
        self.connections.discard(self)
        self._tell_that_it_ends()
        self.transport.abort()

    def _tell_that_it_ends(self) -> None:
        """Let applications find that the client has gone."""
        for cycle in (self._answering, self.cycle, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.flow.resume_writing()

    def look(self, now: float) -> None:
        """End it if the client takes too long for what is due, or takes nothing."""
        if self._does_not_read(now):
            self.cut("send")
        elif self._due is not None and now > self._due_at:
            self._too_slow(self._due)

    def _does_not_read(self, now: float) -> bool:
        waiting = self.transport.get_write_buffer_size()
        self._most_waiting = max(waiting, self._most_waiting)
        if not waiting or self._took or waiting <= self._most_waiting - TAKEN_BYTES:
            self._most_waiting, self._took, self._took_at = waiting, False, now
        return now - self._took_at > self._limits.send_seconds

    def resume_writing(self) -> None:
        """Note that the client reads."""
        self._took = True
        super().resume_writing()

    def _too_slow(self, due: str) -> None:
        self._all.cut(due)
        self._due = None
        if not self._is_answered() and self.cycle.response_started:
            self.abort()
            return
        if self._in_head or not self._is_answered():
            self.transport.write(TOO_SLOW)
        self._tell_that_it_ends()
        self.transport.close()

    def _is_answered(self) -> bool:
        """Whether all requests have been answered."""
        return self.cycle is None or self.cycle.response_complete

    def _look_ahead(self) -> None:
        """Note what the client has to do next; what was due and still is keeps its time."""
        limits = self._limits
        if not self._whole and not self._in_head:
            # While requests before it are answered, nothing of it may be read.
            due, seconds = (None if self.pipeline else "body"), limits.body_seconds
        elif not self._is_answered():
            due, seconds = None, 0
        elif self._in_head:
            due, seconds = "header", limits.header_seconds
        else:
            due, seconds = "idle", limits.keep_alive_seconds
        if due != self._due:
            self._due, self._due_at = due, self.loop.time() + seconds

    def data_received(self, data: bytes) -> None:
        """Parse what came, as long as it is not too much."""
        if self._deaf:
            return
        self._received += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self._whole:
            return
        if self._in_head:
            if self._received > HEAD_BYTES:
                self.send_400_response("The head of the request is too large.")
        elif self._is_answered():
            if self._received > LEFT_OVER_BYTES:
                # Closing now could take the answer from a client that has not read it yet.
                self._deaf = True
                self.transport.write_eof()
        elif self._received > self._limits.body_bytes:
            self.cut("body")

    def on_message_begin(self) -> None:
        """Begin with a head."""
        if len(self.pipeline) >= PIPELINED:
            raise ValueError("too many requests wait")
        super().on_message_begin()
        self._in_head, self._whole = True, False
        self._headers = self._received = 0
        self._look_ahead()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, as long as there are not too many."""
        self._headers += 1
        if self._headers > HEADERS:
            raise ValueError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Have the request answered, and begin with its body."""
        self._in_head = False
        self._received = 0
        self._all.is_busy(self)
        super().on_headers_complete()
        self._look_ahead()

    def on_message_complete(self) -> None:
        """Wait no more for this request."""
        self._whole = True
        super().on_message_complete()
        self._look_ahead()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, or for what is left of this one."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._due = None
            return
        if self._is_answered():
            self._received = 0
            self._all.is_idle(self)
        self._look_ahead()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Have a request answered, and the connection broken off where that ends in the middle."""
        self._answering = cycle

        async def whole(scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, send)
            if cycle.response_started and not cycle.response_complete and not cycle.disconnected:
                self.abort()

        super()._start_asgi_task(cycle, whole)
