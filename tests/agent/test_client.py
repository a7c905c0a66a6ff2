"""The way to the model's server: connections, sockets, proxies, certificates, and bounds."""

import asyncio
import itertools
import json
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import trustme

from aideator.agent.client import MAX_ERROR_BYTES
from aideator.protocol import ErrorCode, RetryEvent, TextEvent
from aideator_gateway.scripted_model.script import HttpError, Text, ToolUse
from aideator_gateway.scripted_model.server import Player, Script, ScriptedModel
from tests.agent.conftest import Play
from tests.agent.raw_server import HEAD, answering
from tests.agent.sandbox import KEY, Sandbox

ONCE = {"max_retries": 0}


class OnUnixSocket(ScriptedModel):
    """The scripted model on a Unix socket; it counts connections."""

    def __init__(self, player: Player, path: Path) -> None:
        super().__init__(player)
        self.path = path
        self.connections = 0

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._connected, self.path)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        super()._connected(reader, writer)


def stream(*texts: str, end: str = "\n") -> bytes:
    """Return a whole response with text."""
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0,
             "delta": {"type": "text_delta", "text": text}}
            for text in texts
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
         "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]  # fmt: skip
    lines = [
        f"event: {event['type']}{end}data: {json.dumps(event, ensure_ascii=False)}{end}{end}"
        for event in events
    ]
    return "".join(lines).encode()


def error(status: int, *body: bytes, head: bytes = b"") -> Iterable[bytes]:
    yield b"HTTP/1.1 %d Oops\r\nconnection: close\r\n%s\r\n" % (status, head)
    yield from body


def test_requests_are_those_of_the_messages_api(sandbox: Sandbox) -> None:
    with answering([HEAD, stream("Done.")]) as server:
        assert sandbox.run(f"http://127.0.0.1:{server.port}/some/path/").completed
    (head,) = server.heads
    request, *headers = head.split("\n")
    assert request == "post /some/path/v1/messages http/1.1"
    given = dict(line.split(": ", 1) for line in headers)
    assert given.keys() == {
        "host", "accept", "accept-encoding", "connection", "content-length", "content-type",
        "authorization", "anthropic-version", "user-agent",
        "x-aideator-run", "x-aideator-variation",
    }  # fmt: skip
    assert given["host"] == f"127.0.0.1:{server.port}"
    assert given["authorization"] == f"bearer {KEY}"
    assert given["content-type"] == "application/json"
    assert given["user-agent"].startswith("aideator/")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_response_that_comes_byte_by_byte_is_the_same(sandbox: Sandbox, end: str) -> None:
    answer = stream("Ünï ", "\U0001f600", end=end)
    with answering([HEAD, *(answer[i : i + 1] for i in range(len(answer)))]) as server:
        outcome = sandbox.run(f"http://127.0.0.1:{server.port}")
    assert outcome.completed.summary == "Ünï \U0001f600"
    assert [event.text for event in outcome.of(TextEvent)] == ["Ünï ", "\U0001f600"]


def test_an_event_without_data_is_no_part_of_a_message(sandbox: Sandbox) -> None:
    with answering([HEAD, b"data:\n\nevent: ping\n\n: hello\n\n", stream("Done.")]) as server:
        outcome = sandbox.run(f"http://127.0.0.1:{server.port}")
    assert outcome.completed.summary == "Done."
    assert outcome.of(RetryEvent) == []


def test_an_event_without_its_last_line_is_none(sandbox: Sandbox) -> None:
    with answering([HEAD, stream("Done.").removesuffix(b"\n")]) as server:
        outcome = sandbox.run(f"http://127.0.0.1:{server.port}", limits=ONCE)
    assert outcome.failed.code is ErrorCode.STREAM_BROKEN
    assert "ended before message_stop" in outcome.failed.message


@pytest.mark.parametrize(
    ("endless", "reason"),
    [
        ([b"data: " + b"[" * 100_000 + b"\n\n"], "recursion"),
        (itertools.repeat(b"x" * 65_536), "longer than 16777216 bytes"),
        (itertools.repeat(b"data: " + b"x" * 65_536 + b"\n"), "longer than 16777216 bytes"),
    ],
    ids=["deep", "line", "event"],
)
def test_an_event_without_end_is_broken_off(
    sandbox: Sandbox, endless: Iterable[bytes], reason: str
) -> None:
    with answering(itertools.chain([HEAD], endless)) as server:
        outcome = sandbox.run(f"http://127.0.0.1:{server.port}", limits=ONCE)
    assert outcome.failed.code is ErrorCode.STREAM_BROKEN
    assert reason in outcome.failed.message


