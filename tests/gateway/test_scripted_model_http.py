"""The scripted model as an HTTP server, apart from what it plays."""

import asyncio
import contextlib
import gc
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest

from aideator_gateway.scripted_model.connection import MAX_BODY_BYTES
from aideator_gateway.scripted_model.player import Request
from aideator_gateway.scripted_model.script import Hang, Reply, Text
from aideator_gateway.scripted_model.server import Script, ScriptedModel

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    script = Script({1: [[Text("one")], [Text("two")]]}, default=[[Text("other")]])
    with ScriptedModel(script) as model:
        yield model


def post(model: ScriptedModel, content: bytes | None = None, **headers: str) -> httpx2.Response:
    body = json.dumps(BODY).encode() if content is None else content
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(f"{model.base_url}/v1/messages", content=body, headers=names)


def text_of(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    text = answer.json()["content"][0]["text"]
    assert isinstance(text, str)
    return text


def test_it_says_what_it_is(model: ScriptedModel) -> None:
    for method in ("GET", "HEAD"):
        answer = httpx2.request(method, model.base_url)
        assert answer.status_code == 200
        assert ("not an LLM" in answer.text) == (method == "GET")


def test_scripts_are_played_per_variation_and_then_end(model: ScriptedModel) -> None:
    assert text_of(post(model, x_aideator_variation="1")) == "one"
    assert text_of(post(model, x_aideator_variation="2")) == "other"
    assert text_of(post(model, x_aideator_variation="1")) == "two"
    assert text_of(post(model, x_aideator_variation="3")) == "other"
    assert text_of(post(model)) == "other"
    answer = post(model, x_aideator_variation="1")
    assert answer.status_code == 400
    assert "variation 1 has 2 replies, and this is request 3" in answer.json()["error"]["message"]
    assert "no variation" in post(model).json()["error"]["message"]


def test_requests_are_kept_with_headers_that_no_representation_shows(model: ScriptedModel) -> None:
    post(model, x_api_key="sk-secret", x_aideator_run="run_1", x_aideator_variation="1")
    (request,) = model.requests
    assert request.headers["x-api-key"] == "sk-secret"
    assert "sk-secret" not in repr(request)
    assert request.run == "run_1"
    assert request.body == BODY
    assert abs(request.time - time.time()) < 5


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "²", "1" * 5000])
def test_a_variation_that_is_no_number_is_none(model: ScriptedModel, value: str) -> None:
    headers = [(b"x-aideator-variation", value.encode("latin-1"))]
    answer = httpx2.post(f"{model.base_url}/v1/messages", json=BODY, headers=headers)
    assert text_of(answer) == "other"
    assert model.requests[0].variation is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"{}", "messages"),
        (b'{"messages": []}', "messages"),
        (b'{"messages": ["x"]}', "messages"),
    ],
)
def test_bad_requests_are_answered_as_the_api_does(
    model: ScriptedModel, content: bytes, problem: str
) -> None:
    answer = post(model, content)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert problem in answer.json()["error"]["message"]
    assert model.requests == []


def test_a_body_over_the_limit_is_refused(model: ScriptedModel) -> None:
    # By hand: a client that goes on writing would meet the closed connection first.
    with socket.create_connection(("127.0.0.1", int(model.base_url.rpartition(":")[2]))) as raw:
        raw.settimeout(10)
        size = MAX_BODY_BYTES + 1
        raw.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size)
        raw.sendall(b"x" * size)
        assert raw.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_other_paths_and_methods_are_not_found(model: ScriptedModel) -> None:
    assert httpx2.get(f"{model.base_url}/v1/messages").status_code == 404
    answer = httpx2.post(f"{model.base_url}/v1/complete", json={})
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "not_found_error"


def test_query_parameters_do_not_matter(model: ScriptedModel) -> None:
    answer = httpx2.post(f"{model.base_url}/v1/messages?beta=true", json=BODY)
    assert text_of(answer) == "other"


def test_a_connection_serves_several_requests() -> None:
    script = Script(default=[[Text("one")], [Text("two")]])
    with ScriptedModel(script) as model, httpx2.Client() as client:
        ports = set()
        for stream in (True, False):
            url = f"{model.base_url}/v1/messages"
            with client.stream("POST", url, json={**BODY, "stream": stream}) as answer:
                ports.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
                answer.read()
        assert len(ports) == 1


def test_a_client_that_expects_to_be_told_to_go_on_is(model: ScriptedModel) -> None:
    with socket.create_connection(("127.0.0.1", int(model.base_url.rpartition(":")[2]))) as raw:
        raw.settimeout(10)
        body = json.dumps(BODY).encode()
        raw.sendall(
            b"POST /v1/messages HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
            b"content-length: %d\r\n\r\n" % len(body)
        )
        assert raw.recv(65536).startswith(b"HTTP/1.1 100 ")
        raw.sendall(body)
        assert raw.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n", b""])
def test_what_is_not_http_ends_its_own_connection_only(model: ScriptedModel, junk: bytes) -> None:
    with socket.create_connection(("127.0.0.1", int(model.base_url.rpartition(":")[2]))) as raw:
        raw.settimeout(10)
        raw.sendall(junk)
        raw.shutdown(socket.SHUT_WR)
        assert raw.recv(65536) == b""
    assert text_of(post(model)) == "other"


class _Broken:
    def reply(self, request: Request) -> Reply:
        raise RuntimeError(f"lost my place at {len(request.messages)}")


def test_a_player_that_fails_is_an_error_its_client_sees() -> None:
    with ScriptedModel(_Broken()) as model:
        answer = post(model)
    assert answer.status_code == 500
    assert "lost my place at 1" in answer.json()["error"]["message"]


def test_closing_closes_what_was_connected_just_before() -> None:
    for _ in range(50):
        with ScriptedModel(Script(default=[[Text("a")]])) as model:
            port = int(model.base_url.rpartition(":")[2])
            client = socket.create_connection(("127.0.0.1", port))
        with client:
            client.settimeout(5)
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
    # What was left open warns when it is collected, and a warning fails a test.
    gc.collect()


def test_closing_ends_replies_in_the_middle() -> None:
    with ScriptedModel(Script(default=[[Text("a"), Hang()]])) as model:
        client = anthropic.Anthropic(api_key="k", base_url=model.base_url, max_retries=0)
        stream = client.messages.create(
            model="m", max_tokens=9, messages=BODY["messages"], stream=True
        )
        assert next(iter(stream)).type == "message_start"
        started = time.monotonic()
    assert time.monotonic() - started < 5
    with client, pytest.raises(httpx2.RemoteProtocolError):
        list(stream)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(model.base_url)


def test_a_port_that_is_taken_is_an_error_at_start(model: ScriptedModel) -> None:
    port = int(model.base_url.rpartition(":")[2])
    second = ScriptedModel(Script(), port=port)
    with pytest.raises(OSError, match="address already in use"), second:
        pass
    with pytest.raises(OSError, match="address already in use"):
        asyncio.run(second.start())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_alone_it_runs_until_it_is_told_to_stop(number: signal.Signals) -> None:
    code = (
        "from aideator_gateway.demo.standin import DemoPlayer\n"
        "from aideator_gateway.scripted_model.standalone import serve\n"
        "serve(DemoPlayer(0), 'Scripted demo')"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        assert line.startswith("Scripted demo, not an LLM: listening on http://127.0.0.1:")
        base_url = line.split()[-1]
        answer = httpx2.post(f"{base_url}/v1/messages", json=BODY)
        assert answer.json()["model"] == "aideator-scripted-demo"
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
