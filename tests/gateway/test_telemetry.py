"""The receiver of an engine's logs, over real sockets."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from aideator.protocol import EndEvent, ErrorCode
from aideator_gateway.backends.dagger import telemetry
from aideator_gateway.backends.dagger.feed import Feed
from aideator_gateway.backends.dagger.forward import LogForwarder
from aideator_gateway.backends.dagger.telemetry import LogReceiver
from tests.support.logs import STDERR, end_line, event_line, request

Send = Callable[[ExportLogsServiceRequest], Coroutine[Any, Any, None]]


@asynccontextmanager
async def receiving(forwarder: LogForwarder | None = None) -> AsyncIterator[LogReceiver]:
    receiver = LogReceiver(forwarder)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.aclose()


async def received(
    messages: Iterable[ExportLogsServiceRequest], *, variations: int = 1, gaps: bool = False
) -> list[tuple[int, int]]:
    """Send messages and return variation and seq of each event that came out."""
    feed = Feed("run_a", range(1, variations + 1))
    async with receiving() as receiver, httpx.AsyncClient() as client:
        with receiver.following("run_a", feed):
            for message in messages:
                answer = await client.post(receiver.endpoint, content=message.SerializeToString())
                assert answer.status_code == 200, answer.text
                assert not answer.content
    if gaps:
        feed.skip_gaps()
    feed.close()
    return [(event.variation, event.seq) async for event, _ in feed]


def run(messages: Iterable[ExportLogsServiceRequest], **options: Any) -> list[tuple[int, int]]:
    return asyncio.run(received(messages, **options))


def test_every_way_to_split_two_lines_gives_the_same_events() -> None:
    text = event_line(1) + event_line(2, text="Grüße 😀")
    for cut in range(len(text) + 1):
        feed = Feed("run_a", [1])
        receiver = LogReceiver()
        with receiver.following("run_a", feed):
            receiver.take(request(text[:cut], text[cut:]))
            receiver.take(request(end_line(3)))
        assert feed.running == frozenset(), f"cut at {cut}"


def test_a_line_in_single_bytes_is_put_together() -> None:
    line = event_line(1)
    assert run([request(*(bytes([byte]) for byte in line))]) == [(1, 1)]


def test_spans_and_streams_that_interleave_are_kept_apart() -> None:
    first, second = event_line(1, variation=1), event_line(1, variation=2)
    messages = [
        request((1, first[:20])),
        request((2, second[:33])),
        request(b'{"noise": ', stream=STDERR),
        request((1, first[20:])),
        request((2, second[33:])),
    ]
    assert run(messages, variations=2) == [(1, 1), (2, 1)]


def test_doubled_and_reordered_events_come_out_once_and_in_order() -> None:
    lines = [event_line(seq) for seq in (3, 1, 1, 2, 5, 3, 4, 2)]
    again = [(9, line) for line in lines]
    assert run([request(*lines), request(*again)]) == [(1, seq) for seq in range(1, 6)]


def test_what_waits_behind_a_gap_is_held_back_until_the_gap_closes() -> None:
    async def scene() -> None:
        feed = Feed("run_a", [1])
        receiver = LogReceiver()
        events = aiter(feed)
        with receiver.following("run_a", feed):
            receiver.take(request(event_line(1), event_line(3)))
            assert (await anext(events))[0].seq == 1
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(events)
            # The generator that was interrupted is at its end; a new one reads on.
            events = aiter(feed)
            receiver.take(request(event_line(2)))
            assert [(await anext(events))[0].seq for _ in range(2)] == [2, 3]

    asyncio.run(scene())


def test_a_transcript_fills_the_gap_and_nothing_is_told_twice(tmp_path: Path) -> None:
    async def scene() -> list[int]:
        transcript = tmp_path / "transcript.jsonl"
        lines = [event_line(seq) for seq in range(1, 8)] + [end_line(8)]
        # What is no event in a transcript does no harm.
        transcript.write_bytes(b"no event\n" + b"".join(lines))
        feed = Feed("run_a", [1])
        receiver = LogReceiver()
        with receiver.following("run_a", feed):
            receiver.take(request(lines[0], lines[1], lines[4], lines[7]))
            assert feed.running == {1}
            await feed.fill(1, transcript)
            receiver.take(request(*lines))
        assert feed.running == frozenset()
        feed.close()
        return [event.seq async for event, _ in feed]

    assert asyncio.run(scene()) == list(range(1, 9))


def test_a_transcript_cannot_speak_for_another_variation(tmp_path: Path) -> None:
    async def scene() -> frozenset[int]:
        transcript = tmp_path / "transcript.jsonl"
        transcript.write_bytes(end_line(1, variation=2))
        feed = Feed("run_a", [1, 2])
        await feed.fill(1, transcript)
        await feed.fill(1, tmp_path / "missing.jsonl")
        return feed.running

    assert asyncio.run(scene()) == {1, 2}


def test_what_waits_behind_a_gap_that_nothing_fills_is_told_in_the_end() -> None:
    messages = [request(event_line(1), event_line(4), event_line(3), end_line(6))]
    assert run(messages, gaps=True) == [(1, 1), (1, 3), (1, 4), (1, 6)]


def test_nothing_follows_the_end() -> None:
    messages = [request(event_line(1), end_line(2), event_line(3))]
    assert run(messages) == [(1, 1), (1, 2)]


@pytest.mark.parametrize(
    "foreign",
    [
        b"Collecting anthropic\n",
        b'{"level": "info"}\n',
        b'{"aideator": 1}\n',
        b'{"aideator": 1, "run": "run_a"',
        event_line(1, aideator=2),
        event_line(1, run="run_b"),
        event_line(1, variation=7),
        event_line(1, attempt=2),
        event_line(1, type="unknown"),
        event_line(0),
        b"\n\n\r\n",
        b"\xff\xfe\x00\n",
        b"x" * 100_000,
    ],
)
def test_foreign_output_is_let_go(foreign: bytes) -> None:
    assert run([request((5, foreign)), request((6, event_line(1)))]) == [(1, 1)]


def test_a_line_that_a_dead_process_left_unfinished_does_not_spoil_the_next() -> None:
    messages = [request(event_line(1)[:30], eof=True), request(event_line(1))]
    assert run(messages) == [(1, 1)]


def test_records_of_other_kinds_are_let_go() -> None:
    message = request(event_line(1))
    record = message.resource_logs[0].scope_logs[0].log_records.add(span_id=b"\1" * 8)
    record.body.kvlist_value.values.add(key="a")
    message.resource_logs[0].scope_logs[0].log_records.add()
    assert run([message, request(event_line(2))]) == [(1, 1), (1, 2)]


def test_bodies_may_be_gzip_and_what_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "MAX_BODY_BYTES", 10_000)

    async def scene() -> None:
        feed = Feed("run_a", [1])
        good = request(event_line(1)).SerializeToString()
        packed = gzip.compress(good)
        async with receiving() as receiver, httpx.AsyncClient() as client:
            with receiver.following("run_a", feed):
                for body, encoding, status in (
                    (b"\xff\xff\xff", "identity", 400),
                    (good[:-3], "identity", 400),
                    (good, "gzip", 400),
                    (packed[:-9], "gzip", 400),
                    (good, "br", 415),
                    (b"x" * 10_001, "identity", 413),
                    (gzip.compress(b"x" * 1_000_000), "gzip", 413),
                    (packed, "gzip", 200),
                ):
                    answer = await client.post(
                        receiver.endpoint, content=body, headers={"content-encoding": encoding}
                    )
                    assert answer.status_code == status, (encoding, answer.text)
            feed.close()
            assert [event.seq async for event, _ in feed] == [1]

    asyncio.run(scene())


def test_the_path_is_a_secret_on_loopback() -> None:
    async def scene() -> None:
        async with receiving() as one, receiving() as other, httpx.AsyncClient() as client:
            assert one.endpoint.startswith("http://127.0.0.1:")
            body = request(event_line(1)).SerializeToString()
            for url in (
                one.endpoint.rpartition("/")[0],
                one.endpoint[:-1],
                one.endpoint.rpartition("/")[0] + "/" + other.endpoint.rpartition("/")[2],
            ):
                assert (await client.post(url, content=body)).status_code == 404
            assert (await client.get(one.endpoint)).status_code == 405

    asyncio.run(scene())


def test_a_run_that_nobody_follows_is_let_go() -> None:
    async def scene() -> None:
        async with receiving() as receiver, httpx.AsyncClient() as client:
            feed = Feed("run_a", [1])
            with receiver.following("run_a", feed):
                pass
            body = request(event_line(1)).SerializeToString()
            assert (await client.post(receiver.endpoint, content=body)).status_code == 200
            feed.close()
            assert [event async for event in feed] == []

    asyncio.run(scene())


def test_events_without_room_to_wait_are_left_to_the_transcript(tmp_path: Path) -> None:
    async def scene() -> list[int]:
        lines = [event_line(seq, text="x" * 1000) for seq in range(1, 20)] + [end_line(20)]
        transcript = tmp_path / "transcript.jsonl"
        transcript.write_bytes(b"".join(lines))
        feed = Feed("run_a", [1], max_bytes=5000)
        receiver = LogReceiver()
        with receiver.following("run_a", feed):
            receiver.take(request(*lines))
        assert feed.running == {1}
        await feed.fill(1, transcript)
        feed.close()
        return [event.seq async for event, _ in feed]

    assert asyncio.run(scene()) == list(range(1, 21))


def test_a_failed_end_is_an_end() -> None:
    async def scene() -> None:
        feed = Feed("run_a", [1])
        receiver = LogReceiver()
        with receiver.following("run_a", feed):
            receiver.take(
                request(event_line(1, type="failed", code=ErrorCode.OVERLOADED, message="Busy."))
            )
        await feed.wait_ended(1)
        feed.close()
        events = [event async for event, _ in feed]
        assert isinstance(events[0], EndEvent)

    asyncio.run(scene())
