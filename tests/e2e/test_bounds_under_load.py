"""Memory and descriptors stay flat under what once took gigabytes, and all is over at once."""

import asyncio
import json
import resource
import signal
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from aideator_gateway.scripted_model.script import Reply, Text
from tests.support.figures import memory_mebibytes, metric
from tests.support.gateways import Gateway
from tests.support.talking import talking_gateway, wait

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

SLOWLY: Reply = [Text("word " * 2000, pace=1)]


@contextmanager
def peak(process: int) -> Iterator[list[float]]:
    """Note the most memory, in MiB, that a process has while the block runs."""
    found = [0.0]
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            found[0] = max(found[0], memory_mebibytes(process))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        over.set()
        looking.join()


def test_two_hundred_readers_that_do_not_read_are_gone(
    shared_repository: Path, tmp_path: Path
) -> None:
    much: Reply = [Text(["0123456789abcdef" * 64 + " "] * 16_000)]  # 16 MB
    flags = ("--send-seconds", "10")
    with talking_gateway(tmp_path / "data", 0, *flags, replies=[much]) as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        gateway.finish(run_id)
        pid = gateway.process.pid
        before = memory_mebibytes(pid)
        address = urlsplit(gateway.url)
        assert address.hostname and address.port
        request = f"GET /runs/{run_id}/stream HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n"
        readers = []
        with peak(pid) as most:
            for _ in range(200):
                reader = socket.socket()
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                reader.connect((address.hostname, address.port))
                reader.sendall(request.encode())
                readers.append(reader)
            name = 'aideator_connections_cut_total{reason="send"}'
            wait(lambda: name in gateway.http.get("/metrics").text, 120)
            wait(lambda: metric(gateway, name) == 200, 120)
        assert metric(gateway, "aideator_streams_open") == 0
        wait(lambda: metric(gateway, "aideator_connections_open") <= 2)
        assert most[0] - before < 120
        for reader in readers:
            reader.close()


def test_three_hundred_large_prompts_do_not_wait_in_memory(
    shared_repository: Path, tmp_path: Path
) -> None:
    flags = ("--max-concurrent-runs", "1", "--max-pending-runs", "300")
    large = ("--max-pending-bytes", str(2**30))
    body = json.dumps(
        {"github_url": shared_repository.as_uri(), "prompt": "x" * 1_040_000, "variations": 1}
    ).encode()

    def post(url: str) -> int:
        headers = {"content-type": "application/json"}
        return httpx.post(
            f"{url}/runs", content=body, headers=headers, timeout=120, trust_env=False
        ).status_code

    with talking_gateway(
        tmp_path / "data", 0, *flags, *large, replies=[SLOWLY] * 400
    ) as gateway, ThreadPoolExecutor(30) as pool:  # fmt: skip
        pid = gateway.process.pid
        wait(lambda: gateway.http.get("/readyz").status_code == 200)
        before = memory_mebibytes(pid)
        with peak(pid) as most:
            answers = Counter(pool.map(post, [gateway.url] * 310))
            listed = gateway.http.get("/runs?limit=200")
        assert set(answers) == {202, 429}
        assert answers[202] in (301, 302)
        assert len(listed.content) < 500_000
        assert most[0] - before < 150


def test_sixty_downloads_of_a_large_transcript_hold_up_nobody(
    shared_repository: Path, tmp_path: Path
) -> None:
    replies: list[Reply] = [[Text("Done.")], *[SLOWLY] * 3]
    with talking_gateway(tmp_path / "data", 0, replies=replies) as gateway, ThreadPoolExecutor(
        60
    ) as pool:  # fmt: skip
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        gateway.finish(run_id)
        lines = b'{"a": "line"}\n' * 14_000
        with closing(sqlite3.connect(tmp_path / "data/aideator.db", timeout=30)) as database:
            rows = [(run_id, 1, 1000 + number, lines) for number in range(235)]
            with database:
                database.executemany(
                    "INSERT INTO transcript (run_id, variation_id, number, lines)"
                    " VALUES (?, ?, ?, ?)", rows,
                )  # fmt: skip
        size = 235 * len(lines)  # 46 MB
        live = gateway.create(github_url=shared_repository.as_uri(), variations=3)
        wait(lambda: gateway.run(live)["status"] == "running")
        pid = gateway.process.pid
        before = memory_mebibytes(pid)

        def download(url: str) -> int:
            """Return 0 for the whole of it, else the status."""
            got = 0
            with httpx.stream("GET", url, timeout=300, trust_env=False) as response:
                for part in response.iter_raw():
                    got += len(part)
            return 0 if got >= size else response.status_code

        url = f"{gateway.url}/runs/{run_id}/variations/1/transcript"
        with peak(pid) as most:
            downloads = [pool.submit(download, url) for _ in range(60)]
            slowest = 0.0
            while not all(one.done() for one in downloads):
                began = time.monotonic()
                assert gateway.run(live)["status"] == "running"
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.2)
            answers = Counter(one.result() for one in downloads)
        assert set(answers) <= {0, 503}
        assert answers[0] >= 8
        assert most[0] - before < 100
        assert slowest < 20
        assert "Traceback" not in gateway.log.read_text()


def test_a_thousand_streams_end_cleanly(shared_repository: Path, tmp_path: Path) -> None:
    count = 1000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < count + 300:
        pytest.skip(f"only {hard} files may be open, which is too few for {count} connections")
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 300, hard))
    try:
        with talking_gateway(tmp_path / "data", 0, replies=[SLOWLY]) as gateway:
            run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
            seconds, tails = asyncio.run(_stop_before(gateway, run_id, count))
            log = gateway.log.read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(tails) == count
    assert all(b"event: end" in tail and tail.endswith(b"0\r\n\r\n") for tail in tails)
    assert seconds < 10
    assert "Traceback" not in log
    assert "ERROR" not in log


async def _stop_before(gateway: Gateway, run_id: str, count: int) -> tuple[float, list[bytes]]:
    """Read so many streams, stop the gateway, and return how long that took and how they ended."""
    address = urlsplit(gateway.url)
    request = f"GET /runs/{run_id}/stream HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
    begun = 0

    async def read() -> bytes:
        nonlocal begun
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(request)
        tail = await reader.read(65536)
        begun += 1
        while part := await reader.read(65536):
            tail = (tail + part)[-500:]
        writer.close()
        return tail

    async with asyncio.TaskGroup() as group:
        reading = [group.create_task(read()) for _ in range(count)]
        while begun < count:  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.1)
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(gateway.process.wait, 60)
        seconds = time.monotonic() - began
    return seconds, [one.result() for one in reading]
