"""Patches and transcripts are sent few at once; the others wait, and not for ever."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response, StreamingResponse

from aideator_gateway.http.downloads import Downloads
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.problems import Problem
from tests.support.hosted import GET, hosted, reply, rest, until

PIECE, PIECES = bytes(65_536), 40


class Served:
    """An application that is nothing but downloads, and how many there have been at once."""

    def __init__(self, most: int, *, wait_seconds: float) -> None:
        self.metrics = Metrics()
        self.most = self._now = 0
        self._downloads = Downloads(most, self.metrics, wait_seconds=wait_seconds)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._downloads.answer(self._make)(scope, receive, send)
        except Problem as problem:
            await reply(send, problem.code.encode(), 503)

    async def _make(self) -> Response:
        return StreamingResponse(self._pieces(), headers={"connection": "close"})

    async def _pieces(self) -> AsyncIterator[bytes]:
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            for _ in range(PIECES):
                yield PIECE
        finally:
            self._now -= 1

    def figure(self, name: str) -> float:
        lines = self.metrics.text().decode().splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


def test_all_get_what_they_asked_for_few_at_once() -> None:
    async def scenario() -> None:
        app = Served(2, wait_seconds=60)
        async with hosted(app) as host:
            connections = [await host.connect(GET) for _ in range(10)]
            await until(lambda: app.figure("aideator_downloads_waiting") == 8)
            assert app.figure("aideator_downloads_open") == 2
            for found in await asyncio.gather(*(rest(reader) for reader, _ in connections)):
                assert len(found) > PIECES * len(PIECE)
            assert app.most == 2
            for _, writer in connections:
                writer.close()

    asyncio.run(scenario())


def test_one_who_takes_nothing_gives_up_the_turn_and_who_waits_too_long_is_told() -> None:
    async def scenario() -> None:
        app = Served(1, wait_seconds=0.5)
        async with hosted(app, send_seconds=1) as host:
            _, holding = await host.connect(GET, receive_bytes=4096)
            await until(lambda: app.figure("aideator_downloads_open") == 1)
            reader, refused = await host.connect(GET)
            assert b"downloads_busy" in await reader.read(1024)
            await until(lambda: host.cuts == ["send"])
            await until(lambda: app.figure("aideator_downloads_open") == 0)
            reader, served = await host.connect(GET)
            assert len(await rest(reader)) > PIECES * len(PIECE)
            for writer in (holding, refused, served):
                writer.close()

    asyncio.run(scenario())
