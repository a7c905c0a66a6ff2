"""A client that does not read holds up nobody, and can come back."""

import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel
from tests.support.gateways import serving

MUCH = [[Text(["0123456789abcdef" * 64 + " "] * 4000)]]  # 4 MB


def test_a_slow_reader_holds_up_nobody(shared_repository: Path, tmp_path: Path) -> None:
    with (
        ScriptedModel(Script({}, default=MUCH)) as model,
        serving(
            tmp_path / "data", "--backend", "local", "--allow-file", "--base-url", model.base_url,
            AIDEATOR_API_KEY="a-test-key",
        ) as gateway,
    ):  # fmt: skip
        run_id = gateway.create(github_url=shared_repository.as_uri(), variations=1)
        address = urlsplit(gateway.url)
        assert address.hostname and address.port
        with socket.create_connection((address.hostname, address.port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            request = f"GET /runs/{run_id}/stream HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n"
            slow.sendall(request.encode())
            assert slow.recv(64).startswith(b"HTTP/1.1 200")
            started = time.monotonic()
            events = list(gateway.stream(run_id))
            assert events[-1].event == "end"
            assert time.monotonic() - started < 60
            assert gateway.http.get("/healthz", timeout=2).status_code == 200
        again = list(gateway.stream(run_id, events[100].id))
        assert [e.id for e in again] == [e.id for e in events[101:]]
