"""Live events out of a Dagger engine, which exports what containers print as OpenTelemetry logs.

The client that holds the engine's session sends them here: OTLP over HTTP, protobuf, on a
loopback port, under a path nobody can guess. A log record is a chunk of what one process
printed to one stream, not a line; the same text may come again under other spans. So lines
are put together for each span and stream, those that are events go to the run they name,
and everything else is let go.
"""

import asyncio
import contextlib
import logging
import secrets
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # has no stubs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from aideator.protocol import parse_line
from aideator_gateway.backends.dagger.feed import Feed
from aideator_gateway.backends.dagger.forward import LogForwarder
from aideator_gateway.backends.dagger.lines import LineJoiner
from aideator_gateway.hosting.limits import ConnectionLimits
from aideator_gateway.hosting.server import HostedServer, listen

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Longest request that is taken, in bytes, before and after decompression."""

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]

_STREAM = "stdio.stream"
_EOF = "stdio.eof"


class LogReceiver:
    """Receives the logs of engine sessions and hands events to the runs that they name.

    Parameters
    ----------
    forwarder
        Passes every request on to the user's own collector; ``None`` if there is none.
    """

    def __init__(self, forwarder: LogForwarder | None = None) -> None:
        self._path = f"/v1/logs/{secrets.token_urlsafe(32)}"
        self._forwarder = forwarder
        self._joiner = LineJoiner()
        self._feeds: dict[str, Feed] = {}
        self._server: HostedServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._port = 0

    @property
    def endpoint(self) -> str:
        """The URL that logs are to be sent to; known once started. It is a secret."""
        return f"http://127.0.0.1:{self._port}{self._path}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes a Dagger client send its session's logs here."""
        return {
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": self.endpoint,
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf",
        }

    async def start(self) -> None:
        """Listen on a free loopback port."""
        listener = listen("127.0.0.1", 0)
        self._port = listener.getsockname()[1]
        limits = ConnectionLimits(body_bytes=2 * MAX_BODY_BYTES)
        self._server = HostedServer(self._answer, listener, grace_seconds=1, limits=limits)
        self._serving = asyncio.create_task(self._server.serve(), name="log receiver")
        if self._forwarder is not None:
            self._forwarder.start()

    async def aclose(self) -> None:
        """Stop listening."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await asyncio.wait([self._serving])
        if self._forwarder is not None:
            await self._forwarder.aclose()

    @contextlib.contextmanager
    def following(self, run_id: str, feed: Feed) -> Iterator[None]:
        """Hand the events of a run to ``feed`` while the block runs."""
        self._feeds[run_id] = feed
        try:
            yield
        finally:
            del self._feeds[run_id]

    async def _answer(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer one request, as an ASGI application: a framework is not worth its one path."""
        try:
            await self._take_request(scope, receive)
            # An empty ExportLogsServiceResponse has no bytes.
            status, body, media_type = 200, b"", b"application/x-protobuf"
        except _Refusal as refusal:
            status, body, media_type = refusal.status, str(refusal).encode(), b"text/plain"
        headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _take_request(self, scope: _Message, receive: _Receive) -> None:
        if not secrets.compare_digest(scope["path"].encode(), self._path.encode()):
            raise _Refusal(404, "There is nothing here.")
        if scope["method"] != "POST":
            raise _Refusal(405, "Logs are sent with POST.")
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        body = await _read(receive)
        try:
            message = ExportLogsServiceRequest.FromString(
                _decoded(body, headers.get("content-encoding", "identity"))
            )
        except DecodeError:
            raise _Refusal(400, "This is no OTLP logs request in protobuf.") from None
        if self._forwarder is not None:
            self._forwarder.forward(body, headers)
        self.take(message)

    def take(self, message: ExportLogsServiceRequest) -> None:
        """Hand on the events in a message."""
        for resource in message.resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    self._take_record(record)

    def _take_record(self, record: LogRecord) -> None:
        stream = 0
        ended = False
        for attribute in record.attributes:
            if attribute.key == _STREAM:
                stream = attribute.value.int_value
            elif attribute.key == _EOF:
                ended = attribute.value.bool_value
        writer = (record.trace_id, record.span_id, stream)
        for line in self._joiner.add(writer, _text(record)):
            self._take_line(line)
        if ended:
            self._joiner.forget(writer)

    def _take_line(self, line: bytes) -> None:
        event = parse_line(line) if b'"aideator"' in line else None
        feed = self._feeds.get(event.run) if event is not None else None
        if event is not None and feed is not None:
            feed.add(event, line.rstrip(b"\r"))


class _Refusal(Exception):  # noqa: N818 - an answer to one request, not an error of ours
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


_TOO_LARGE = _Refusal(413, f"At most {MAX_BODY_BYTES} bytes are taken.")


async def _read(receive: _Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Refusal(400, "The request ends in the middle of its body.")
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _TOO_LARGE
        if not message.get("more_body"):
            return bytes(body)


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise _Refusal(415, f"Content-Encoding {encoding!r} is not known; use gzip or none.")
    expander = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        text = expander.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error:
        raise _Refusal(400, "The body is not gzip.") from None
    if len(text) > MAX_BODY_BYTES:
        raise _TOO_LARGE
    if not expander.eof:
        raise _Refusal(400, "The body ends in the middle of its gzip stream.")
    return text


def _text(record: LogRecord) -> bytes:
    match record.body.WhichOneof("value"):
        case "string_value":
            return record.body.string_value.encode()
        case "bytes_value":
            return record.body.bytes_value
    return b""
