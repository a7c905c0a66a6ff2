"""A real server for one application in the test's own event loop, and raw connections to it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aideator_gateway.hosting.limits import ConnectionLimits
from aideator_gateway.hosting.server import HostedServer, listen

App = Callable[[Any, Any, Any], Awaitable[None]]

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Hosted:
    """A server that runs, and why it has ended connections."""

    def __init__(self, app: App, limits: ConnectionLimits, overflow: App | None) -> None:
        self.cuts: list[str] = []
        listener = listen("127.0.0.1", 0)
        self.address = listener.getsockname()
        self.server = HostedServer(
            app, listener, grace_seconds=1, limits=limits, overflow=overflow,
            cut=self.cuts.append,
        )  # fmt: skip

    async def connect(
        self, first: bytes = b"", *, receive_bytes: int | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect and send what comes ``first``; ``receive_bytes`` is the system's buffer."""
        raw = socket.socket()
        if receive_bytes is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, self.address)
        # Nothing is read ahead of what the test reads.
        reader, writer = await asyncio.open_connection(sock=raw, limit=1024)
        writer.write(first)
        await writer.drain()
        return reader, writer


@asynccontextmanager
async def hosted(app: App, *, overflow: App | None = None, **limits: Any) -> AsyncIterator[Hosted]:
    """Serve an application until the block ends."""
    host = Hosted(app, ConnectionLimits(**limits), overflow)
    serving = asyncio.create_task(host.server.serve())
    try:
        yield host
    finally:
        host.server.should_exit = True
        await serving


async def until(done: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not done():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.02)


async def rest(reader: asyncio.StreamReader, seconds: float = 30.0) -> bytes:
    """Return what comes until the other side closes, also if it does so rudely."""
    found = b""
    async with asyncio.timeout(seconds):
        try:
            while part := await reader.read(65536):
                found += part
        except ConnectionError:
            pass
    return found


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request once it is whole, as an application that reads bodies."""
    del scope
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        if not message["more_body"]:
            break
    await reply(send, b"fine")


async def reply(send: Any, body: bytes, status: int = 200) -> None:
    """Send a whole answer."""
    length = str(len(body)).encode()
    headers = [(b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
