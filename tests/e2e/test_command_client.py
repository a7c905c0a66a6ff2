"""The command's client of the API, against a server that says what the test wants it to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from aideator_gateway.command.api_error import ApiError
from aideator_gateway.command.client import Client
from aideator_gateway.command.datadir import Address

FIRST = b'id: 1\nevent: message\ndata: {"n": 1}\n\n'
SECOND = b'id: 2\nevent: message\ndata: {"n": 2}\n\n'
END = b'id: 3\nevent: end\ndata: {"status": "completed"}\n\n'
PING = b": ping\n\n"


@contextmanager
def answering(*bodies: bytes) -> Iterator[tuple[Address, list[str | None]]]:
    """Serve one body of a stream for each connection, and collect their Last-Event-ID."""
    asked: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Last-Event-ID"])
            body = bodies[len(asked) - 1] if len(asked) <= len(bodies) else b""
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            # More than is sent: the connection breaks off before the end.
            self.send_header("Content-Length", str(len(body) + (not body.endswith(END))))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Address(f"http://127.0.0.1:{server.server_port}", None), asked
        finally:
            server.shutdown()
            thread.join()


def test_a_comment_between_events_is_no_event() -> None:
    with answering(FIRST + PING + SECOND + PING + END) as (address, _), Client(address) as client:
        events = list(client.stream("run_x"))
    assert events == [
        ("message", {"n": 1}),
        ("message", {"n": 2}),
        ("end", {"status": "completed"}),
    ]


def test_a_stream_that_breaks_is_taken_up_behind_the_last_event() -> None:
    with answering(FIRST, SECOND, END) as (address, asked), Client(address) as client:
        events = [data.get("n") for _, data in client.stream("run_x")]
    assert events == [1, 2, None]
    assert asked == [None, "1", "2"]


def test_a_stream_that_stays_broken_is_an_error() -> None:
    with (
        answering() as (address, asked),
        Client(address, patience=1.0) as client,
        pytest.raises(ApiError, match="does not answer"),
    ):
        list(client.stream("run_x"))
    assert len(asked) > 2


def test_who_is_away_is_told_once_each_time() -> None:
    told: list[str] = []
    with (
        answering(FIRST, b"", b"", SECOND, b"", b"", b"", END) as (address, _),
        Client(address, patience=30.0) as client,
    ):
        events = client.stream("run_x", told.append)
        assert [data.get("n") for _, data in events] == [1, 2, None]
    assert len(told) == 2
    assert told[0].endswith("it is waited for 30 s")
    assert not events.away


def test_a_stream_that_was_left_goes_on_behind_the_last_event() -> None:
    with answering(FIRST + SECOND, END) as (address, asked), Client(address) as client:
        events = client.stream("run_x")
        assert next(iter(events)) == ("message", {"n": 1})
        assert [name for name, _ in events] == ["end"]
    assert asked == [None, "1"]


@pytest.mark.parametrize("body", [b"id: 1\nevent: message\ndata: {\n\n", b"data: 1\n\n"])
def test_what_is_no_stream_of_ours_is_an_error(body: bytes) -> None:
    with (
        answering(body) as (address, _),
        Client(address) as client,
        pytest.raises(ApiError, match="use the same version of both"),
    ):
        list(client.stream("run_x"))
