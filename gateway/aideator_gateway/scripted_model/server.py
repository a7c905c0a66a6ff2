"""The scripted model: a server that speaks the Messages API and has no model behind it."""

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from aideator_gateway.scripted_model.connection import Connection
from aideator_gateway.scripted_model.player import Player, Request, Script

__all__ = ["Player", "Request", "Script", "ScriptedModel"]


class ScriptedModel:
    """Answers ``POST /v1/messages`` with what a player says, streamed or whole.

    Used as a context manager it runs in a thread of its own. In a program that has an event
    loop, use it as an asynchronous one, or ``await`` its ``start`` and ``aclose``.

    Parameters
    ----------
    player
        Decides what is answered.
    host, port
        Where to listen; port 0 takes a free one.
    record
        Keep every request in ``requests``; a server that runs for long should not.

    Raises
    ------
    OSError
        On start, if it cannot listen there.
    """

    def __init__(
        self, player: Player, host: str = "127.0.0.1", port: int = 0, *, record: bool = True
    ) -> None:
        self._player = player
        self._host = host
        self._port = port
        self._record = record
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._requests: list[Request] = []
        self._thread: _LoopThread | None = None

    @property
    def base_url(self) -> str:
        """What clients are given as the API's address; known once started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def requests(self) -> list[Request]:
        """All requests for messages up to now, in the order in which they came in."""
        # A copy, and appending is atomic: readers in other threads need no lock.
        return list(self._requests)

    async def start(self) -> None:
        """Listen, on the running event loop."""
        self._server = await asyncio.start_server(self._connected, self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Stop listening and close all connections, also those in the middle of a reply."""
        if self._server is None:
            return
        # asyncio leaks a connection whose transport it makes once its server is closed, so
        # what was accepted just now gets its rounds of the loop up to its task first.
        for _ in range(5):
            await asyncio.sleep(0)
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    def _asked(self, request: Request) -> None:
        if self._record:
            self._requests.append(request)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer, self._player, self._asked)
        task = asyncio.ensure_future(connection.serve())
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        # One that is cancelled before it begins closes nothing by itself.
        task.add_done_callback(lambda _: writer.close())

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        self._thread = _LoopThread()
        try:
            self._thread.run(self.start())
        except BaseException:
            self._thread.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._thread.run(self.aclose())
            self._thread.stop()
            self._thread = None


class _LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="scripted-model", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
