"""Who may not ask, and what may not be asked: refused, counted, and logged without the token."""

import base64
import hmac
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from aideator.broker.upstream import installed
from aideator.protocol.tokens import MAX_TOKEN_SECONDS, run_secret
from aideator_gateway.scripted_model.script import Text
from aideator_gateway.scripted_model.server import ScriptedModel
from tests.broker.conftest import RepliesByRun
from tests.support.brokers import (
    KEY,
    MODEL,
    SIGNING_SECRET,
    RunningBroker,
    broker_for,
    configuration,
    request,
    token,
)
from tests.support.talking import wait

CLAIMS = {"variation": 1, "attempt": 1, "models": [MODEL]}


def forged(key: str, algorithm: str = "HS256", **changed: Any) -> str:
    """Return a token as somebody makes it who has ``key``; ``None`` leaves a claim out."""
    header = {"typ": "JWT", "alg": algorithm, "kid": changed.pop("kid", changed["run"])}
    claims = {"exp": time.time() + 60, **CLAIMS, **changed}
    claims = {name: value for name, value in claims.items() if value is not None}
    signed = f"{encoded(header)}.{encoded(claims)}"
    hashes = {"HS256": "sha256", "HS512": "sha512"}
    if algorithm not in hashes:
        return f"{signed}."
    made = hmac.digest(key.encode(), signed.encode(), hashes[algorithm])
    return f"{signed}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"


def encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def tampered(run: str) -> str:
    head, body, signature = token(run).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{encoded({**claims, 'models': ['dearest']})}.{signature}"


def own(run: str) -> str:
    return run_secret(SIGNING_SECRET, run)


OTHER = "another-secret-that-nobody-knows-0123456789"


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda _: "", "token_invalid"),
        (lambda _: "sk-ant-a-key-of-the-agents-own", "token_invalid"),
        (lambda _: "a.b.c", "token_invalid"),
        (lambda _: "\xff" * 9, "token_invalid"),
        (lambda run: "x" * 9000 + token(run), "token_invalid"),
        # Whole and signed, and longer than any that is made.
        (lambda run: forged(own(run), run=run, models=["m" * 7000]), "token_invalid"),
        (lambda run: token(run, secret=OTHER), "token_invalid"),
        (lambda run: token(run)[:-2], "token_invalid"),
        (tampered, "token_invalid"),
        # Whoever has the secret of one run can make no token for another.
        (lambda run: forged(own(run), run="another"), "token_invalid"),
        (lambda run: forged(own(run), run="another", kid=run), "token_invalid"),
        (lambda run: forged(own(run), run=run, kid="another"), "token_invalid"),
        (lambda run: forged("", "none", run=run), "token_invalid"),
        (lambda run: forged(own(run), "HS512", run=run), "token_invalid"),
        (lambda run: forged(own(run), run=run, kid=7), "token_invalid"),
        (lambda run: forged(own(run), run=run, kid="\ud800"), "token_invalid"),
        (lambda run: forged(own(run), run=run, exp=None), "token_invalid"),
        (lambda run: forged(own(run), run=run, exp="soon"), "token_invalid"),
        (lambda run: forged(own(run), run=run, models=[]), "token_invalid"),
        (lambda run: forged(own(run), run=run, models=None), "token_invalid"),
        (lambda run: forged(own(run), run=run, variation=None), "token_invalid"),
        (lambda run: forged(own(run), run=run, attempt=None), "token_invalid"),
        (lambda run: forged(own(run), run=run, variation="1"), "token_invalid"),
        (lambda run: forged(own(run), run=run, share_usd=-1), "token_invalid"),
        (lambda run: forged(own(run), run=run, more=1), "token_invalid"),
        (lambda run: forged(own(run), run=run, exp=time.time() + MAX_TOKEN_SECONDS + 60),
         "token_invalid"),
        (lambda run: forged(own(run), run=run, exp=float("inf")), "token_invalid"),
        (lambda run: forged(own(run), run=run, exp=float("nan")), "token_invalid"),
        (lambda _: f"{'W1tb' * 1500}.e30.e30", "token_invalid"),
        (lambda run: forged(own(run), run=run, exp=time.time() - 1), "token_expired"),
    ],
)  # fmt: skip
def test_a_token_that_opens_nothing(
    broker: RunningBroker, model: ScriptedModel, run: str, make: Callable[[str], str], cause: str
) -> None:
    before = broker.refused().get(cause, 0)
    headers = [(b"x-api-key", make(run).encode("latin-1"))]
    answer = broker.http.post("/v1/messages", json=request(), headers=headers)
    assert answer.status_code == 401
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "authentication_error"
    assert answer.headers["aideator-refused"] == cause
    assert broker.refused()[cause] == before + 1
    assert run not in {request.run for request in model.requests}


