"""What a provider answers comes out as it came, and nothing but the body goes in."""

import json
import socket
import time
from collections.abc import Callable

import httpx
import pytest

from aideator_gateway.scripted_model.script import HttpError, Text, TokenCounts, ToolUse
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.broker.conftest import RepliesByRun
from tests.support.brokers import KEY, MODEL, RunningBroker, request, token
from tests.support.raw_servers import END, HEAD, RawServer, chunk, wait_for

EVENTS = (
    'event: message_start\ndata: {"type":"message_start","message":{"model":"claude-sonnet-5-5",'
    '"usage":{"input_tokens":7,"output_tokens":1}}}\n\n'
    'event: of_tomorrow\ndata: {"type":"of_tomorrow","what":["\\ud83d", null, 1e400]}\n\n'
    ": a comment\n\n"
    'event: content_block_delta\ndata: {"type":"content_block_delta","text":"grüße 茶 🫖"}\n\n'
    "data: no json at all\r\n\r\n"
    'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":9}}\n\n'
    'event: message_stop\ndata: {"type":"message_stop"}\n\n'
).encode()


def read(
    broker: RunningBroker, opened: str, each: Callable[[bytes], object] = lambda _: None
) -> tuple[bytes, bool]:
    """Return what came of an answer, and whether it broke off."""
    got = b""
    try:
        with broker.http.stream("POST", "/v1/messages", **broker.sent(opened)) as answer:
            for part in answer.iter_bytes():
                got += part
                each(part)
    except httpx.RemoteProtocolError:
        return got, True
    return got, False


def test_a_stream_comes_out_byte_for_byte_wherever_it_was_cut(
    broker: RunningBroker, raw: RawServer, run: str
) -> None:
    # Cut into single bytes, which is in the middle of every character and line.
    raw.pieces = [HEAD, *(chunk(EVENTS[i : i + 1]) for i in range(len(EVENTS))), END]
    answer = broker.post(token(run, provider="raw"))
    assert answer.status_code == 200
    assert answer.content == EVENTS
    spent = broker.line("spent", run=run)["spent"]
    assert (spent["input_tokens"], spent["output_tokens"]) == (7, 9)


def test_every_event_comes_out_at_once(broker: RunningBroker, raw: RawServer, run: str) -> None:
    raw.pieces = [HEAD, chunk(b"data: first\n\n"), 0.6, chunk(b"data: half"), 0.6, END]
    sent = broker.sent(token(run, provider="raw"))
    with broker.http.stream("POST", "/v1/messages", **sent) as answer:
        arrived = {part: time.monotonic() for part in answer.iter_bytes()}
        ended = time.monotonic()
    assert list(arrived) == [b"data: first\n\n", b"data: half"]
    assert ended - arrived[b"data: first\n\n"] > 1.0
    assert ended - arrived[b"data: half"] > 0.5


def test_a_request_that_follows_at_once_has_its_time(
    broker: RunningBroker, raw: RawServer, run: str
) -> None:
    """Longer than a connection may be idle for, which it is not."""
    raw.pieces = [HEAD, chunk(b"data: x\n\n"), 1.5, END]
    body = json.dumps(request()).encode()
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: b\r\nx-api-key: {token(run, provider='raw')}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", broker.ready["port"]), timeout=30) as connection:
        connection.sendall((head + body) * 2)
        got = b""
        while got.count(b"\r\n0\r\n\r\n") < 2:
            more = connection.recv(65536)
            assert more, got
            got += more
    assert got.count(b"data: x") == 2


def test_a_whole_message_comes_out_and_is_counted(
    broker: RunningBroker, replies: RepliesByRun, run: str
) -> None:
    replies.set(run, [[ToolUse("list", {"path": "ü"}), TokenCounts(1_000_000, 100_000)]])
    answer = broker.post(token(run), request(stream=False))
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["content"][0]["input"] == {"path": "ü"}
    assert answer.headers["request-id"] == "req_scripted"
    broker.say(revoke={"run": run, "variation": 1})
    assert broker.line("revoked", run=run)["revoked"] == {
        "run": run, "variation": 1, "spent_usd": pytest.approx(3.0),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (400, {}, b'{"type":"error","error":{"type":"invalid_request_error","message":"No."}}'),
        (401, {"anthropic-ratelimit-new": "x"}, b'{"type":"error","error":{"type":"x"}}'),
        (404, {}, b"<html>not here</html>"),
        (413, {"content-type": "text/plain"}, b"too much"),
        (500, {"anthropic-ratelimit-requests-remaining": "3"}, b""),
        (503, {"retry-after": "7"}, b"\xff\xfe"),
    ],
)
def test_errors_of_the_provider_keep_status_headers_and_body(
    broker: RunningBroker, replies: RepliesByRun, run: str,
    status: int, headers: dict[str, str], body: bytes,
) -> None:  # fmt: skip
    replies.set(run, [[HttpError(status, "", "", headers=headers, body=body)]])
    answer = broker.post(token(run))
    assert (answer.status_code, answer.content) == (status, body)
    assert {name: answer.headers[name] for name in headers} == headers
    assert "aideator-refused" not in answer.headers


