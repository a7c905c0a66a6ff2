"""From the event log to Server-Sent Events.

An event's ``id`` is its position in the run's log, so a client that reconnects with
``Last-Event-ID`` gets exactly the rest, in the same bytes as everybody else.
"""

import asyncio
import logging
import time
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

SEND_SECONDS = 30.0
"""A client that takes longer than this to take what it was sent is cut off."""


class EventStream:
    """ASGI response that sends a run's log until it ends or the client leaves.

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
        patience = _Patience()
        try:
            async with patience.scope:
                watching = asyncio.create_task(_gone(receive, patience))
                try:
                    with self._log.cutting(patience.end):
                        await self._send(send, patience)
                finally:
                    watching.cancel()
                    await asyncio.wait([watching])
        except TimeoutError:
            if not patience.ended:
                logger.info(
                    "a reader of %s took nothing for %s s: cut off", self._run_id, SEND_SECONDS
                )
        except StorageError as error:
            # Status and headers are out: the client comes back, and gets the rest then.
            logger.warning("a reader of %s is cut off: %s", self._run_id, error)

    async def _send(self, send: Send, patience: "_Patience") -> None:
        since = time.time()
        following = self._log.follow(self._run_id, self._after, idle_seconds=PING_SECONDS)
        async with aclosing(following) as segments:
            async for segment in segments:
                body = segment.frames if segment else b": ping\n\n"
                patience.begin()
                await send({"type": "http.response.body", "body": body, "more_body": True})
                patience.pause()
                made = newest_time(segment.frames) if segment else None
                # What was there before tells how old it is, and not how fast it came.
                if made is not None and made >= since:
                    self._metrics.token_delay.observe(max(0.0, time.time() - made))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Patience:
    """What ends a stream early: its client leaves, takes nothing, or is not waited for."""

    def __init__(self) -> None:
        self.scope = asyncio.timeout(None)
        self.ended = False

    def begin(self) -> None:
        """Give the client time to take what it is sent."""
        if not self.ended:
            self.scope.reschedule(asyncio.get_running_loop().time() + SEND_SECONDS)

    def pause(self) -> None:
        """Wait for as long as there is nothing to send."""
        if not self.ended:
            self.scope.reschedule(None)

    def end(self) -> None:
        """Have none at all any more."""
        if not self.ended and not self.scope.expired():
            self.ended = True
            self.scope.reschedule(asyncio.get_running_loop().time())


async def _gone(receive: Receive, patience: _Patience) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    patience.end()
