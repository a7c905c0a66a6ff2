"""One connection to the scripted model: HTTP/1.1 on one side, a player on the other."""

import asyncio
import contextlib
import json
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import h11

from aideator_gateway.scripted_model.player import Player, Request
from aideator_gateway.scripted_model.script import Drop, Hang, HttpError
from aideator_gateway.scripted_model.wire import Output, error_body, render

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Longest request that is taken, in bytes; the real API's limit."""

ABOUT = (
    b"This is AIdeator's scripted model: a stand-in that plays scripts over the Messages API. "
    b"It is not an LLM.\n"
)
_LABEL = ("x-scripted-model", "not an LLM; usage is scripted or counted words")


class _Closed(Exception):  # noqa: N818 - a way out, not an error: the connection is at its end
    """Nothing more can be read or sent."""


class Connection:
    """Serves the requests of one client connection, one after the other."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        player: Player,
        record: Callable[[Request], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._player = player
        self._record = record
        self._http = h11.Connection(h11.SERVER)

    async def serve(self) -> None:
        """Answer until either side closes."""
        try:
            while True:
                await self._one()
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    break
                self._http.start_next_cycle()
        except (_Closed, OSError, h11.RemoteProtocolError):
            # The client went away or speaks no HTTP: there is nobody to tell.
            pass
        finally:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    async def _one(self) -> None:
        head = await self._next()
        if not isinstance(head, h11.Request):
            raise _Closed
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        body = bytearray()
        while isinstance(part := await self._next(), h11.Data):
            body += part.data
            if len(body) > MAX_BODY_BYTES:
                await self._error(_refusal(413, f"The limit is {MAX_BODY_BYTES} bytes."))
                raise _Closed
        path = head.target.partition(b"?")[0]
        if path == b"/v1/messages" and head.method == b"POST":
            await self._message(head, bytes(body))
        elif path == b"/" and head.method in (b"GET", b"HEAD"):
            await self._whole(200, [("content-type", "text/plain; charset=utf-8")], ABOUT, head)
        else:
            await self._error(_refusal(404, "Only POST /v1/messages and GET / are played here."))

    async def _message(self, head: h11.Request, body: bytes) -> None:
        request = _request(head, body)
        if isinstance(request, HttpError):
            await self._error(request)
            return
        self._record(request)
        try:
            await self._answer(request)
        finally:
            request.over.set()

    async def _answer(self, request: Request) -> None:
        try:
            outputs = render(self._player.reply(request), request)
        except Exception as error:  # noqa: BLE001 - whatever a player's fault, its client is told
            await self._error(HttpError(500, "api_error", f"The player failed: {error!r}"))
            return
        await self._play(outputs, request)

    async def _play(self, outputs: Iterator[Output], request: Request) -> None:
        kind = (
            "text/event-stream; charset=utf-8"
            if request.body.get("stream")
            else ("application/json")
        )
        started = False
        for output in outputs:
            match output:
                case HttpError():
                    await self._error(output)
                    return
                case Drop(reset):
                    self._drop(reset=reset)
                case Hang():
                    # Until the client closes; the server's own end cancels it.
                    while await self._reader.read(65536):
                        pass
                    raise _Closed
                case bytes():
                    if not started:
                        started = True
                        await self._start(200, [("content-type", kind)])
                    await self._send(h11.Data(output))
                case _:
                    await asyncio.sleep(output)
        if not started:
            await self._start(200, [("content-type", kind)])
        await self._send(h11.EndOfMessage())

    def _drop(self, *, reset: bool) -> None:
        if reset:
            # Closing a socket that must not linger sends RST where FIN would be sent.
            sock: socket.socket = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        raise _Closed

    async def _error(self, error: HttpError) -> None:
        headers = {"content-type": "application/json", **error.headers}
        body = error.body
        if body is None:
            body = error_body(error.type, error.message, error.details)
        await self._whole(error.status, list(headers.items()), body)

    async def _whole(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        head: h11.Request | None = None,
    ) -> None:
        await self._start(status, [*headers, ("content-length", str(len(body)))])
        if head is None or head.method != b"HEAD":
            await self._send(h11.Data(body))
        await self._send(h11.EndOfMessage())

    async def _start(self, status: int, headers: list[tuple[str, str]]) -> None:
        labelled = [*headers, ("request-id", "req_scripted"), _LABEL]
        await self._send(h11.Response(status_code=status, headers=labelled))

    async def _next(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(65536))
        return event

    async def _send(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            self._writer.write(data)
            await self._writer.drain()


def _refusal(status: int, message: str) -> HttpError:
    kinds = {404: "not_found_error", 413: "request_too_large"}
    return HttpError(status, kinds.get(status, "invalid_request_error"), message)


def _request(head: h11.Request, body: bytes) -> Request | HttpError:
    """Return what was asked for, or what is wrong with it."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        return _refusal(400, f"The request body is not valid JSON: {error}")
    if not isinstance(value, dict):
        return _refusal(400, "The request body must be a JSON object.")
    messages = value.get("messages")
    if not isinstance(messages, list) or not messages:
        return _refusal(400, "messages: a list of at least one message is required.")
    if not all(isinstance(message, dict) for message in messages):
        return _refusal(400, "messages: every message must be an object.")
    headers = {name.decode("latin-1"): text.decode("latin-1") for name, text in head.headers}
    variation = headers.get("x-aideator-variation", "")
    return Request(
        variation=int(variation) if re.fullmatch(r"[0-9]{1,9}", variation) else None,
        run=headers.get("x-aideator-run"),
        body=value,
        headers=headers,
        time=time.time(),
    )