def test_a_token_made_by_hand_as_it_should_be_opens(
    broker: RunningBroker, replies: RepliesByRun, run: str
) -> None:
    # Else the tokens above could be refused for another reason than theirs.
    replies.set(run, [[Text("Fine.")]])
    assert broker.post(forged(own(run), run=run)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "Basic dTpw")],
        [("authorization", "Bearer one"), ("x-api-key", "two")],
        [("x-api-key", "one"), ("x-api-key", "two")],
        [("cookie", "x-api-key=one")],
    ],
)
def test_no_token_or_two(broker: RunningBroker, headers: list[tuple[str, str]]) -> None:
    answer = broker.http.post("/v1/messages", json=request(), headers=headers)
    assert (answer.status_code, answer.headers["aideator-refused"]) == (401, "token_missing")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/messages", 405),
        ("PUT", "/v1/messages", 405),
        ("DELETE", "/v1/messages", 405),
        ("OPTIONS", "/v1/messages", 405),
        ("POST", "/v1/messages/", 404),
        ("POST", "/v1/messages/batches", 404),
        ("POST", "/v1/messages/../files", 404),
        ("POST", "/v1/messages%00", 404),
        ("POST", "//v1/messages", 404),
        ("POST", "/v1/complete", 404),
        ("GET", "/v1/models", 404),
        ("POST", "/healthz", 404),
        ("GET", "/", 404),
        ("GET", "/metrics", 404),
    ],
)
def test_nothing_else_is_served(
    broker: RunningBroker, model: ScriptedModel, run: str, method: str, path: str, status: int
) -> None:
    answer = broker.http.request(method, path, **broker.sent(token(run)))
    assert answer.status_code == status
    assert answer.json()["error"]["type"] in ("not_found_error", "invalid_request_error")
    assert run not in {request.run for request in model.requests}


def test_health_needs_no_token_and_says_nothing_more(broker: RunningBroker) -> None:
    answer = broker.http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("body", "status", "cause"),
    [
        (request(model="dearest"), 403, "other_model"),
        (request(model=None), 403, "other_model"),
        (request(model=[MODEL]), 403, "other_model"),
        (b"{}", 403, "other_model"),
        (b"", 400, "no_json"),
        (b"{", 400, "no_json"),
        (b"\xff\xfe", 400, "no_json"),
        (b'{"model": "\\ud800"}', 400, "no_json"),
        (b'{"a":' * 90_000, 413, "body_too_long"),
        (b"[" * 50_000, 400, "no_json"),
        (b'{"n": ' + b"9" * 50_000 + b"}", 400, "no_json"),
        (b'{"n": NaN}', 400, "no_json"),
        (b"[]", 400, "no_object"),
        (b'"model"', 400, "no_object"),
    ],
)
def test_what_may_not_be_asked(
    broker: RunningBroker, model: ScriptedModel, run: str,
    body: dict[str, Any] | bytes, status: int, cause: str,
) -> None:  # fmt: skip
    answer = broker.http.post(
        "/v1/messages",
        content=json.dumps(body) if isinstance(body, dict) else body,
        headers={"x-api-key": token(run)},
    )
    assert (answer.status_code, answer.headers["aideator-refused"]) == (status, cause)
    assert run not in {request.run for request in model.requests}


def test_a_body_without_a_length_is_bounded_too(broker: RunningBroker, run: str) -> None:
    answer = broker.http.post(
        "/v1/messages", content=iter([b"x" * 1000] * 200), headers={"x-api-key": token(run)}
    )
    assert (answer.status_code, answer.headers["aideator-refused"]) == (413, "body_too_long")


@pytest.mark.parametrize(
    ("provider", "status", "says"),
    [
        ("nobody", 404, "there is main"),
        ("keyless", 401, "AIDEATOR_TEST_NO_SUCH_KEY"),
        pytest.param(
            "cloud",
            401,
            "pip install 'aideator[vertex]'",
            marks=pytest.mark.skipif(installed("google.auth"), reason="the extra is installed"),
        ),
    ],
)
def test_a_provider_that_cannot_be_asked_fails_only_who_asks_it(
    broker: RunningBroker, replies: RepliesByRun, run: str, provider: str, status: int, says: str
) -> None:
    answer = broker.post(token(run, provider=provider))
    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]
    replies.set(run, [[Text("Fine.")]])
    assert broker.post(token(run)).status_code == 200


def test_an_attempt_that_has_ended_opens_nothing_and_its_siblings_go_on(
    broker: RunningBroker, replies: RepliesByRun, run: str
) -> None:
    replies.set(run, [[Text("One.")], [Text("Two.")]])
    assert broker.post(token(run)).status_code == 200
    broker.say(revoke={"run": run, "variation": 1})
    broker.line("revoked", run=run)
    answer = broker.post(token(run))
    assert (answer.status_code, answer.headers["aideator-refused"]) == (403, "token_revoked")
    assert broker.post(token(run, variation=2)).status_code == 200


def raw(broker: RunningBroker, data: bytes, seconds: float = 30) -> bytes:
    """Send bytes, and return all that comes until the broker closes."""
    with socket.create_connection(("127.0.0.1", broker.ready["port"])) as connection:
        connection.settimeout(seconds)
        got = b""
        try:
            connection.sendall(data)
            while part := connection.recv(65536):
                got += part
        except ConnectionError:
            pass
        return got


