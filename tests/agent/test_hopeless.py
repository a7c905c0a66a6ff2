"""What no repeat can make good fails at once, and says what to do."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from aideator.protocol import ErrorCode, RetryEvent
from aideator.protocol.addresses import is_server, shown
from aideator_gateway.scripted_model.script import HttpError, Text
from tests.agent.conftest import Play
from tests.agent.sandbox import KEY, Sandbox

ADDRESSES = {
    "http://localhost:11434": True,
    "https://api.anthropic.com": True,
    "HTTP://Host/path/": True,
    "http://[::1]:80/x": True,
    "http://user:password@host": True,
    "localhost:11434": False,
    "ftp://host/": False,
    "http://": False,
    "http://:80": False,
    "https:///path": False,
    "//host:1": False,
    "host": False,
    "http://host:99999": False,
    "http://host:0": False,
    "http://host:abc": False,
    "http://[::1": False,
    "http://ho st/": False,
    " http://host": False,
    "http://host\n": False,
}


@pytest.mark.parametrize(("address", "good"), ADDRESSES.items())
def test_what_is_an_address_of_a_server(address: str, good: bool) -> None:
    assert is_server(address) is good


@pytest.mark.parametrize(
    "address", ["localhost:11434", "ftp://u:secret@h/", "http://", "http://[::1"]
)
def test_an_address_that_is_none_fails_at_once(sandbox: Sandbox, address: str) -> None:
    outcome = sandbox.run(address)
    assert outcome.of(RetryEvent) == []
    assert outcome.failed.code is ErrorCode.INVALID_REQUEST
    assert repr(shown(address)) in outcome.failed.message
    assert "must be http://HOST[:PORT][/PATH]" in outcome.failed.message
    assert "secret" not in outcome.failed.message


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}", f"{KEY}\r\nx: y", f"{KEY}\u20ac", "\udc80"])
@pytest.mark.parametrize("kind", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_a_key_that_cannot_be_sent_fails_at_once(
    sandbox: Sandbox, play: Play, key: str, kind: str
) -> None:
    model = play([Text("Done.")])
    outcome = sandbox.run(model.base_url, secrets={kind: key})
    assert outcome.of(RetryEvent) == []
    assert outcome.failed.code is ErrorCode.AUTHENTICATION_FAILED
    assert outcome.failed.message == (
        "The API key has white space around it, or characters that cannot be sent."
    )
    assert model.requests == []


def test_a_header_that_cannot_be_sent_fails_at_once(sandbox: Sandbox, play: Play) -> None:
    model = play([Text("Done.")])
    outcome = sandbox.run(model.base_url, environment={"AIDEATOR_RUN_ID": "run\nx"})
    assert outcome.of(RetryEvent) == []
    assert outcome.failed.code is ErrorCode.INVALID_REQUEST
    assert outcome.failed.message.startswith("The request cannot be sent: ")


def test_a_server_that_does_not_know_the_method_is_asked_once(sandbox: Sandbox, play: Play) -> None:
    model = play([HttpError(501, "", "", body=b"Unsupported method ('POST')")])
    outcome = sandbox.run(model.base_url)
    assert outcome.of(RetryEvent) == []
    assert outcome.failed.code is ErrorCode.API_ERROR
    assert len(model.requests) == 1


def test_a_certificate_that_nobody_vouches_for_fails_at_once(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    with _self_signed(tmp_path) as url:
        outcome = sandbox.run(url)
    assert outcome.of(RetryEvent) == []
    assert outcome.failed.code is ErrorCode.CONNECTION_FAILED
    assert "certificate" in outcome.failed.message


def test_a_password_in_the_address_is_not_told(sandbox: Sandbox) -> None:
    outcome = sandbox.run("http://user:secret@127.0.0.1:9", limits={"max_retries": 0})
    assert outcome.failed.code is ErrorCode.CONNECTION_FAILED
    assert "http://***@127.0.0.1:9" in outcome.failed.message
    assert "secret" not in outcome.failed.message


@contextmanager
def _self_signed(directory: Path) -> Iterator[str]:
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = _Quiet(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(HTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Keep to itself that a client would not talk to it."""
