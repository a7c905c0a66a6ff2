"""An application under uvicorn, on a socket that is bound before anything else is opened."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any

import uvicorn

logger = logging.getLogger(__name__)


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
    listener = socket.create_server((host, port), family=family)
    # Connections have it from here: asyncio sets it only where a socket names its protocol, and
    # without it a small event may wait 40 ms for the one before to be acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


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
    """

    def __init__(
        self,
        app: Callable[..., Any],
        listener: socket.socket,
        *,
        grace_seconds: int,
        log_level: str = "warning",
        before_close: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._listener = listener
        self._before_close = before_close
        super().__init__(
            uvicorn.Config(
                app,
                # Else uvicorn takes a method for an application of an older kind.
                interface="asgi3",
                lifespan="off",
                log_config=None,
                log_level=log_level,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=grace_seconds,
            )
        )

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to end."""
        await super().serve(sockets or [self._listener])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more calls, do what comes first, then let calls end and close."""
        for server in self.servers:
            server.close()
        if self._before_close is not None:
            first = asyncio.create_task(self._before_close())
            while not first.done() and not self.force_exit:
                await asyncio.wait((first,), timeout=0.05)
            first.cancel()
            (failed,) = await asyncio.gather(first, return_exceptions=True)
            if isinstance(failed, Exception):
                logger.error("what comes before closing failed", exc_info=failed)
        await super().shutdown(sockets)

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
