"""What a client can make a server wait for or keep has a limit, with a token or without one."""

import asyncio
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable
from typing import Any

import pytest

from aideator_gateway.hosting.server import UNSENT_BYTES
from tests.support.hosted import GET, Hosted, answer, hosted, reply, rest, until

LENGTH = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
LONG = 3600
"""Seconds that no test takes."""


def run(scenario: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(90):
            await scenario

    asyncio.run(bounded())


class Endless:
    """An application that sends and sends, and notes how that ends."""

    def __init__(self, piece: bytes = bytes(16_384)) -> None:
        self.ended = asyncio.Event()
        self._piece = piece

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del scope
        await send({"type": "http.response.start", "status": 200, "headers": []})
        sending = asyncio.create_task(self._send(send))
        while (await receive())["type"] != "http.disconnect":
            pass
        sending.cancel()
        self.ended.set()

    async def _send(self, send: Any) -> None:
        while True:
            await send({"type": "http.response.body", "body": self._piece, "more_body": True})
            await asyncio.sleep(0)


async def trickle(writer: asyncio.StreamWriter, piece: bytes, *, pause: float = 0.05) -> None:
    """Send a little every now and then, as long as that is possible."""
    try:
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
    except ConnectionError:
        pass


SLOW = {
    # what the client sends, what it goes on with, the limit, what it is told
    "nothing": (b"", b"", "keep_alive_seconds", "idle", b""),
    "empty lines": (b"\r\n", b"\r\n", "keep_alive_seconds", "idle", b""),
    "nothing behind an answer": (GET, b"", "keep_alive_seconds", "idle", b"fine"),
    "empty lines behind an answer": (GET, b"\r\n", "keep_alive_seconds", "idle", b"fine"),
    "half a head": (GET[:-2] + b"x: ", b"", "header_seconds", "header", b" 408 "),
    "a head, bit by bit": (GET[:-2] + b"x: ", b"a", "header_seconds", "header", b" 408 "),
    "a second head, bit by bit": (GET + GET[:-2], b"a", "header_seconds", "header", b" 408 "),
    "no body": (LENGTH % 99999, b"", "body_seconds", "body", b" 408 "),
    "a body, bit by bit": (LENGTH % 99999, b"a", "body_seconds", "body", b" 408 "),
    "a body in chunks": (CHUNKED, b"1\r\na\r\n", "body_seconds", "body", b" 408 "),
}


@pytest.mark.parametrize("case", SLOW)
def test_a_client_that_is_slow_is_not_waited_for(case: str) -> None:
    first, more, limit, reason, told = SLOW[case]
    limits: dict[str, Any] = {
        "keep_alive_seconds": LONG, "header_seconds": LONG, "body_seconds": LONG, limit: 0.3,
    }  # fmt: skip

    async def scenario() -> None:
        async with hosted(answer, **limits) as host:
            began = time.monotonic()
            reader, writer = await host.connect(first)
            trickling = asyncio.create_task(trickle(writer, more))
            said = await rest(reader)
            trickling.cancel()
            assert time.monotonic() - began >= 0.3
            assert told in said
            assert bool(said) == bool(told)
            assert host.cuts == [reason]
            writer.close()

    run(scenario())


def test_what_is_left_of_a_body_behind_its_answer_is_not_waited_for() -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await reply(send, b"no", 401)

    async def scenario() -> None:
        async with hosted(refuse, body_seconds=0.3) as host:
            reader, writer = await host.connect(LENGTH % 99999)
            trickling = asyncio.create_task(trickle(writer, b"a"))
            assert b" 401 " in await rest(reader)
            assert host.cuts == ["body"]
            trickling.cancel()
            writer.close()

    run(scenario())


def test_a_large_body_that_is_refused_is_thrown_away_and_the_answer_arrives() -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await reply(send, b"too much", 413)

    async def scenario() -> None:
        async with hosted(refuse) as host:
            reader, writer = await host.connect(LENGTH % 10_000_000)
            writer.write(bytes(9_000_000))
            await writer.drain()
            assert (await rest(reader)).endswith(b"too much")
            assert host.cuts == []
            writer.close()

    run(scenario())


def test_an_application_hears_that_a_body_does_not_come() -> None:
    heard = asyncio.Queue[str]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, send
        while (message := await receive())["type"] != "http.disconnect":
            heard.put_nowait(message["type"])
        heard.put_nowait("left")

    async def scenario() -> None:
        async with hosted(app, body_seconds=0.3) as host:
            reader, writer = await host.connect(LENGTH % 99999 + b"a")
            assert b" 408 " in await rest(reader)
            assert [await heard.get(), await heard.get()] == ["http.request", "left"]
            writer.close()

    run(scenario())


TOO_MUCH = {
    "many headers": GET[:-2] + b"a: b\r\n" * 101,
    "a large header": GET[:-2] + b"a: " + b"b" * 400_000,
    "a long address": b"GET /" + b"a" * 400_000,
    "many requests at once": GET * 100,
    "many headers behind a body": CHUNKED + b"0\r\n" + b"a: b\r\n" * 101,
}


@pytest.mark.parametrize("case", TOO_MUCH)
def test_no_more_is_kept_of_a_request_than_is_sensible(case: str) -> None:
    async def waits(scope: Any, receive: Any, send: Any) -> None:
        del scope, send
        while (await receive())["type"] != "http.disconnect":
            pass

    async def scenario() -> None:
        async with hosted(waits) as host:
            reader, writer = await host.connect(TOO_MUCH[case])
            assert b" 400 " in await rest(reader)
            writer.close()

    run(scenario())


def test_a_body_beyond_what_is_read_ends_the_connection() -> None:
    async def reads(scope: Any, receive: Any, send: Any) -> None:
        del scope, send
        while (await receive())["type"] != "http.disconnect":
            pass

    async def scenario() -> None:
        async with hosted(reads, body_bytes=100_000, body_seconds=LONG) as host:
            reader, writer = await host.connect(CHUNKED)
            # Ends with the connection, and with nothing else.
            await trickle(writer, b"1000\r\n" + bytes(4096) + b"\r\n", pause=0)
            assert host.cuts == ["body"]
            assert await rest(reader) == b""
            writer.close()

    run(scenario())


def test_a_reader_that_takes_nothing_is_cut_off() -> None:
    async def scenario() -> None:
        app = Endless()
        async with hosted(app, send_seconds=1) as host:
            _, writer = await host.connect(GET, receive_bytes=4096)
            await until(lambda: host.server.open_connections == 1)
            await asyncio.wait_for(app.ended.wait(), 30)
            assert host.cuts == ["send"]
            assert host.server.open_connections == 0
            writer.close()

    run(scenario())


def test_a_reader_is_given_time_from_the_first_byte_on() -> None:
    async def scenario() -> None:
        async with hosted(Endless(), send_seconds=LONG) as host:
            _, writer = await host.connect(GET, receive_bytes=4096)
            await asyncio.sleep(1.5)
            assert host.server.open_connections == 1
            assert host.cuts == []
            writer.close()

    run(scenario())


def test_one_that_has_been_answered_and_takes_nothing_is_cut_off() -> None:
    """The application is through and uvicorn waits for what will never be taken."""

    async def scenario() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            del scope, receive
            await reply(send, bytes(10_000_000))

        async with hosted(app, send_seconds=1) as host:
            last = b"GET / HTTP/1.0\r\nhost: x\r\n\r\n"
            connections = [await host.connect(last, receive_bytes=4096) for _ in range(3)]
            await until(lambda: host.cuts == ["send"] * 3)
            assert host.server.open_connections == 0
            for _, writer in connections:
                writer.close()

    run(scenario())


def test_a_reader_that_is_slow_is_waited_for() -> None:
    async def scenario() -> None:
        app = Endless()
        async with hosted(app, send_seconds=1) as host:
            reader, writer = await host.connect(GET, receive_bytes=65_536)
            began, taken = time.monotonic(), 0
            while time.monotonic() - began < 3:
                taken += len(await reader.read(50_000))
                await asyncio.sleep(0.05)
            assert taken > 500_000
            assert host.cuts == []
            assert not app.ended.is_set()
            writer.close()
            await asyncio.wait_for(app.ended.wait(), 30)

    run(scenario())


def test_a_silent_stream_is_no_silent_client() -> None:
    async def scenario() -> None:
        kinds = ("keep_alive", "header", "body", "send")
        limits: dict[str, Any] = {f"{kind}_seconds": 0.3 for kind in kinds}
        async with hosted(streams, **limits) as host:
            reader, writer = await host.connect(GET)
            assert b"200 OK" in await reader.read(1024)
            await asyncio.sleep(2)
            assert host.server.open_connections == 1
            writer.close()
            await until(lambda: host.server.open_connections == 0)
            assert host.cuts == []

    run(scenario())


def test_an_application_may_break_off(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks_off(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})

    async def scenario() -> None:
        async with hosted(breaks_off) as host:
            reader, writer = await host.connect(GET)
            assert not (await rest(reader)).endswith(b"0\r\n\r\n")
            await until(lambda: host.server.open_connections == 0)
            writer.close()

    with caplog.at_level(logging.DEBUG, "uvicorn"):
        run(scenario())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def streams(scope: Any, receive: Any, send: Any) -> None:
    """Begin an answer and go on with it for as long as the client is there."""
    del scope
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass


async def full(scope: Any, receive: Any, send: Any) -> None:
    """Answer as where there is no room."""
    del scope, receive
    await reply(send, b"full", 503)


async def connected(host: Hosted, first: bytes, count: int) -> list[asyncio.StreamWriter]:
    found = []
    for number in range(count):
        _, writer = await host.connect(first)
        found.append(writer)
        await until(lambda number=number: host.server.open_connections > number)  # type: ignore[misc]
    return found


def test_whoever_is_silent_gives_way_to_who_is_not() -> None:
    async def scenario() -> None:
        async with hosted(streams, overflow=full, connections=5) as host:
            silent = await connected(host, b"", 5)
            for _ in range(5):
                reader, writer = await host.connect(GET)
                assert b"200 OK" in await reader.read(1024)
                silent.append(writer)
            assert host.cuts == ["replaced"] * 5
            assert host.server.open_connections == 5
            for writer in silent:
                writer.close()

    run(scenario())


def test_where_all_are_busy_others_are_told_so_and_few_of_them_wait() -> None:
    async def scenario() -> None:
        async with hosted(streams, overflow=full, connections=3) as host:
            busy = []
            for _ in range(3):
                reader, writer = await host.connect(GET)
                assert b"200 OK" in await reader.read(1024)
                busy.append(writer)
            reader, writer = await host.connect(GET)
            assert b"503" in await reader.read(1024)
            busy.append(writer)
            busy += [(await host.connect())[1] for _ in range(60)]
            await until(lambda: host.cuts.count("replaced") >= 40)
            assert host.server.open_connections <= 3 + 16
            for writer in busy:
                writer.close()

    run(scenario())


def test_without_words_for_it_others_are_closed() -> None:
    async def scenario() -> None:
        async with hosted(streams, connections=1) as host:
            reader, first = await host.connect(GET)
            assert b"200 OK" in await reader.read(1024)
            reader, second = await host.connect(GET)
            assert await rest(reader) == b""
            assert host.cuts == ["refused"]
            first.close()
            second.close()

    run(scenario())


def test_the_system_keeps_little_for_a_client_and_gives_up_one_that_is_gone() -> None:
    async def scenario() -> None:
        async with hosted(answer, send_seconds=7) as host:
            listener = host.server._listener
            kept = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
            gone = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert (kept, gone) == (UNSENT_BYTES, 17_000)

    run(scenario())


def test_room_is_made_from_the_limit_of_open_files() -> None:
    program = (
        "import resource\n"
        "from aideator_gateway.hosting.limits import room_for_connections\n"
        "for files in (1024, 300, 128):\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))\n"
        "    print(room_for_connections())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["768", "100", "43"]
