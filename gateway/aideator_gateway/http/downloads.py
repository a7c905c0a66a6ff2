"""Patches and transcripts, few at once, however many are asked for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.problems import Problem

WAIT_SECONDS = 30.0
RETRY_SECONDS = 30


class Downloads:
    """Lets few large answers be made and sent at once.

    Parameters
    ----------
    most
        How many.
    metrics
        Counts those that are sent, and those that wait.
    wait_seconds
        How long a request waits for its turn before it is refused.
    """

    def __init__(self, most: int, metrics: Metrics, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._turns = asyncio.Semaphore(most)
        self._metrics = metrics
        self._wait_seconds = wait_seconds

    def answer(self, make: Callable[[], Awaitable[Response]]) -> ASGIApp:
        """Return the answer that is made by ``make``, when its turn comes."""

        async def download(scope: Scope, receive: Receive, send: Send) -> None:
            async with self._turn():
                response = await make()
                await response(scope, receive, send)

        return download

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for a turn and have it until the client has what it asked for.

        Raises
        ------
        Problem
            If there is none for too long.
        """
        try:
            with self._metrics.downloads_waiting.track_inprogress():
                async with asyncio.timeout(self._wait_seconds):
                    await self._turns.acquire()
        except TimeoutError:
            raise Problem(
                "downloads_busy",
                "As many patches and transcripts are being sent as may be at once: send the "
                "request again later, or start the server with a higher --max-downloads.",
                retry_after=RETRY_SECONDS,
            ) from None
        try:
            with self._metrics.downloads_open.track_inprogress():
                yield
        finally:
            self._turns.release()