def test_an_error_without_end_is_read_up_to_a_bound(sandbox: Sandbox) -> None:
    body = itertools.repeat(b"Oh no. " * 1000)
    with answering(error(400, *itertools.islice(body, 20_000))) as server:
        outcome = sandbox.run(f"http://127.0.0.1:{server.port}")
    assert outcome.failed.code is ErrorCode.INVALID_REQUEST
    assert outcome.failed.message.startswith("Oh no. Oh no. ")
    assert len(outcome.failed.message) <= 2000
    # What more was sent lay in the buffers of two sockets.
    assert server.sent < MAX_ERROR_BYTES + 20 * 1024 * 1024


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"type": "x", "message": "\xc3\x9c"}}', "\u00dc"),
        (b"\xff is no text", "\ufffd is no text"),
        (b"[" * 50_000, "[" * 2000),
        (b" \n", "The model's server answered with HTTP status 400."),
        (b"[1]", "The model's server answered with HTTP status 400."),
    ],
)
def test_an_error_is_shown_as_it_can_be_read(sandbox: Sandbox, body: bytes, message: str) -> None:
    head = b"content-type: text/plain; charset=hex\r\n"
    with answering(list(error(400, body, head=head))) as server:
        outcome = sandbox.run(f"http://127.0.0.1:{server.port}")
    assert outcome.failed.code is ErrorCode.INVALID_REQUEST
    assert outcome.failed.message == message


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("http://model.invalid:81", "model.invalid:81"),
        ("https://model.invalid", "model.invalid"),
        (None, "api.anthropic.com"),
    ],
)
def test_a_unix_socket_stands_in_for_the_address(
    sandbox: Sandbox, tmp_path: Path, base_url: str | None, host: str
) -> None:
    look = ToolUse("list_files", {})
    script = Script(
        default=[[look], [HttpError(429, "rate_limit_error", "Slow.")], [Text("Done.")]]
    )
    with OnUnixSocket(script, tmp_path / "s") as model:
        process = sandbox.start(
            base_url,
            environment={
                "AIDEATOR_MODEL_SOCKET": str(model.path),
                # No proxy comes between.
                "ALL_PROXY": "http://127.0.0.1:9",
                "ANTHROPIC_API_KEY": "",
                "ANTHROPIC_AUTH_TOKEN": f"{KEY}-token",
            },
        )
        outcome = sandbox.finish(process)
    assert outcome.completed.turns == 2
    assert [retry.code for retry in outcome.of(RetryEvent)] == [ErrorCode.RATE_LIMITED]
    assert {request.headers["host"] for request in model.requests} == {host}
    assert model.requests[0].headers["authorization"] == f"Bearer {KEY}-token"
    # Turn after turn, also after an error.
    assert model.connections == 1


def test_a_connection_that_lay_idle_is_not_used_again(sandbox: Sandbox, tmp_path: Path) -> None:
    # Its server may be closing it by then.
    limited = HttpError(429, "rate_limit_error", "Slow.", headers={"retry-after": "2.1"})
    with OnUnixSocket(Script(default=[[limited], [Text("Done.")]]), tmp_path / "s") as model:
        assert sandbox.run(None, environment={"AIDEATOR_MODEL_SOCKET": str(model.path)}).completed
    assert model.connections == 2


def test_a_unix_socket_that_nobody_listens_on_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    path = str(tmp_path / "none")
    outcome = sandbox.run(
        None, secrets={}, environment={"AIDEATOR_MODEL_SOCKET": path}, limits={"max_retries": 1}
    )
    assert [retry.code for retry in outcome.of(RetryEvent)] == [ErrorCode.CONNECTION_FAILED]
    assert outcome.failed.code is ErrorCode.CONNECTION_FAILED
    assert f"The model's server at {path} could not be reached: " in outcome.failed.message


def test_a_proxy_of_the_environment_is_used(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering([HEAD, stream("Done.")]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert sandbox.run("http://model.invalid").completed
        monkeypatch.setenv("NO_PROXY", "model.invalid")
        outcome = sandbox.run("http://model.invalid", limits=ONCE)
    assert [head.split("\n")[0] for head in proxy.heads] == [
        "post http://model.invalid/v1/messages http/1.1"
    ]
    assert outcome.failed.code is ErrorCode.CONNECTION_FAILED


def test_a_proxy_that_cannot_be_used_fails_at_once(
    sandbox: Sandbox, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://user:secret@127.0.0.1:9")
    outcome = sandbox.run(play().base_url)
    assert outcome.of(RetryEvent) == []
    assert outcome.failed.code is ErrorCode.INVALID_REQUEST
    assert "gopher" in outcome.failed.message
    assert "secret" not in outcome.failed.message


@pytest.mark.parametrize("trusted", [True, False])
def test_certificates_are_those_that_the_environment_names(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    ours, another = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("127.0.0.1").configure_cert(context)
    (ours if trusted else another).cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with answering([HEAD, stream("Done.")], context) as server:
        outcome = sandbox.run(f"https://127.0.0.1:{server.port}")
    assert outcome.of(RetryEvent) == []
    if trusted:
        assert outcome.completed.summary == "Done."
    else:
        assert outcome.failed.code is ErrorCode.CONNECTION_FAILED
        assert "certificate" in outcome.failed.message