def test_nothing_but_the_body_and_two_headers_go_up(
    broker: RunningBroker, replies: RepliesByRun, model: ScriptedModel, run: str
) -> None:
    replies.set(run, [[Text("Done.")]])
    opened = token(run)
    body = request(metadata={"user_id": "me"}, unknown=[{"deep": 1}], n=12345678901234567890123)
    answer = broker.http.post(
        "/v1/messages?beta=true&api_key=other",
        json=body,
        headers={
            "authorization": f"Bearer {opened}", "anthropic-version": "2023-06-01",
            "anthropic-beta": "one,two", "host": "evil.example", "cookie": "a=b",
            "x-forwarded-host": "evil.example", "x-stainless-custom": "1", "user-agent": "evil/1",
            "x-aideator-run": "run_of_another", "x-aideator-variation": "5",
        },
    )  # fmt: skip
    assert answer.status_code == 200
    sent = model.requests[-1]
    assert sent.body == body
    assert (sent.run, sent.variation) == (run, 1)
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert sent.headers["anthropic-beta"] == "one,two"
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["host"] in model.base_url
    text = json.dumps(dict(sent.headers))
    assert "evil" not in text
    assert "cookie" not in text
    assert opened not in text


def test_a_name_that_comes_twice_is_sent_once_as_it_was_looked_at(
    broker: RunningBroker, raw: RawServer, run: str
) -> None:
    raw.pieces = [HEAD, END]
    twice = b'{"model":"other","messages":[],"model":"%s"}' % MODEL.encode()
    assert broker.post(token(run, provider="raw"), twice).status_code == 200
    body = raw.requests[-1].partition(b"\r\n\r\n")[2]
    assert body.count(b'"model"') == 1
    assert json.loads(body)["model"] == MODEL


@pytest.mark.parametrize("reset", [False, True])
def test_an_answer_that_breaks_off_breaks_off_for_the_agent(
    broker: RunningBroker, raw: RawServer, run: str, *, reset: bool
) -> None:
    length = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99\r\n\r\n"
    raw.pieces = [length if reset else HEAD, chunk(b"data: first\n\n"), 0.2]
    got, broke_off = read(broker, token(run, provider="raw"))
    assert b"data: first\n\n" in got
    assert broke_off


def test_junk_in_place_of_http_is_no_answer(
    broker: RunningBroker, raw: RawServer, run: str
) -> None:
    raw.pieces = [b"SSH-2.0-OpenSSH_9.9\r\n"]
    answer = broker.post(token(run, provider="raw"))
    assert (answer.status_code, answer.json()["error"]["type"]) == (502, "api_error")
    assert answer.headers["aideator-refused"] == "upstream_unreachable"


@pytest.mark.parametrize(
    ("provider", "pieces", "cause"),
    [("gone", [], "upstream_unreachable"), ("raw", [6.0], "upstream_silent")],
)
def test_a_provider_that_does_not_answer(
    broker: RunningBroker, raw: RawServer, run: str,
    provider: str, pieces: list[float], cause: str,
) -> None:  # fmt: skip
    raw.pieces = pieces
    answer = broker.post(token(run, provider=provider))
    assert (answer.status_code, answer.headers["aideator-refused"]) == (502, cause)
    assert KEY not in answer.text


def test_a_redirect_is_not_followed(
    broker: RunningBroker, replies: RepliesByRun, raw: RawServer, run: str
) -> None:
    before = len(raw.requests)
    where = f"{raw.base_url}/v1/messages"
    replies.set(run, [[HttpError(307, "", "", headers={"location": where}, body=b"")]])
    answer = broker.post(token(run))
    assert (answer.status_code, answer.headers["location"]) == (307, where)
    assert len(raw.requests) == before


def test_an_agent_that_leaves_ends_the_request_to_the_provider(
    broker: RunningBroker, raw: RawServer, run: str
) -> None:
    raw.left.clear()
    raw.pieces = [HEAD, chunk(b"data: first\n\n"), 30.0]
    sent = broker.sent(token(run, provider="raw"))
    with broker.http.stream("POST", "/v1/messages", **sent) as answer:
        next(answer.iter_bytes())
    assert wait_for(raw.left) < 1
    assert b"Traceback" not in broker.errors.encode()


def test_an_agent_that_leaves_before_there_is_an_answer(
    broker: RunningBroker, raw: RawServer, run: str
) -> None:
    raw.left.clear()
    raw.pieces = [30.0]
    before = len(raw.requests)
    head = f"POST /v1/messages HTTP/1.1\r\nhost: b\r\nx-api-key: {token(run, provider='raw')}\r\n"
    body = json.dumps(request()).encode()
    with socket.create_connection(("127.0.0.1", broker.ready["port"])) as connection:
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        deadline = time.monotonic() + 30
        while len(raw.requests) == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert wait_for(raw.left) < 1


def test_an_agent_that_does_not_read_is_not_waited_for_for_ever(
    broker: RunningBroker, raw: RawServer, run: str
) -> None:
    raw.left.clear()
    raw.pieces = [HEAD, *[chunk(b"x" * 1_000_000)] * 200]
    with broker.http.stream(
        "POST", "/v1/messages", **broker.sent(token(run, provider="raw"))
    ) as answer:
        assert answer.status_code == 200
        assert 4 < wait_for(raw.left) < 20


def test_an_attempt_that_is_revoked_breaks_off(
    broker: RunningBroker, raw: RawServer, run: str
) -> None:
    raw.left.clear()
    # It goes on before its silence would break it off.
    raw.pieces = [HEAD, chunk(b"data: first\n\n"), 3.0, chunk(b"data: second\n\n"), 30.0]
    got, broke_off = read(
        broker,
        token(run, provider="raw"),
        lambda _: broker.say(revoke={"run": run, "variation": 1}),
    )
    assert got == b"data: first\n\n"
    assert broke_off
    assert wait_for(raw.left) < 1
