"""A server on a socket that was bound before: who calls early waits, who listens hears the end."""

import asyncio
import signal
import socket
from typing import Any

import httpx
import pytest

from aideator_gateway.hosting.server import HostedServer, listen


class Stream:
    """An application that says one word, and another when it is told that the end is near."""

    def __init__(self) -> None:
        self.ending = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await self.ending.wait()
        await send({"type": "http.response.body", "body": b", ended", "more_body": False})


def test_a_call_that_is_early_waits_and_one_that_is_long_hears_the_end() -> None:
    async def scenario() -> bytes:
        app = Stream()

        async def tell() -> None:
            app.ending.set()

        listener = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server = HostedServer(app, listener, grace_seconds=30, before_close=tell)
        async with (
            httpx.AsyncClient(trust_env=False, timeout=60) as client,
            asyncio.TaskGroup() as group,
        ):
            early = group.create_task(client.send(client.build_request("GET", url), stream=True))
            await asyncio.sleep(0.1)
            assert not early.done()
            group.create_task(server.serve())
            answer = await early
            server.handle_exit(signal.SIGTERM, None)
            return await answer.aread()

    assert asyncio.run(scenario()) == b"begun, ended"


def test_a_second_signal_waits_for_nothing() -> None:
    async def scenario() -> bool:
        asked, cancelled = asyncio.Event(), asyncio.Event()

        async def never() -> None:
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        listener = listen("127.0.0.1", 0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server = HostedServer(Stream(), listener, grace_seconds=3600, before_close=never)
        serving = asyncio.create_task(server.serve())
        async with (
            httpx.AsyncClient(trust_env=False, timeout=60) as client,
            client.stream("GET", url),
        ):
            server.handle_exit(signal.SIGINT, None)
            await asked.wait()
            assert not serving.done()
            # Who calls now is told at once, and does not wait for an answer that will not come.
            with pytest.raises(httpx.ConnectError):
                await client.get(url)
            server.handle_exit(signal.SIGTERM, None)
            await asyncio.wait_for(serving, 60)
        return cancelled.is_set()

    assert asyncio.run(scenario())


def test_small_pieces_are_sent_at_once() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
