"""From the event log to Server-Sent Events.

An event's ``id`` is its position in the run's log, so a client that reconnects with
``Last-Event-ID`` gets exactly the rest, from the database, like everybody else.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from aideator.protocol import parse_line
from aideator_gateway.http.sse import Checked, End, describe
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.stored import Entry
from aideator_gateway.waiting import unless

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
        Where entries come from.
    run_id
        Whose log.
    after
        Position of the last entry the client has.
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
        left = asyncio.Event()
        watching = [
            asyncio.create_task(_gone(receive, left)),
            asyncio.create_task(_cut(self._log.cut, left)),
        ]
        try:
            with self._metrics.streams_open.track_inprogress():
                await unless(left, self._send(send))
        except TimeoutError:
            logger.info("a reader of %s took nothing for %s s: cut off", self._run_id, SEND_SECONDS)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)

    async def _send(self, send: Send) -> None:
        async with aclosing(_with_pings(self._frames())) as chunks:
            async for chunk in chunks:
                async with asyncio.timeout(SEND_SECONDS):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _frames(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._log.follow(self._run_id, self._after)) as groups:
            async for entries in groups:
                yield b"".join(frame(entry) for entry in entries)


async def _gone(receive: Receive, left: asyncio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    left.set()


async def _cut(cut: asyncio.Event, left: asyncio.Event) -> None:
    await cut.wait()
    left.set()


async def _with_pings(frames: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Pass ``frames`` on, with a comment whenever there was none for a while."""
    following = asyncio.ensure_future(anext(frames))
    try:
        while True:
            done, _ = await asyncio.wait((following,), timeout=PING_SECONDS)
            if not done:
                yield b": ping\n\n"
                continue
            try:
                chunk = following.result()
            except StopAsyncIteration:
                return
            yield chunk
            following = asyncio.ensure_future(anext(frames))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await frames.aclose()


def frame(entry: Entry) -> bytes:
    """Return one log entry as an event of the stream, empty if there is nothing to show."""
    if entry.type == "end":
        data: BaseModel = End.model_validate_json(entry.line)
        name = "end"
    elif entry.type == "check":
        found = {**json.loads(entry.line), "variation_id": entry.variation_id}
        data, name = Checked.model_validate(found), "check"
    else:
        event = parse_line(entry.line)
        if event is None:
            return b""
        name, data = describe(event)
    # Only what this type of event does not have is left out; an unknown cost stays null.
    body = {key: value for key, value in data.model_dump(mode="json").items() if value is not None}
    text = json.dumps(body, ensure_ascii=False)
    return f"id: {entry.position}\nevent: {name}\ndata: {text}\n\n".encode()
