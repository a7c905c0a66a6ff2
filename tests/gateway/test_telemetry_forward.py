"""The user's own collector goes on getting the logs, and holds nobody up."""

import asyncio
import logging
from typing import Self

import httpx
import pytest

from aideator_gateway.backends.dagger import forward
from aideator_gateway.backends.dagger.feed import Feed
from aideator_gateway.backends.dagger.forward import LogForwarder
from aideator_gateway.backends.dagger.telemetry import LogReceiver
from tests.support.logs import event_line, request


class Collector:
    """Keeps what it was sent, or never answers."""

    def __init__(self, *, answers: bool = True) -> None:
        self.requests: list[tuple[bytes, bytes]] = []
        self._answers = answers
        self._server: asyncio.Server | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/custom/path"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append((head, await reader.readexactly(size)))
                if not self._answers:
                    await reader.read()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def test_bodies_are_passed_on_as_they_came_with_their_headers() -> None:
    async def scene() -> None:
        async with Collector() as collector:
            forwarder = LogForwarder.of_environment(
                {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": collector.url}
            )
            receiver = LogReceiver(forwarder)
            await receiver.start()
            bodies = [request(event_line(seq)).SerializeToString() for seq in (1, 2)]
            async with httpx.AsyncClient() as client:
                for body in bodies:
                    await client.post(receiver.endpoint, content=body, headers={"x-team": "blue"})
                refused = await client.post(receiver.endpoint, content=b"\xff")
                assert refused.status_code == 400
            await receiver.aclose()
            assert [body for _, body in collector.requests] == bodies
            head = collector.requests[0][0]
            assert head.startswith(b"POST /custom/path HTTP/1.1\r\n")
            assert b"x-team: blue" in head

    asyncio.run(scene())


def test_a_collector_that_hangs_delays_nothing_and_takes_no_memory(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(forward, "MAX_WAITING_BYTES", 1000)

    async def scene() -> None:
        async with Collector(answers=False) as collector:
            receiver = LogReceiver(LogForwarder(collector.url))
            await receiver.start()
            feed = Feed("run_a", [1])
            async with httpx.AsyncClient() as client:
                with receiver.following("run_a", feed):
                    for seq in range(1, 11):
                        body = request(event_line(seq)).SerializeToString()
                        async with asyncio.timeout(2):
                            answer = await client.post(receiver.endpoint, content=body)
                        assert answer.status_code == 200
            feed.close()
            assert [event.seq async for event, _ in feed] == list(range(1, 11))
            await receiver.aclose()

    with caplog.at_level(logging.WARNING):
        asyncio.run(scene())
    assert [record.message for record in caplog.records] == [
        "the collector at OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is too slow; some logs were dropped"
    ]


def test_a_collector_that_is_not_there_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        forwarder = LogForwarder("http://127.0.0.1:1/v1/logs")
        forwarder.start()
        forwarder.forward(b"a", {})
        forwarder.forward(b"b", {})
        await forwarder.aclose()

    with caplog.at_level(logging.WARNING):
        asyncio.run(scene())
    assert len(caplog.records) == 1
    assert "ConnectError" in caplog.records[0].message


@pytest.mark.parametrize(
    ("environment", "feeds"),
    [
        ({}, False),
        # The Dagger client sends logs to an endpoint that is named for logs, and only there.
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, False),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://c:4318/v1/logs"}, True),
        (
            {
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://c:4317",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            },
            False,
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://c:4317",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf",
            },
            True,
        ),
    ],
)
def test_which_settings_name_a_collector(environment: dict[str, str], *, feeds: bool) -> None:
    assert (LogForwarder.of_environment(environment) is not None) is feeds
