"""From the event log to Server-Sent Events.

An event's ``id`` is its position in the run's log, so a client that reconnects with
``Last-Event-ID`` gets exactly the rest, from the database, like everybody else.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.types import Receive, Scope, Send

from aideator.protocol import (
    AnyEvent,
    CompletedEvent,
    EndEvent,
    PatchEvent,
    StatusEvent,
    TextEvent,
    ThinkingEvent,
    ToolCallEvent,
    ToolResultEvent,
    UsageEvent,
    parse_line,
)
from gateway.log import EventLog
from gateway.store import Entry

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
    """

    def __init__(self, log: EventLog, run_id: str, after: int) -> None:
        self._log = log
        self._run_id = run_id
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        del scope
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
        sender = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((sender, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sender.cancel()
            leaving.cancel()
            await asyncio.wait((sender, leaving))
        if not sender.cancelled():
            sender.result()

    async def _send(self, send: Send) -> None:
        async for chunk in _with_pings(self._frames()):
            async with asyncio.timeout(SEND_SECONDS):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _frames(self) -> AsyncIterator[bytes]:
        async for entries in self._log.follow(self._run_id, self._after):
            yield b"".join(frame(entry) for entry in entries)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _with_pings(frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
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


def frame(entry: Entry) -> bytes:
    """Return one log entry as an event of the stream, empty if there is nothing to show."""
    if entry.type == "end":
        return _format(entry.position, "end", json.loads(entry.line))
    event = parse_line(entry.line)
    if event is None:
        return b""
    name, data = describe(event)
    return _format(entry.position, name, data)


def _format(position: int, name: str, data: dict[str, Any]) -> bytes:
    text = json.dumps(data, ensure_ascii=False)
    return f"id: {position}\nevent: {name}\ndata: {text}\n\n".encode()


def describe(event: AnyEvent) -> tuple[str, dict[str, Any]]:
    """Return the name and data under which clients see an event of a variation."""
    data: dict[str, Any] = {"variation_id": event.variation}
    if isinstance(event, EndEvent):
        return _describe_end(event, data)
    data["type"] = "agent_output" if isinstance(event, TextEvent) else event.type
    body = event.model_dump(
        mode="json", exclude={"aideator", "run", "variation", "seq", "type", "time", "diff"}
    )
    match event:
        case TextEvent() | ThinkingEvent():
            data["content"] = body.pop("text")
        case StatusEvent():
            data["content"] = body.pop("message")
        case ToolResultEvent():
            data["content"] = body.pop("content")
        case ToolCallEvent() | UsageEvent() | PatchEvent():
            pass
    return "message", data | body | {"time": event.time}


def _describe_end(event: EndEvent, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    data["status"] = event.status
    if isinstance(event, CompletedEvent):
        data |= {"stop_reason": event.stop_reason, "summary": event.summary}
        name = "completion"
    else:
        data |= {"message": event.message, "code": event.code}
        name = "error"
    data |= {
        "turns": event.turns,
        "seconds": event.seconds,
        "usage": event.total.model_dump(),
        "attempt": event.attempt,
        "time": event.time,
    }
    return name, data
