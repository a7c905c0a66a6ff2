"""From the event log to Server-Sent Events.

An event's ``id`` is its position in the run's log, so a client that reconnects with
``Last-Event-ID`` gets exactly the rest, in the same bytes as everybody else.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import aclosing

from starlette.types import Receive, Scope, Send

from aideator_gateway.runs.context import working_on
from aideator_gateway.runs.frames import newest_time
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.storage import StorageError

logger = logging.getLogger(__name__)

PING_SECONDS = 15.0
"""A comment is sent after this much silence, so that proxies keep the connection."""


class EventStream:
    """ASGI response that sends a run's log until it ends or the client leaves.

    A client that does not read is cut off by the server (``hosting``), as in any answer.

    Parameters
    ----------
    log
        Where it comes from.
    run_id
        Whose log.
    after
        Position of the last event the client has.
    metrics
        Counts the clients that read.
    """

    def __init__(self, log: EventLog, run_id: str, after: int, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = log
        self._run_id = run_id
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream; of ``HEAD``, what comes before it."""
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"text/event-stream; charset=utf-8"),
                    (b"cache-control", b"no-store"),
                    (b"x-accel-buffering", b"no"),
                ],
            }
        )
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        with self._metrics.streams_open.track_inprogress(), working_on(self._run_id):
            await self._follow(receive, send)

    async def _follow(self, receive: Receive, send: Send) -> None:
        ending = asyncio.timeout(None)

        def end() -> None:
            """Send no more: the client has left, or is not waited for."""
            if not ending.expired():
                ending.reschedule(asyncio.get_running_loop().time())

        try:
            async with ending:
                watching = asyncio.create_task(_gone(receive, end))
                try:
                    with self._log.cutting(end):
                        await self._send(send)
                finally:
                    watching.cancel()
                    await asyncio.wait([watching])
        except TimeoutError:
            if not ending.expired():
                raise
        except StorageError as error:
            # Status and headers are out: the client comes back, and gets the rest then.
            logger.warning("a reader of %s is cut off: %s", self._run_id, error)

    async def _send(self, send: Send) -> None:
        since = time.time()
        following = self._log.follow(self._run_id, self._after, idle_seconds=PING_SECONDS)
        async with aclosing(following) as segments:
            async for segment in segments:
                body = segment.frames if segment else b": ping\n\n"
                await send({"type": "http.response.body", "body": body, "more_body": True})
                made = newest_time(segment.frames) if segment else None
                # What was there before tells how old it is, and not how fast it came.
                if made is not None and made >= since:
                    self._metrics.token_delay.observe(max(0.0, time.time() - made))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive, end: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    end()
