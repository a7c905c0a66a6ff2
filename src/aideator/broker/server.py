"""An HTTP server that is bounded also before there is a request."""

import asyncio
import errno
import os
import socket
import stat
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from aideator.broker.asgi import Receive, Scope, Send
from aideator.protocol.broker import MAX_SOCKET_PATH_BYTES, Bounds


class CannotListenError(Exception):
    """There is no listening there; the text says why and what to do."""


def listen_on_path(path: Path) -> socket.socket:
    """Return a socket that listens at a path, for the user alone.

    Raises
    ------
    CannotListenError
        The path is too long, taken, or cannot be written.
    """
    name = os.fsencode(path)
    if len(name) >= MAX_SOCKET_PATH_BYTES:
        text = f"The socket's path has {len(name)} bytes; use one under {MAX_SOCKET_PATH_BYTES}"
        raise CannotListenError(f"{text}: {path}")
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_left_over(path)
        # The mode counts from the first moment on, so it is not changed afterwards.
        before = os.umask(0o177)
        try:
            found.bind(name)
        finally:
            os.umask(before)
        found.listen(2048)
    except OSError as error:
        found.close()
        raise CannotListenError(f"Cannot listen on {path}: {error.strerror or error}") from error
    return found


def _remove_left_over(path: Path) -> None:
    """Remove the socket of a broker that is no more; one that is alive keeps it."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, "there is a file that is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fsencode(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        else:
            raise OSError(errno.EADDRINUSE, "another program listens there")


def listen_on_port(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a host's port; 0 takes a free one.

    Raises
    ------
    CannotListenError
        It cannot.
    """
    if not 0 <= port <= 65_535:
        raise CannotListenError(f"There is no port {port}: use one from 0, a free one, to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = socket.create_server((host, port), family=family, backlog=2048)
        # Connections have it from here: asyncio sets it only where a socket names its protocol,
        # and without it every small piece may wait 40 ms for the one before to be acknowledged.
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found  # noqa: TRY300
    except OSError as error:
        raise CannotListenError(f"Cannot listen on {host}, port {port}: {error}") from error


def inherited(descriptor: int) -> socket.socket:
    """Return a listening socket of whoever started the broker, who keeps it when this ends.

    Raises
    ------
    CannotListenError
        There is none of this number.
    """
    try:
        return socket.socket(fileno=descriptor)
    except OSError as error:
        raise CannotListenError(f"Descriptor {descriptor} is no socket: {error}") from error


class Waiting:
    """Connections that have sent no whole request head, the one that waits longest first.

    Parameters
    ----------
    bounds
        How many there may be, and for how long each.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._timers: dict[H11Protocol, asyncio.TimerHandle] = {}

    def add(self, connection: H11Protocol) -> None:
        """Start to wait."""
        self.remove(connection)
        while len(self._timers) >= self._bounds.waiting_connections:
            # A caller that means something sends its request at once, and is never the first.
            self._close(next(iter(self._timers)))
        loop = asyncio.get_running_loop()
        self._timers[connection] = loop.call_later(
            self._bounds.idle_seconds, self._close, connection
        )

    def remove(self, connection: H11Protocol) -> None:
        """End a wait, if there is one."""
        if timer := self._timers.pop(connection, None):
            timer.cancel()

    def _close(self, connection: H11Protocol) -> None:
        self.remove(connection)
        connection.transport.abort()


def bounded_protocol(waiting: Waiting) -> type[H11Protocol]:
    """Return uvicorn's protocol of a connection, with bounds on what comes before a request."""

    class BoundedProtocol(H11Protocol):
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            application = self.app

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                # When this returns, the next request may be under way already.
                cycle = self.cycle
                try:
                    await application(scope, receive, send)
                finally:
                    if not cycle.response_complete:
                        # It breaks off. What is left to be read will not be waited for.
                        waiting.add(self)

            self.app = app

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            waiting.add(self)

        def connection_lost(self, exc: Exception | None) -> None:
            waiting.remove(self)
            super().connection_lost(exc)

        def handle_events(self) -> None:
            super().handle_events()
            if self.cycle is not None and not self.cycle.response_complete:
                waiting.remove(self)

        def on_response_complete(self) -> None:
            # Before what may start the next request, which was sent without a wait.
            waiting.add(self)
            super().on_response_complete()

    return BoundedProtocol


class Server(uvicorn.Server):
    """Serves an application on sockets that listen already, until ``should_exit``."""

    def __init__(self, app: Any, bounds: Bounds) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                interface="asgi3",
                http=bounded_protocol(Waiting(bounds)),
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                # The application logs by itself what it lets break off.
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                # One bound, for what comes before the first request and before the next.
                timeout_keep_alive=int(bounds.idle_seconds) + 1,
                timeout_graceful_shutdown=1,
            )
        )