def test_a_body_that_does_not_come_is_waited_for_so_long(broker: RunningBroker, run: str) -> None:
    head = f"POST /v1/messages HTTP/1.1\r\nhost: b\r\nx-api-key: {token(run)}\r\n".encode()
    began = time.monotonic()
    got = raw(broker, head + b"content-length: 50\r\n\r\n{")
    assert got.startswith(b"HTTP/1.1 408")
    assert b"body_too_slow" in got
    assert time.monotonic() - began < 10


def test_a_body_that_comes_drop_by_drop_is_not_waited_for_any_longer(
    broker: RunningBroker, run: str
) -> None:
    head = f"POST /v1/messages HTTP/1.1\r\nhost: b\r\nx-api-key: {token(run)}\r\n".encode()
    with socket.create_connection(("127.0.0.1", broker.ready["port"])) as connection:
        connection.sendall(head + b"content-length: 5000\r\n\r\n{")
        connection.settimeout(0.2)
        got, drops = b"", 0
        while not got and drops < 100:
            try:
                got = connection.recv(65536)
            except TimeoutError:
                connection.sendall(b" ")
                drops += 1
    assert got.startswith(b"HTTP/1.1 408")
    # Each drop came well within the time that the whole has.
    assert 1 < drops < 100


@pytest.mark.parametrize("data", [b"", b"POST /v1/mess", b"GET / HTTP/1.1\r\nhost: b\r\nx: "])
def test_a_connection_without_a_request_is_closed(broker: RunningBroker, data: bytes) -> None:
    began = time.monotonic()
    assert raw(broker, data) == b""
    assert 0.5 < time.monotonic() - began < 10


def test_a_head_without_end_is_refused(broker: RunningBroker) -> None:
    got = raw(broker, b"GET / HTTP/1.1\r\nx: " + b"y" * 200_000)
    assert got.startswith(b"HTTP/1.1 400")


def test_what_is_no_http_is_refused(broker: RunningBroker) -> None:
    assert raw(broker, b"\x16\x03\x01\x02\x00\x01").startswith(b"HTTP/1.1 400")
    assert broker.http.get("/healthz").status_code == 200


def test_a_crowd_of_idle_connections_keeps_nobody_out(
    broker: RunningBroker, replies: RepliesByRun, run: str
) -> None:
    replies.set(run, [[Text("Fine.")]])
    crowd = [socket.create_connection(("127.0.0.1", broker.ready["port"])) for _ in range(100)]
    try:
        with httpx.Client(base_url=broker.base_url, trust_env=False, timeout=30) as http:
            answer = http.post("/v1/messages", **broker.sent(token(run)))
            assert answer.status_code == 200
    finally:
        for connection in crowd:
            connection.close()


def test_connections_without_a_request_are_so_many_and_the_oldest_go(tmp_path: Path) -> None:
    bounds = {"waiting_connections": 8, "idle_seconds": 300}
    with broker_for(tmp_path, configuration("http://127.0.0.1:1", bounds=bounds)) as broker:
        crowd = [socket.create_connection(("127.0.0.1", broker.ready["port"])) for _ in range(20)]
        try:
            for connection in crowd[:12]:
                connection.settimeout(30)
                assert connection.recv(1) == b""
            for connection in crowd[12:]:
                connection.setblocking(False)
                with pytest.raises(BlockingIOError):
                    connection.recv(1)
        finally:
            for connection in crowd:
                connection.close()


def test_one_attempt_cannot_have_many_requests_under_way(broker: RunningBroker, run: str) -> None:
    head = f"POST /v1/messages HTTP/1.1\r\nhost: b\r\nx-api-key: {token(run)}\r\n".encode()
    open_ones = []
    for _ in range(4):
        connection = socket.create_connection(("127.0.0.1", broker.ready["port"]))
        connection.sendall(head + b"content-length: 50\r\n\r\n{")
        open_ones.append(connection)
    time.sleep(0.3)
    try:
        answer = broker.post(token(run))
        refused = answer.headers["aideator-refused"]
        assert (answer.status_code, refused) == (429, "too_many_requests")
        assert broker.post(token(run, variation=2)).headers.get("aideator-refused") is None
    finally:
        for connection in open_ones:
            connection.close()


def test_neither_key_nor_token_is_in_what_it_logs_and_says(
    broker: RunningBroker, replies: RepliesByRun, run: str
) -> None:
    replies.set(run, [[Text("Fine.")]])
    opened = token(run)
    bad = opened[:-3] + "abc"
    assert broker.post(opened).status_code == 200
    assert broker.post(bad).status_code == 401

    def logged() -> bool:
        assert broker.post(opened, request(model="dearest")).status_code == 403
        return f"other_model: run {run}, variation 1" in broker.errors

    # A cause is logged once a second, and another test may just have had this one.
    wait(logged)
    broker.refused()
    said = json.dumps(broker.lines) + broker.errors
    for secret in (KEY, SIGNING_SECRET, opened, bad):
        assert secret not in said
