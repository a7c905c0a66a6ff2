"""What a real gateway does for many readers: delay of a token, memory of a reader, leaving.

A gateway with the local backend, a scripted model and readers, each in a process of its own, all
on 127.0.0.1.

- delay: five variations say 200 tokens a second each, for ten seconds; every token carries the
  time at which it left the model's server, and fifty readers note when it arrives.
- memory: what a thousand readers of a run that says nothing add to the gateway, each.
- leaving: how long the gateway takes to end after SIGTERM with a thousand streams open.
"""

import asyncio
import json
import multiprocessing
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent))

from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.gateways import Gateway, serving
from tests.support.repositories import make_repository

VARIATIONS = 5
TOKENS = 2000
PACE = 0.005
READERS = 50
STREAMS = 1000

_STAMP = re.compile(rb"t=([0-9.]+) ")


def serve(seconds: float, pipe: Connection) -> None:
    """Play a model's server until the parent closes its end; 0 seconds says a word, and waits."""
    tokens = int(seconds / PACE) or 1
    reply = [Text(["x "] * tokens, pace=PACE if seconds else 600.0, stamp=True)]
    with ScriptedModel(Script({}, default=[reply]), record=False) as model:
        pipe.send(model.base_url)
        pipe.recv()


def read(url: str, run_id: str, readers: int, pipe: Connection) -> None:
    """Read a run's stream as so many clients, and send home when which token arrived."""
    pipe.send(asyncio.run(_read(url, run_id, readers)))


async def _read(url: str, run_id: str, readers: int) -> list[list[float]]:
    address = urlsplit(url)

    async def one() -> list[float]:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        path = f"/runs/{run_id}/stream"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        found: list[float] = []
        rest = b""
        while b"event: end" not in rest:
            part = await reader.read(2**16)
            assert part, "the stream ended early"
            now = time.time()
            *whole, rest = (rest + part).split(b"\n\n")
            for frame in whole:
                if b'"agent_output"' in frame:
                    found += [(now - float(stamp)) * 1000 for stamp in _STAMP.findall(frame)]
                elif b"event: end" in frame:
                    rest = frame
        writer.close()
        return found

    return await asyncio.gather(*(one() for _ in range(readers)))


@contextmanager
def gateway_and_model(seconds: float) -> Iterator[tuple[Gateway, str]]:
    """Give a gateway whose agents speak for so long, and a repository's address."""
    ours, theirs = multiprocessing.Pipe()
    model = multiprocessing.Process(target=serve, args=(seconds, theirs))
    model.start()
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        repository = make_repository(base / "repository")
        flags = ("--backend", "local", "--allow-file", "--base-url", ours.recv())
        try:
            with serving(base / "data", *flags, AIDEATOR_API_KEY="key") as gateway:
                yield gateway, repository.as_uri()
        finally:
            ours.send(None)
            model.join()


def first_tokens(gateway: Gateway, url: str, variations: int) -> list[float]:
    """Return the seconds from POST /runs to the first token of each variation, in order."""
    posted = time.monotonic()
    run_id = gateway.create(github_url=url, variations=variations)
    first: dict[int, float] = {}
    for event in gateway.stream(run_id):
        data = json.loads(event.data)
        if data.get("type") == "agent_output":
            first.setdefault(data["variation_id"], time.monotonic() - posted)
    return sorted(first.values())


def percentile(values: list[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def delay() -> dict[str, float]:
    """Return the delay of tokens in milliseconds, and how many were lost."""
    with gateway_and_model(TOKENS * PACE) as (gateway, repository):
        run_id = gateway.create(github_url=repository, variations=VARIATIONS)
        ours, theirs = multiprocessing.Pipe()
        readers = multiprocessing.Process(target=read, args=(gateway.url, run_id, READERS, theirs))
        readers.start()
        delays = ours.recv()
        readers.join()
    values = [value for of_reader in delays for value in of_reader]
    return {
        "delay with 50 readers, median ms": statistics.median(values),
        "delay with 50 readers, p99 ms": percentile(values, 0.99),
        "tokens lost": READERS * VARIATIONS * TOKENS - len(values),
    }


def memory_kib(pid: int) -> int:
    """Return the resident memory of a process in KiB (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


async def many(gateway: Gateway, run_id: str) -> dict[str, float]:
    """Open streams, look at memory, tell the gateway to end, and wait for all of it."""
    address = urlsplit(gateway.url)

    async def open_stream() -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=4096)
        path = f"/runs/{run_id}/stream"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        await reader.readuntil(b"t=")
        streams.append(writer)
        return reader

    streams: list[asyncio.StreamWriter] = []
    first = await asyncio.gather(*(open_stream() for _ in range(50)))
    before = memory_kib(gateway.process.pid)
    readers = list(first)
    while len(readers) < STREAMS:
        readers += await asyncio.gather(*(open_stream() for _ in range(50)))
    await asyncio.sleep(1)
    each = (memory_kib(gateway.process.pid) - before) / (STREAMS - 50)
    told = time.perf_counter()
    gateway.process.send_signal(signal.SIGTERM)
    ends = await asyncio.gather(*(reader.read() for reader in readers))
    closed = time.perf_counter() - told
    await asyncio.to_thread(gateway.process.wait)
    for writer in streams:
        writer.close()
    return {
        "memory of an idle reader, KiB": each,
        "SIGTERM with 1,000 streams, s until all are closed": closed,
        "SIGTERM with 1,000 streams, s until the process has ended": time.perf_counter() - told,
        "streams without an end": sum(b"event: end" not in end for end in ends),
        "tracebacks": gateway.log.read_text().count("Traceback"),
    }


def idle() -> dict[str, float]:
    """Return what a thousand streams cost, and how a gateway leaves them."""
    with gateway_and_model(0) as (gateway, repository):
        run_id = gateway.create(github_url=repository, variations=1)
        for event in gateway.stream(run_id):
            if "t=" in event.data:
                break
        return asyncio.run(many(gateway, run_id))


def measure() -> dict[str, float]:
    """Measure everything once."""
    return {**delay(), **idle()}


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name}: {value:,.1f}")
