"""How fast the event log takes events, and how fast its readers get them, beside peers.

Everything is in one process and on one disk, and stays on 127.0.0.1. Ours and the peers take
turns, so that a machine that becomes slower meets all of them.

- ingest: events of 200 bytes into the log, committed durably, against raw ``executemany`` in
  batches of 1,000 with ``synchronous=FULL``.
- replay: one reader gets a stored log over HTTP, with the time to its first byte.
- delivery: readers who follow live and readers who replay, all at once over HTTP, against
  sse-starlette sending events of the same size to as many readers, and against a bare ASGI
  application that sends the same bytes in chunks of 64 KiB, as the ceiling; and against nginx
  with nchan where it is installed, whose server is a process of its own beside the readers'.
"""

import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aideator.protocol import TextEvent, parse_line
from aideator_gateway.hosting.server import HostedServer, listen
from aideator_gateway.http.stream import EventStream
from aideator_gateway.runs.frames import frame, numbered
from aideator_gateway.runs.log import EventLog
from aideator_gateway.runs.metrics import Metrics
from aideator_gateway.runs.records import as_line, as_record
from aideator_gateway.runs.store import Store
from benchmarks import nchan
from tests.support.event_logs import END, opened_log

BATCH = 1000
ROUND: dict[str, float] = {}


def event(seq: int) -> TextEvent:
    """Return an event whose line has about 200 bytes."""
    return TextEvent(
        run="a", variation=1, seq=seq, time=1.7e9, type="text", turn=1, text="word " * 16
    )


def note(name: str, value: float) -> None:
    """Keep a figure of this round."""
    ROUND[name] = value


async def fill(log: EventLog, run_id: str, lines: list[bytes]) -> None:
    """Take an agent's lines as a backend does, and wait until they and an end are committed."""
    for line in lines:
        said = parse_line(line)
        assert said is not None
        await log.append(run_id, 1, as_record(said, line))
    await (await log.append(run_id, None, END, final=True))


def raw_ingest(path: Path, count: int) -> float:
    """Return events a second of SQLite alone."""
    line = as_line(event(1)).decode()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(
            "CREATE TABLE event (run_id TEXT, position INTEGER, variation_id INTEGER, type TEXT,"
            " line TEXT, PRIMARY KEY (run_id, position))"
        )
        began = time.perf_counter()
        for batch in range(count // BATCH):
            rows = [("a", batch * BATCH + n, 1, "text", line) for n in range(BATCH)]
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", rows)
            database.execute("COMMIT")
        return count / (time.perf_counter() - began)


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """Serve an application, and give its port."""
    listener = listen("127.0.0.1", 0)
    server = HostedServer(app, listener, grace_seconds=1)
    serving = asyncio.create_task(server.serve())
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def read(port: int, path: str, last: bytes) -> tuple[float, int]:
    """Read a stream to its last event; return seconds to the first byte of it, and bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    began = time.perf_counter()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head, head
    first, total, rest = 0.0, 0, b""
    while True:
        part = await reader.read(2**18)
        assert part, "the stream ended early"
        first = first or time.perf_counter() - began
        total += len(part)
        if last in rest + part:
            break
        rest = part[-100:]
    writer.close()
    return first, total


async def replay(directory: Path, count: int) -> None:
    """Note how fast one reader gets a stored log."""
    store = Store(directory / "replay.db")
    async with opened_log(store, "a") as log:
        lines = [as_line(event(seq)) for seq in range(1, count + 1)]
        began = time.perf_counter()
        await fill(log, "a", lines)
        note("ingest, events/s", count / (time.perf_counter() - began))
        log.forget("a")

        async def stream(request: Request) -> Any:
            del request
            return EventStream(log, "a", 0, Metrics())

        async with served(Starlette(routes=[Route("/", stream)])) as port:
            began = time.perf_counter()
            first, _ = await read(port, "/", b"event: end")
            note("replay, events/s", count / (time.perf_counter() - began))
            note("replay, ms to the first byte", first * 1000)


async def deliver(directory: Path, count: int, live: int, late: int) -> None:
    """Note how many events a second readers get together, some of them live."""
    store = Store(directory / "deliver.db")
    lines = [as_line(event(seq)) for seq in range(1, count + 1)]
    async with opened_log(store, "old", "new") as log:
        await fill(log, "old", lines)
        log.forget("old")

        async def stream(request: Request) -> Any:
            return EventStream(log, request.path_params["run"], 0, Metrics())

        async with served(Starlette(routes=[Route("/{run}", stream)])) as port:
            began = time.perf_counter()
            paths = ["/new"] * live + ["/old"] * late
            readers = [asyncio.create_task(read(port, path, b"event: end")) for path in paths]
            await fill(log, "new", lines)
            await asyncio.gather(*readers)
            note("delivery, events/s", (live + late) * count / (time.perf_counter() - began))


async def deliver_sse_starlette(count: int, readers: int) -> None:
    """Note how many events a second as many readers get from sse-starlette."""
    data = as_line(event(1)).decode()

    async def events() -> AsyncIterator[dict[str, Any]]:
        for number in range(1, count + 1):
            yield {"id": str(number), "event": "message", "data": data}
        yield {"event": "end", "data": "{}"}

    async def stream(request: Request) -> Response:
        del request
        return EventSourceResponse(events())

    async with served(Starlette(routes=[Route("/", stream)])) as port:
        began = time.perf_counter()
        await asyncio.gather(*(read(port, "/", b"event: end") for _ in range(readers)))
        note("sse-starlette, events/s", readers * count / (time.perf_counter() - began))


async def deliver_bare(count: int, readers: int) -> None:
    """Note how many events a second as many readers get from an application that only sends."""
    chunk = b"".join(numbered(number, frame(event(1))) for number in range(320))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(count // 320):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"event: end"})

    async with served(app) as port:
        began = time.perf_counter()
        await asyncio.gather(*(read(port, "/", b"event: end") for _ in range(readers)))
        sent = readers * (count // 320) * 320
        note("bare ASGI, events/s", sent / (time.perf_counter() - began))


def in_own_directory(measure: Callable[[Path], Coroutine[Any, Any, None]]) -> None:
    """Measure with files that are gone afterwards."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        asyncio.run(measure(Path(name)))


def measure(events: int, delivered: int) -> dict[str, float]:
    """Measure everything once, ours and the peers in turns."""
    ROUND.clear()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        note("raw executemany, events/s", raw_ingest(Path(name) / "raw.db", events))
    in_own_directory(lambda path: replay(path, events))
    in_own_directory(lambda path: deliver(path, delivered, 50, 50))
    ROUND.update(nchan.measure(as_line(event(1)), delivered))
    # It is slow enough to be measured with fewer.
    asyncio.run(deliver_sse_starlette(delivered // 10, 100))
    asyncio.run(deliver_bare(delivered, 100))
    found = dict(ROUND)
    found["ingest, of raw executemany"] = (
        found["ingest, events/s"] / found["raw executemany, events/s"]
    )
    found["delivery, times sse-starlette"] = (
        found["delivery, events/s"] / found["sse-starlette, events/s"]
    )
    return found


if __name__ == "__main__":
    for name, value in measure(100_000, 10_000).items():
        print(f"{name}: {value:,.2f}")
