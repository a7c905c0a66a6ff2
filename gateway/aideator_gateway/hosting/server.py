"""An application under uvicorn, on a socket that is bound before anything else is opened."""

import asyncio
import contextlib
import logging
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any

import uvicorn

from aideator_gateway.hosting.acceptor import Acceptor
from aideator_gateway.hosting.connection import Connection
from aideator_gateway.hosting.connections import Connections
from aideator_gateway.hosting.limits import ConnectionLimits

logger = logging.getLogger(__name__)

BACKLOG = 2048
"""Connections that wait to be taken."""

UNSENT_BYTES = 128 * 1024
"""What the system keeps of what is sent to a client that does not take it."""

GONE_SECONDS = 10.0
"""How much longer than one that does not read a client has that is not there."""

LOOK_TICKS = 5
"""Clients are looked at every so many of the server's tenths of a second."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; callers wait on it until a server takes it over.

    Parameters
    ----------
    host
        A name, or an IPv4 or IPv6 address without brackets.
    port
        0 takes a free one.

    Raises
    ------
    OSError
        If it cannot listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    # Connections have it from here: asyncio sets it only where a socket names its protocol, and
    # without it a small event may wait 40 ms for the one before to be acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _bound(listener: socket.socket, send_seconds: float) -> None:
    """Bound what the system keeps for a client, and for how long; connections have it from here."""
    if sys.platform != "linux":
        return
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    # One that has gone without a word acknowledges nothing. Of one that is there and does not read
    # we know ourselves, and sooner.
    gone_seconds = send_seconds + GONE_SECONDS
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(gone_seconds * 1000))


class HostedServer(uvicorn.Server):
    """Serves one application on one listening socket, in an event loop that is there already.

    What the application answers from is opened and closed by who hosts it, around ``serve``;
    signals are left to whose process it is. ``should_exit`` ends it.

    Parameters
    ----------
    app
        The ASGI application; it gets no lifespan events.
    listener
        Where; closed when serving ends.
    grace_seconds
        How long calls may still be answered after it was told to end.
    log_level
        Least level of what the server itself logs.
    before_close
        Awaited when it was told to end, while connections still stand but no new ones come.
    limits
        How many connections there may be, and how long a client may take.
    overflow
        Application that answers on connections beyond the limit, and closes them; without it,
        they are closed at once.
    cut
        Called each time that this side ends a connection, with the reason: ``idle``, ``header``,
        ``body`` or ``send`` is what the client took too long for, ``replaced`` and ``refused``
        are for want of room.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        listener: socket.socket,
        *,
        grace_seconds: int,
        log_level: str = "warning",
        before_close: Callable[[], Coroutine[Any, Any, None]] | None = None,
        limits: ConnectionLimits | None = None,
        overflow: Callable[..., Any] | None = None,
        cut: Callable[[str], None] = lambda _: None,
    ) -> None:
        limits = limits or ConnectionLimits()
        self._listener = listener
        self._before_close = before_close
        self._acceptor: Acceptor | None = None
        _bound(listener, limits.send_seconds)
        super().__init__(
            uvicorn.Config(
                app,
                # Else uvicorn takes a method for an application of an older kind.
                interface="asgi3",
                http=Connection,
                # What is upgraded would be out of reach of the limits.
                ws="none",
                lifespan="off",
                log_config=None,
                log_level=log_level,
                access_log=False,
                server_header=False,
                # Ours comes first, and knows what else a client can be silent about.
                timeout_keep_alive=int(limits.keep_alive_seconds) + 1,
                timeout_graceful_shutdown=grace_seconds,
            )
        )
        self._grace_seconds = grace_seconds
        self._connections = Connections(limits, overflow, cut)
        self.server_state = self._connections

    @property
    def open_connections(self) -> int:
        """How many connections there are now."""
        return len(self._connections)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to end."""
        await super().serve(sockets or [self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take connections; by other means than uvicorn, which has no limit there."""
        del sockets
        self._listener.setblocking(False)
        self.servers = []
        self._acceptor = Acceptor(
            self._listener,
            lambda: Connection(self.config, self._connections, {}),
            self._connections.make_room,
        )
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Look after clients that take too long, beside what uvicorn does now and again."""
        if counter % LOOK_TICKS == 0:
            self._connections.look(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more calls, do what comes first, then let calls end and close."""
        if self._acceptor is not None:
            self._acceptor.close()
        if self._before_close is not None:
            first = asyncio.create_task(self._before_close())
            while not first.done() and not self.force_exit:
                await asyncio.wait((first,), timeout=0.05)
            first.cancel()
            (failed,) = await asyncio.gather(first, return_exceptions=True)
            if isinstance(failed, Exception):
                logger.error("what comes before closing failed", exc_info=failed)
        await self._let_end()
        await super().shutdown(sockets)

    async def _let_end(self) -> None:
        """Close connections whose calls have been answered, and after a while all others."""
        self._connections.shutdown()
        deadline = time.monotonic() + self._grace_seconds
        while len(self._connections) and time.monotonic() < deadline and not self.force_exit:  # noqa: ASYNC110 - a signal sets a flag, no event
            await asyncio.sleep(0.02)
        self._connections.abort()

    async def calls_ended(self, seconds: float) -> None:
        """Wait until all calls have been answered, but not for longer than ``seconds``."""
        if calls := set(self.server_state.tasks):
            await asyncio.wait(calls, timeout=seconds)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End on a first signal that its host passes on; on a second one leave at once."""
        again = self.should_exit
        super().handle_exit(sig, frame)
        self.force_exit = self.force_exit or again

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn would raise them again before its host has closed."""
        yield
