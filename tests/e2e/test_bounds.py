"""A gateway goes on answering, whoever takes its connections, its queue or its time."""

import resource
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from aideator_gateway.scripted_model.script import Text
from tests.support import gateways
from tests.support.figures import metric, open_file_count, processor_seconds
from tests.support.forked import run, serving
from tests.support.gateways import Gateway
from tests.support.talking import talking_gateway, wait

TOKEN = secrets.token_hex(8)
DEMO = ("--demo", "--backend", "local", "--allow-file", "--demo-tokens-per-second", "1000")


def connect(gateway: Gateway, first: bytes = b"") -> socket.socket:
    """Return a connection on which something was sent."""
    address = urlsplit(gateway.url)
    assert address.hostname and address.port
    found = socket.create_connection((address.hostname, address.port), timeout=30)
    found.sendall(first)
    return found


@contextmanager
def connected(gateway: Gateway, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Hold so many connections until the block ends."""
    with ExitStack() as stack:
        yield [stack.enter_context(connect(gateway, first)) for _ in range(count)]


@contextmanager
def descriptors(gateway: Gateway, most: int) -> Iterator[None]:
    """Let a gateway open no file whose number is not below this until the block ends."""
    pid = gateway.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def lives(gateway: Gateway) -> bool:
    # A connection of its own, as whoever looks after a server makes one.
    try:
        answer = httpx.get(f"{gateway.url}/healthz", timeout=5, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.status_code == 200


def test_idle_sockets_stop_nothing_where_few_files_may_be_open(
    shared_repository: Path, tmp_path: Path
) -> None:
    flags = (*DEMO, "--keep-alive-seconds", "3600")
    with (
        gateways.serving(tmp_path / "data", *flags, token=TOKEN, ulimit="-n 128") as gateway,
        connected(gateway, 300),
    ):
        for _ in range(10):
            assert lives(gateway)
        assert open_file_count(gateway.process.pid) < 100
        assert metric(gateway, 'aideator_limit{setting="max_connections"}') == 43
        assert metric(gateway, 'aideator_connections_cut_total{reason="replaced"}') > 200
        # The database and the agents have descriptors left.
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=3)
        assert gateway.finish(run_id)["status"] == "completed"
        log = gateway.log.read_text()
    assert "Traceback" not in log
    assert len(log) < 5000


def test_a_process_without_descriptors_says_so_once_and_recovers(tmp_path: Path) -> None:
    with serving(tmp_path / "data", *DEMO) as gateway:
        assert lives(gateway)
        gateway.http.close()
        most = open_file_count(gateway.process.pid) + 5
        with descriptors(gateway, most), connected(gateway, 60):
            wait(lambda: "no connection can be taken" in gateway.log.read_text())
            # Silent ones are closed to make room.
            wait(lambda: lives(gateway))
        wait(lambda: lives(gateway))
        log = gateway.log.read_text()
        assert "Traceback" not in log
        assert 1 <= log.count("no connection can be taken") <= 2


def test_a_process_without_any_descriptor_waits_and_does_not_spin(tmp_path: Path) -> None:
    with serving(tmp_path / "data", *DEMO) as gateway:
        assert lives(gateway)
        pid = gateway.process.pid
        gateway.http.close()
        with descriptors(gateway, 3), connected(gateway, 1):
            wait(lambda: "no connection can be taken" in gateway.log.read_text())
            used, _ = processor_seconds(pid)
            time.sleep(2)
            assert processor_seconds(pid)[0] - used < 0.4
        wait(lambda: lives(gateway))


def test_whoever_looks_after_it_gets_through_where_all_connections_are_in_use(
    shared_repository: Path, tmp_path: Path
) -> None:
    with talking_gateway(tmp_path / "data", 2000, "--max-connections", "5") as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        host = urlsplit(gateway.url).netloc
        stream = f"GET /runs/{run_id}/stream HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        gateway.http.close()
        with connected(gateway, 5, stream) as readers:
            for reader in readers:
                assert b"200 OK" in reader.recv(100)
            for path in ("/healthz", "/readyz", "/metrics"):
                answer = httpx.get(f"{gateway.url}{path}", trust_env=False)
                assert answer.status_code == 200
            refused = httpx.get(f"{gateway.url}/runs", trust_env=False)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert refused.json()["code"] == "too_many_connections"
            assert refused.headers["connection"] == "close"
        wait(lambda: httpx.get(f"{gateway.url}/runs", trust_env=False).status_code == 200)


def test_a_full_queue_is_said_with_a_code_and_a_time_to_come_back(
    shared_repository: Path, tmp_path: Path
) -> None:
    flags = ("--max-concurrent-runs", "1", "--max-pending-runs", "2")
    with talking_gateway(tmp_path / "data", 2000, *flags) as gateway:
        url = shared_repository.as_uri()
        ids = [gateway.create(github_url=url, variations=1) for _ in range(3)]
        refused = gateway.http.post("/runs", json={"github_url": url, "prompt": "x"})
        assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
        assert int(refused.headers["retry-after"]) > 0
        assert [gateway.run(id_)["queue_position"] for id_ in ids] == [None, 1, 2]
        listed = {one["run_id"]: one for one in gateway.http.get("/runs").json()["runs"]}
        assert listed[ids[2]]["queue_position"] == 2
        assert metric(gateway, "aideator_runs_pending") == 2
        shown = run("show", ids[2], "--data-dir", str(gateway.data_dir), cwd=tmp_path)
        assert "pending (place 2 in the queue)" in shown.stdout.decode()
        # Its place goes to the next, and the rest moves up.
        gateway.http.post(f"/runs/{ids[0]}/cancel")
        wait(lambda: gateway.run(ids[1])["status"] == "running")
        assert gateway.run(ids[2])["queue_position"] == 1
        gateway.create(github_url=url, variations=1)


def test_clients_that_leave_in_the_middle_of_a_body_are_no_defect(tmp_path: Path) -> None:
    with serving(tmp_path / "data", *DEMO) as gateway:
        host = urlsplit(gateway.url).netloc
        head = (
            f"POST /runs HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            "Content-Length: 1000\r\n\r\n{"
        )
        open_ones = metric(gateway, "aideator_connections_open")
        with connected(gateway, 20, head.encode()):
            wait(lambda: metric(gateway, "aideator_connections_open") >= open_ones + 20)
        wait(lambda: metric(gateway, "aideator_connections_open") <= open_ones)
        assert "Traceback" not in gateway.log.read_text()


def test_streams_are_cut_off_without_a_word_of_a_defect(
    shared_repository: Path, tmp_path: Path
) -> None:
    """A gateway that ends waits for no reader that does not read."""
    much = [[Text(["0123456789abcdef" * 64 + " "] * 4000)]]
    with talking_gateway(tmp_path / "data", replies=much) as gateway:
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        gateway.finish(run_id)
        host = urlsplit(gateway.url).netloc
        stream = f"GET /runs/{run_id}/stream HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        with connected(gateway, 20, stream) as readers:
            for reader in readers:
                assert b"200 OK" in reader.recv(100)
            began = time.monotonic()
            gateway.stop()
            assert time.monotonic() - began < 15
        log = gateway.log.read_text()
        assert "Traceback" not in log
        assert "ERROR" not in log
